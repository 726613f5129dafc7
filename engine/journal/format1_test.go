package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// formatOneFixtures are ledgers that the program of commit 1e4da10 wrote.
var formatOneFixtures = []string{"killed", "clean"}

// formatOneFixture returns a disk with such a ledger, and what its accounts are.
func formatOneFixture(tb testing.TB, name string) (*vfs.MemFS, *world) {
	tb.Helper()
	disk := vfs.NewCrashableMem()
	from := filepath.Join("testdata", "format1", name)
	if ok, err := vfs.Clone(vfs.Default, disk, from, "data", vfs.CloneSync); err != nil || !ok {
		tb.Fatalf("there is no %s: %v", from, err)
	}
	must(tb, syncDir(disk, "/"))
	return disk, worldOf(tb, disk)
}

// formatOneLedger returns a disk with a ledger of format 1 that a world has made: of a run that has
// ended cleanly, or has not.
func formatOneLedger(tb testing.TB, seed uint64, clean bool) (*vfs.MemFS, *world) {
	tb.Helper()
	disk, w := vfs.NewCrashableMem(), newWorld(4, 6, seed).beforeResets()
	j, _ := mustRecover(tb, "data", testOptions(tb, disk, Sync))
	w.run(tb, j, 24, 6)
	mustCheckpoint(tb, j, w)
	w.run(tb, j, 24, 6)
	mustCheckpoint(tb, j, w)
	w.run(tb, j, 24, 6)
	mustClose(tb, j)
	makeFormatOne(tb, disk)
	if !clean {
		must(tb, removeFile(disk, "data", cleanFile))
	}
	w.each(func(_ uint64, a *worldAccount) { a.unkeyed = a.stored })
	return disk, w
}

// makeFormatOne rewrites the ledger on a disk as the older program would have written it.
func makeFormatOne(tb testing.TB, disk vfs.FS) {
	tb.Helper()
	s := &store{disk: disk, dir: "data", universe: universe}
	found, err := s.inspect()
	must(tb, err)
	opts := pebbleOptions(disk, nil, false, quietEvents())
	smallPebble(opts)
	db, err := pebble.Open("data", opts)
	must(tb, err)
	s.db = db
	h, err := s.readHead(found)
	must(tb, err)
	d := downgrade{tb: tb, s: s, l: newEncoder1(universe), batch: db.NewBatch(), chain: h.mark.hash}
	it, err := db.NewIter(nil)
	must(tb, err)
	for it.First(); it.Valid(); it.Next() {
		d.value(slices.Clone(it.Key()), it.Value())
	}
	must(tb, errors.Join(it.Error(), it.Close(), d.batch.Commit(pebble.Sync), d.batch.Close(), db.Close()))
	if c := found.clean; c != nil {
		c.last.hash = d.chain
		must(tb, writeFile(disk, "data", cleanFile, c.text()))
	}
}

type downgrade struct {
	tb    testing.TB
	s     *store
	l     *encoder1
	batch *pebble.Batch
	chain uint64 // hash of the block before
}

// value writes a value as the older program would have.
func (d *downgrade) value(key, value []byte) {
	from, err := d.s.decode(key, value)
	must(d.tb, err)
	body := []byte{}
	switch key[0] {
	case keyListing:
		must(d.tb, d.batch.Delete(key, nil))
		return
	case keyMeta:
		switch string(key[1:]) {
		case metaIDKey:
			must(d.tb, d.batch.Delete(key, nil))
			return
		case metaRun:
			var r runRecord
			from.runRecord(&r)
			r.format = format1
			body = r.append(body)
		default:
			body = from.B
		}
	case keyBlock:
		head := from.block()
		body = binary.LittleEndian.AppendUint64(body, d.chain)
		body = binary.AppendUvarint(body, head.synced)
		body = d.l.appendRun(body, d.events(&from, int(head.count)))
	case keyRun:
		body = d.l.appendRun(body, d.events(&from, from.events()))
	case keyAccount:
		var st engine.AccountState
		from.account(&st)
		must(d.tb, from.End())
		body = d.l.appendAccount(body, &st)
	case keyOrderID:
		var r engine.OrderIDRecord
		from.orderID(&r)
		history, err := d.s.readHistory(nil, numberOf(key, 0), numberOf(key, 1), 1)
		must(d.tb, err)
		body = binary.LittleEndian.AppendUint64(body, record.UnkeyedHash(&history[0].Trade.OrderID).Low)
		body = binary.LittleEndian.AppendUint64(body, r.Content)
	}
	out := append([]byte{0, 0, 0, 0, valueVersion1}, body...)
	sealValue(key, out)
	if key[0] == keyBlock {
		d.chain = blockHash(numberOf(key, 0), out)
	}
	must(d.tb, d.batch.Set(key, out, nil))
}

func (d *downgrade) events(from *decoder, n int) []positions.Event {
	events := make([]positions.Event, n)
	for i := range events {
		from.event(&events[i])
	}
	must(d.tb, from.End())
	return events
}

// worldOf returns a world as the ledger on a disk has it. Everything in it was acknowledged.
func worldOf(tb testing.TB, disk vfs.FS) *world {
	tb.Helper()
	a, err := openArchive(context.Background(), "data", testOptions(tb, disk, Sync))
	must(tb, err)
	const shards = 2
	w := newWorld(shards, 0, 7)
	var numbers []uint64
	must(tb, a.everyAccount(context.Background(), func(stored *engine.AccountState) error {
		s := w.shards[len(numbers)%shards]
		numbers = append(numbers, stored.Account)
		s.accountsMax++
		err := a.eachEvent(stored.Account, stored.Seq, math.MaxUint64, func(ev *positions.Event) error {
			s.apply(*ev)
			return nil
		})
		of := s.accounts[stored.Account]
		of.copied, of.stored = int(stored.Seq), int(stored.Seq)
		for _, id := range stored.IDs {
			if !id.ID.Keyed() {
				of.unkeyed = of.stored
			}
		}
		w.acks.list = append(w.acks.list, ack{stored.Account, of.stored, 0})
		for _, e := range a.tailOf(stored.Account) {
			w.acks.list = append(w.acks.list, ack{stored.Account, int(e.seq), e.commit})
		}
		return err
	}))
	must(tb, a.unlock())
	for i, s := range w.shards {
		s.accountNumber = func(n int) uint64 { return numbers[n*shards+i] }
	}
	return w
}

