package journal_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// teller tells what it is recovered with. A server gives an *engine.Engine in its place.
type teller struct{}

func (teller) Load(*engine.AccountState) error { return nil } // as of a checkpoint: none was made here
func (teller) ShardOf(uint64) int              { return 0 }

func (teller) Replay(ev *positions.Event) error {
	fmt.Printf("event %d of account %d: %s\n", ev.Seq, ev.Account, ev.Adjustment.Reason)
	return nil
}

// What was committed is there after a restart.
func Example() {
	dir, err := os.MkdirTemp("", "journal-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of the example
	fmt.Println("first run")
	run(dir, true)
	fmt.Println("second run")
	run(dir, false)
	// Output:
	// first run
	// second run
	// event 1 of account 100017: account opened
}

// run is a server's life, without a server: it opens a journal, has it tell what happened, and may commit an event
// more.
func run(dir string, commit bool) {
	universe := market.Default()
	j, err := journal.Open(dir, journal.Options{
		Mode: journal.Sync, Universe: universe, Fatal: func(err error) { log.Panic(err) },
		FreeBytes: func() (uint64, error) { return 1 << 40, nil }, // enough for an example, wherever it runs
	})
	if err != nil {
		log.Panic(err)
	}
	if err := j.Recover(context.Background(), teller{}, nil); err != nil {
		log.Panic(err)
	}
	if commit {
		if err := j.Commit([]positions.Event{opening(universe)}); err != nil {
			log.Panic(err)
		}
	}
	if err := j.Close(); err != nil {
		log.Panic(err)
	}
}

// opening is the first event of an account.
func opening(universe *market.Universe) (ev positions.Event) {
	paid := positions.Adjustment{Cash: 1_000_0000, Reason: "account opened", Actor: "example"}
	positions.NewBook(universe).DecideAdjustment(100017, &paid, universe.Opening(), 1, &ev)
	return ev
}
