package journal

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// sharded collects what each of its shards is given, without a lock, as the engine does.
type sharded struct {
	shards [3][]positions.Event
	refuse func(*positions.Event) error // may be nil
}

func (s *sharded) Use(*record.Table, record.IDKey) {}

func (s *sharded) Load(*engine.AccountState) error { return nil }

func (s *sharded) ShardOf(account uint64) int { return int(account % uint64(len(s.shards))) }

func (s *sharded) Replay(ev *positions.Event, rec []byte) error {
	if account, seq, err := record.Head(rec); err != nil || account != ev.Account || seq != ev.Seq {
		return fmt.Errorf("event %d of account %d with the record of another, %w", ev.Seq, ev.Account, err)
	}
	if s.refuse != nil {
		if err := s.refuse(ev); err != nil {
			return err
		}
	}
	shard := &s.shards[s.ShardOf(ev.Account)]
	*shard = append(*shard, *ev)
	return nil
}

// replayed replays commits of one event for each of 7 accounts, and returns the result of
// finish.
func replayed(t *testing.T, into Recovery, lanes, commits int) error {
	t.Helper()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const accounts = 7
	known, f := newInstruments(nil, universe), newFlow(100_001, accounts)
	r := (&store{instruments: known, dir: "data", disk: vfs.NewMem()}).startReplay(into, lanes)
	for n := range commits {
		events := make([]positions.Event, accounts)
		f.fill(events)
		d := decoder{instruments: known, version: valueVersion2}
		if d.B = recordsOf(known.table, events); n%5 == 4 {
			d.version, d.B = valueVersion1, nil
			for i := range events {
				d.B = newEncoder1(universe).appendEvent(d.B, &events[i])
			}
		}
		if err := r.add(uint64(n+1), &d, accounts); err != nil {
			if !errors.Is(err, errNoMore) {
				t.Fatal(err)
			}
			break
		}
	}
	return r.finish()
}

// TestReplayLanes: with any number of lanes, each shard is given all of its events, in order.
// Batches are reused many times.
func TestReplayLanes(t *testing.T) {
	const commits = 3 * replayBatches * batchEvents / 7
	for _, lanes := range []int{1, 2, 5} {
		into := new(sharded)
		if err := replayed(t, into, lanes, commits); err != nil {
			t.Fatal(err)
		}
		n := 0
		for shard, events := range into.shards {
			seqs := make(map[uint64]uint64)
			for i := range events {
				ev := &events[i]
				if seqs[ev.Account]++; ev.Seq != seqs[ev.Account] || into.ShardOf(ev.Account) != shard ||
					!sameEvent(*ev, flowEvent(ev.Account, ev.Seq)) {
					t.Fatalf("%d lanes: shard %d was given event %d of account %d as number %d",
						lanes, shard, ev.Seq, ev.Account, seqs[ev.Account])
				}
			}
			n += len(events)
		}
		if n != 7*commits {
			t.Errorf("%d lanes: %d events of %d", lanes, n, 7*commits)
		}
	}
}

// TestReplayFails: if several events cannot be replayed, the error is that of the first, even
// when another lane has failed before.
func TestReplayFails(t *testing.T) {
	const first, second = 300, 301 // sequences, which are also the commits
	for name, c := range map[string]struct {
		fail  func(string) error
		where string
	}{
		"refused":  {errors.New, "commit 300"},
		"panicked": {func(what string) error { panic(what) }, "the commits"},
	} {
		t.Run(name, func(t *testing.T) {
			ahead := make(chan struct{})
			var once sync.Once
			into := &sharded{refuse: func(ev *positions.Event) error {
				switch {
				case ev.Account == 100_001 && ev.Seq == first: // waits until the lane of the second event has failed
					<-ahead
					return c.fail("the first")
				case ev.Account == 100_002 && ev.Seq == second:
					once.Do(func() { close(ahead) })
					return c.fail("the second")
				}
				return nil
			}}
			err := replayed(t, into, 3, 1000)
			var damage *DamageError
			if !errors.As(err, &damage) || damage.Where != c.where || damage.Err.Error() != "the first" {
				t.Errorf("%v", err)
			}
		})
	}
}
