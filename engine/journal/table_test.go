package journal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// someOf returns a universe of some instruments of the usual one, and of more.
func someOf(tb testing.TB, keep func(*market.Instrument) bool, more ...market.Instrument) *market.Universe {
	tb.Helper()
	list := more
	for id := range market.ID(universe.Len()) {
		if in := universe.At(id); keep(in) {
			list = append(list, *in)
		}
	}
	u, err := market.NewUniverse(list)
	must(tb, err)
	return u
}

// storedTable returns what is on the disk.
func storedTable(tb testing.TB, disk vfs.FS, o Options) ([]record.Listing, record.IDKey) {
	tb.Helper()
	a, err := openArchive(context.Background(), "data", o)
	must(tb, err)
	must(tb, a.unlock())
	return a.head.listings, a.head.idKey
}

// TestTableOfLedger: the first start stores all instruments and the key. Later ones store those that the
// universe has got since, with the next numbers, and change nothing of the others.
func TestTableOfLedger(t *testing.T) {
	disk, w := vfs.NewCrashableMem(), newWorld(2, 4, 3)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 10, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 10, 5)
	mustClose(t, j)
	first, key := storedTable(t, disk, o)
	if len(first) != universe.Len() || key == (record.IDKey{}) || key != j.idKey {
		t.Fatalf("%d instruments of %d, key %x, used was %x", len(first), universe.Len(), key, j.idKey)
	}
	for id := range market.ID(universe.Len()) {
		if in := universe.At(id); first[id] != (record.Listing{
			Market: in.Market, Code: in.Code, Name: in.Name, Currency: in.Currency(),
		}) {
			t.Errorf("instrument %d is %+v", id, first[id])
		}
	}
	early := *universe.At(0)
	early.Code, early.Name = "0", "before all others"
	renamed := *universe.At(market.ID(universe.Len() - 1)) // nobody has traded it
	renamed.Name = "another name"
	unused := universe.At(market.ID(universe.Len() - 2))
	o.Universe = someOf(t, func(in *market.Instrument) bool {
		return in.String() != renamed.String() && in.String() != unused.String()
	}, early, renamed)
	for range 2 {
		j, r, err := recoverFrom("data", o)
		must(t, err)
		lost := crashed(disk)
		mustClose(t, j)
		w.each(func(number uint64, a *worldAccount) {
			if got := r.accounts[number]; int(got.seq) != len(a.events) || got.cash != a.events[got.seq-1].Cash {
				t.Errorf("account %d came back at event %d of %d", number, got.seq, len(a.events))
			}
			for i, ev := range r.accounts[number].events { // their instruments have other ids now
				want := a.events[int(r.accounts[number].loaded.Seq)+i]
				if ev.Kind == positions.KindTrade &&
					o.Universe.At(ev.Trade.Instrument).String() != universe.At(want.Trade.Instrument).String() {
					t.Errorf("account %d, event %d: an instrument has become another", number, ev.Seq)
				}
			}
		})
		for _, disk := range []*vfs.MemFS{disk, lost} { // also if it lost power right after its start
			o := o
			o.FS = disk
			all, again := storedTable(t, disk, o)
			if len(all) != len(first)+1 || !slices.Equal(all[:len(first)], first) ||
				all[len(first)].Code != early.Code || again != key {
				t.Errorf("%d instruments, the last is %+v, key %x after %x", len(all), all[len(all)-1], again, key)
			}
		}
		if _, err := Verify(context.Background(), "data", o); err != nil {
			t.Error(err)
		}
	}
}

