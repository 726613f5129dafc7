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
	"github.com/papertape/papertape/record"
)

// books stands in for the engine: it is what a journal is recovered into.
type books struct {
	*positions.Book
	table *record.Table
}

func (b *books) Use(t *record.Table, _ record.IDKey) { b.table = t }

func (b *books) Load(st *engine.AccountState) error {
	fmt.Printf("account %d as of event %d\n", st.Account, st.Seq)
	return nil
}

func (b *books) ShardOf(uint64) int { return 0 }

func (b *books) Replay(ev *positions.Event, _ []byte) error {
	b.Apply(ev)
	fmt.Printf("account %d, event %d: cash %s\n", ev.Account, ev.Seq, market.FormatMoney(ev.Cash.Balance))
	return nil
}

// A first run commits an event. The second run recovers it, and goes on with the same epoch,
// because the first one ended cleanly.
func Example() {
	dir, err := os.MkdirTemp("", "journal")
	must(err)
	defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary directory
	universe := market.Default()

	j, b := start(dir, universe)
	epoch := j.Epoch()
	var ev positions.Event
	opening := positions.Adjustment{Cash: 10_000_0000, Reason: "account opened", Actor: "example"}
	b.DecideAdjustment(100_001, &opening, universe.Opening(), 1, &ev)
	b.Apply(&ev)
	must(j.Commit(b.table.Append(nil, &ev), 1)) // when it returns, the event is on the disk
	must(j.Close())

	j, _ = start(dir, universe)
	fmt.Println("commits:", j.Committed())
	fmt.Println("same epoch:", j.Epoch() == epoch)
	must(j.Close())
	// Output:
	// account 100001, event 1: cash 10000.00
	// commits: 1
	// same epoch: true
}

// start opens the journal in dir, or begins one, and recovers what is in it.
func start(dir string, universe *market.Universe) (*journal.Journal, *books) {
	j, err := journal.Open(dir, journal.Options{Mode: journal.Sync, Universe: universe, Fatal: fatal})
	must(err)
	b := &books{Book: positions.NewBook(universe)}
	must(j.Recover(context.Background(), b, nil))
	return j, b
}

// fatal ends the process, as a failed write requires.
func fatal(err error) { log.Fatal(err) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