// exportOf returns the export of the journal in dir, by account.
func exportOf(tb testing.TB, disk vfs.FS, dir string) map[string]string {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "export")
	_, err := Export(context.Background(), dir, out, testOptions(tb, disk, Sync))
	must(tb, err)
	return textsIn(tb, out)
}

func textsIn(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	texts := make(map[string]string)
	entries, err := os.ReadDir(dir)
	must(tb, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(tb, err)
		texts[e.Name()] = string(text)
	}
	return texts
}

// mustExport compares the export of a journal with another one.
func mustExport(tb testing.TB, disk vfs.FS, dir string, want map[string]string) {
	tb.Helper()
	got := exportOf(tb, disk, dir)
	if len(got) != len(want) {
		tb.Errorf("%s: %d accounts are exported, of %d", dir, len(got), len(want))
	}
	for name, text := range want {
		if got[name] != text {
			tb.Errorf("%s: the export %s is\n%s\nwant\n%s", dir, name, got[name], text)
		}
	}
}

// TestFormatOneIsRead: what the older program wrote is read as it read it: its verify, its export, and
// the state hashes of its console.
func TestFormatOneIsRead(t *testing.T) {
	for _, name := range formatOneFixtures {
		t.Run(name, func(t *testing.T) {
			disk, w := formatOneFixture(t, name)
			at := filepath.Join("testdata", "format1", name)
			sum, err := Verify(context.Background(), "data", testOptions(t, disk, Sync))
			if err != nil || sum.Format != format1 || sum.Clean != (name == "clean") {
				t.Fatalf("%+v, %v", sum, err)
			}
			said, err := os.ReadFile(at + ".verify.txt")
			must(t, err)
			if want := fmt.Sprintf("%d accounts, %d events, %d commits, epoch %016x",
				sum.Accounts, sum.Events, sum.Commits, sum.Epoch); !strings.Contains(string(said), want) {
				t.Errorf("%s, and the older program said %s", want, said)
			}
			mustExport(t, disk, "data", textsIn(t, at+".export"))
			hashes, err := os.ReadFile(at + ".hashes.txt")
			must(t, err)
			j, r := mustRecover(t, "data", testOptions(t, disk, Sync))
			must(t, w.compare(j, r, w.acked(everything)))
			lines := strings.Split(strings.TrimSpace(string(hashes)), "\n")
			if len(lines) != len(r.accounts) {
				t.Errorf("%d accounts, and %d hashes", len(r.accounts), len(lines))
			}
			for _, line := range lines {
				var account, seq, hash uint64
				if _, err := fmt.Sscanf(line, "%d %d %x", &account, &seq, &hash); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				events, err := j.Read(nil, account, 1, math.MaxInt32)
				must(t, err)
				if a := r.accounts[account]; a == nil || a.seq != seq ||
					stateHash(account, append(events, a.events...)) != hash {
					t.Errorf("account %d at event %d has another state hash", account, seq)
				}
			}
		})
	}
}

// TestOldOrderIDs: an order that the older program executed is not executed again, whether its id was
// in a checkpoint, where its hash has 64 bits, or is replayed.
func TestOldOrderIDs(t *testing.T) {
	for _, name := range formatOneFixtures {
		t.Run(name, func(t *testing.T) {
			disk, w := formatOneFixture(t, name)
			for _, life := range []string{"the first start", "the second start"} {
				tried := map[bool]int{} // by whether the id is remembered from a checkpoint of format 1
				j, err := Open("data", testOptions(t, disk, Sync))
				must(t, err)
				e, err := newEngine(t, j, newLedger())
				must(t, err)
				w.each(func(number uint64, a *worldAccount) {
					for i := range a.events {
						tr := &a.events[i].Trade
						if tr.OrderID.IsZero() {
							continue
						}
						tried[i < a.unkeyed]++
						o := positions.Order{
							Account: number, ID: tr.OrderID, Instrument: tr.Instrument, Side: tr.Side,
							Quantity: tr.Quantity, Limit: tr.Limit, Origin: positions.OriginClient,
						}
						ask := []engine.Request{{Kind: engine.KindOrder, Account: number, Order: o}}
						for e.Submit(number, ask) == 0 {
							waitUntil(t, "an idle engine", func() bool { return e.Drain(context.Background()) == nil })
						}
					}
				})
				must(t, e.Drain(context.Background()))
				w.each(func(number uint64, a *worldAccount) {
					h, err := e.Holdings(context.Background(), number)
					if err != nil || int(h.Seq) != len(a.events) {
						t.Errorf("%s: account %d is at event %d of %d: %v", life, number, h.Seq, len(a.events), err)
					}
				})
				if tried[true] < 20 || name == "killed" && tried[false] < 5 {
					t.Errorf("%s: %d orders of checkpoints, %d of blocks", life, tried[true], tried[false])
				}
				must(t, j.Checkpoint(context.Background(), e))
				e.Stop()
				mustClose(t, j)
			}
			_, err := Verify(context.Background(), "data", testOptions(t, disk, Sync))
			must(t, err)
		})
	}
}