// TestInstrumentIsGone: a start whose universe lacks an instrument that was traded, even as a delisted one,
// is refused, and the error says which it is. It is no damage. Who only reads needs no such universe.
func TestInstrumentIsGone(t *testing.T) {
	for name, checkpoint := range map[string]bool{"in a checkpoint": true, "in a block": false} {
		disk := vfs.NewMem()
		o := testOptions(t, disk, Sync)
		j, _ := mustRecover(t, "data", o)
		w := newWorld(1, 1, 1)
		w.shards[0].accountNumber = func(int) uint64 { return 7 }
		w.journal.Store(j)
		for _, ev := range goldenHistory(t)[:2] {
			w.shards[0].apply(ev)
			must(t, commit(j, ev))
		}
		if checkpoint {
			mustCheckpoint(t, j, w)
		}
		mustClose(t, j)
		gone := universe.At(0).String()
		o.Universe = someOf(t, func(in *market.Instrument) bool { return in.String() != gone })
		for what, err := range openAll(o) {
			if what == "verify" {
				must(t, err)
				continue
			}
			var unlisted record.UnlistedError
			var damage *DamageError
			if !errors.As(err, &unlisted) || unlisted.Instrument != gone || errors.As(err, &damage) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		all, err := Listings("data", o)
		must(t, err)
		o.Universe, err = record.Universe(all, o.Universe)
		must(t, err)
		for what, err := range openAll(o) {
			if err != nil {
				t.Errorf("%s, delisted, %s: %v", name, what, err)
			}
		}
		o.Universe = market.US() // of another currency
		if _, err := Verify(context.Background(), "data", o); err != nil {
			t.Errorf("%s, by another universe: %v", name, err)
		}
	}
}

// damagedTable is what can be wrong with the table although Pebble's checksums are right.
func damagedTable() []damagedValue {
	last := uint64(universe.Len() - 1)
	return []damagedValue{
		{"an instrument", flipLast(listingKey(3)), "instrument 3: its checksum does not match", false},
		{"a hole in the table", removeKey(listingKey(3)), "instrument 4: it is where instrument 3 should be", false},
		{"the first instrument", removeKey(listingKey(0)), "instrument 1: it is where instrument 0 should be", false},
		{"the last instrument", removeKey(listingKey(last)),
			"the record of the last run has 50 instruments, and here are 49", false},
		{"an instrument too many", setBody(listingKey(last+1),
			appendListing(nil, &record.Listing{Market: "SH", Code: "0", Name: "x", Currency: "CNY"})),
			"the record of the last run has 50 instruments, and here are 51", false},
		{"an instrument twice",
			setBody(listingKey(3), appendListing(nil, &record.NewTable(universe).Listings()[2])),
			"instrument 3: it is " + universe.At(2).String() + ", as another one is", false},
		{"a short instrument", setBody(listingKey(3), []byte{2, 'S', 'H'}), "instrument 3: it ends too early", false},
		{"a long key", setBody(append(listingKey(3), 0), appendListing(nil, &record.Listing{})),
			"the unknown key 54000000000000000300: it is where instrument 4 should be", false},
		{"the key of order ids", flipLast(metaKey(metaIDKey)),
			`the record "idkey": its checksum does not match`, false},
		{"no key of order ids", removeKey(metaKey(metaIDKey)), `the record "idkey": is it there: false`, false},
		{"a short key of order ids", setBody(metaKey(metaIDKey), make([]byte, 15)),
			`the record "idkey": it ends too early`, false},
	}
}

// TestTableInFormatOne: format 1 has neither a table nor a key.
func TestTableInFormatOne(t *testing.T) {
	for name, spoil := range map[string]func(*pebble.DB) error{
		"the record of the last run has 0 instruments, and here are 1": setBody(listingKey(0),
			appendListing(nil, &record.NewTable(universe).Listings()[0])),
		`the record "idkey": is it there: true`: setBody(metaKey(metaIDKey), make([]byte, 16)),
	} {
		disk, _ := formatOneFixture(t, "clean")
		editDB(t, disk, func(db *pebble.DB) { must(t, spoil(db)) })
		for what, err := range openAll(testOptions(t, disk, Sync)) {
			var damage *DamageError
			if !errors.As(err, &damage) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want %s", what, err, name)
			}
		}
	}
}

// TestNewerRecords: a record of an unknown kind, in a block or in the history, is refused as written by a
// newer program, with its place; it is no damage, and nothing has changed.
func TestNewerRecords(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(1, 2, 9)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 20, 3)
	mustCheckpoint(t, j, w)
	w.run(t, j, 3, 1)
	mustClose(t, j)
	must(t, removeFile(disk, "data", cleanFile)) // it has the hash of the last block
	last := blockKey(j.Committed())
	for name, c := range map[string]struct {
		key   []byte
		where string
	}{
		"block": {last, nameKey(last)},
		"run":   {runKey(100001, 1), nameKey(runKey(100001, 1))},
	} {
		spoilt := cloneDisk(t, disk)
		editDB(t, spoilt, func(db *pebble.DB) {
			value := mustGet(db, c.key)
			d := decoder{Reader: record.Reader{B: value[valueHead:]}, version: valueVersion2}
			if c.key[0] == keyBlock {
				d.block()
			} else {
				d.events()
			}
			rec := d.B // it is part of the value
			if rec[0] < 0x80 {
				rec[1] = 99
			} else {
				rec[2] = 99
			}
			sealValue(c.key, value)
			must(t, db.Set(c.key, value, nil))
		})
		so := testOptions(t, spoilt, Sync)
		_, verified := Verify(context.Background(), "data", so)
		j, _, opened := recoverFrom("data", so)
		if name == "run" {
			must(t, opened) // a start does not read the history
			_, opened = j.Read(nil, 100001, 1, 10)
			mustClose(t, j)
		}
		for what, err := range map[string]error{"verify": verified, "start": opened} {
			var newer *record.NewerError
			var damage *DamageError
			const want = "is of kind 99, which this papertape does not know: use the newer papertape"
			if !errors.As(err, &newer) || errors.As(err, &damage) || !strings.Contains(err.Error(), c.where) ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}
