package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// check verifies the invariants of the memory: its counters, its list of chunks, its bounds, and the
// records that it holds.
func (m *memory) check(accounts []*account) error {
	if err := m.checkBounds(accounts); err != nil {
		return err
	}
	for _, a := range accounts {
		if err := a.tail.checkRecords(a.number, m); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) checkBounds(accounts []*account) error {
	bytes, chunks, clean := int64(0), 0, int64(0)
	linked := make(map[*chunk]bool)
	for c := m.root.next; c != &m.root; c = c.next {
		if c.next.prev != c || c.prev.next != c {
			return fmt.Errorf("the list of chunks is torn at %d of %d", c.first, c.owner.number)
		}
		linked[c] = true
		clean += c.bytes()
		chunks++
	}
	if chunks != m.chunks {
		return fmt.Errorf("%d chunks are counted in the list; there are %d", m.chunks, chunks)
	}
	unstored, unstoredBytes, events := int64(0), int64(0), int64(0)
	for _, a := range accounts {
		t := &a.tail
		if t.oldest != 0 {
			events += int64(t.head - t.oldest + 1)
		}
		for _, c := range t.chunks {
			if pinned := m.pins && c.end() > t.stored+1; c.owner != a || c.pinned != pinned || linked[c] == pinned {
				return fmt.Errorf("account %d, stored up to %d: its chunk from %d is of %d, "+
					"pinned: %v, in the list: %v",
					a.number, t.stored, c.first, c.owner.number, c.pinned, linked[c])
			}
			bytes += c.bytes()
			delete(linked, c)
		}
		if m.pins {
			unstored += int64(t.head - t.stored)
			unstoredBytes += t.unstored
		}
		if err := t.check(a.number, m); err != nil {
			return err
		}
	}
	switch {
	case len(linked) != 0:
		return fmt.Errorf("%d chunks of the list belong to no account", len(linked))
	case bytes != m.bytes || bytes-clean != m.pinned || unstoredBytes != m.unstored:
		return fmt.Errorf("%d bytes, %d pinned, and %d not stored are counted; there are %d, %d and %d",
			m.bytes, m.pinned, m.unstored, bytes, bytes-clean, unstoredBytes)
	case events != m.events:
		return fmt.Errorf("%d events are counted; there are %d", m.events, events)
	case bytes > m.bytesMax && clean > 0:
		return fmt.Errorf("%d bytes are held, %d of them not pinned; %d may be", bytes, clean, m.bytesMax)
	case bytes > m.bytesMax+unstoredBytes+(chunkBytesMin+chunkOverhead)*unstored:
		return fmt.Errorf("%d bytes are held for %d events that are not stored; %d may be besides", bytes, unstored,
			m.bytesMax)
	}
	return nil
}

func (t *tail) check(number uint64, m *memory) error {
	if m.pins && t.head > t.stored && (t.oldest == 0 || t.oldest > t.stored+1) {
		return fmt.Errorf("account %d is stored up to %d, and holds from %d", number, t.stored, t.oldest)
	}
	if t.oldest == 0 {
		if len(t.chunks) != 0 || t.has(t.head) || t.has(0) || t.has(t.head+1) {
			return fmt.Errorf("account %d holds no event, and yet", number)
		}
		return nil
	}
	if t.head-t.oldest >= uint64(m.eventsMax) && (!m.pins || t.oldest <= t.stored) {
		return fmt.Errorf("account %d, stored up to %d, holds %d to %d; at most %d", number, t.stored, t.oldest,
			t.head, m.eventsMax)
	}
	if t.chunks[0].end() <= t.oldest {
		return fmt.Errorf("account %d holds from %d and keeps a chunk of older events", number, t.oldest)
	}
	if t.has(t.oldest-1) || t.has(t.head+1) {
		return fmt.Errorf("account %d says that it has more than %d to %d", number, t.oldest, t.head)
	}
	return nil
}

func (t *tail) checkRecords(number uint64, m *memory) error {
	if t.oldest == 0 {
		return nil
	}
	for seq := t.oldest; seq <= t.head; seq++ {
		if ev := decoded(t.at(seq))[0]; !t.has(seq) || ev.Seq != seq || ev.Account != number {
			return fmt.Errorf("account %d: at %d is event %d of %d", number, seq, ev.Seq, ev.Account)
		}
	}
	r := t.reader(t.oldest)
	for seq := t.oldest; seq <= t.head; seq++ {
		if ev := decoded(r.next())[0]; ev.Seq != seq {
			return fmt.Errorf("account %d: event %d was read instead of %d", number, ev.Seq, seq)
		}
	}
	copied, next := t.copyFrom(nil, t.oldest, 1<<30)
	if n := len(decoded(copied)); n != int(t.head+1-t.oldest) || next != t.head+1 {
		return fmt.Errorf("account %d: a copy of all has %d events, and ends before %d", number, n, next)
	}
	if m.pins {
		return t.checkUnstored(number)
	}
	return nil
}

func (t *tail) checkUnstored(number uint64) error {
	next, bytes := t.stored+1, 0
	for _, run := range t.appendUnstored(nil) {
		if len(run) == 0 || len(run) != cap(run) {
			return fmt.Errorf("account %d: a run of %d bytes with room for %d", number, len(run), cap(run))
		}
		bytes += len(run)
		for _, ev := range decoded(run) {
			if ev.Seq != next || ev.Account != number {
				return fmt.Errorf("account %d: event %d of %d in the run where %d comes next", number, ev.Seq,
					ev.Account, next)
			}
			next++
		}
	}
	if int64(bytes) != t.unstored {
		return fmt.Errorf("account %d: %d bytes are not stored, and %d are counted", number, bytes, t.unstored)
	}
	if next != t.head+1 {
		return fmt.Errorf("account %d: the run ends before %d, the account with %d", number, next, t.head)
	}
	return nil
}

// add appends the next event of a: an adjustment whose record has size bytes, or somewhat more.
func (m *memory) add(a *account, size int) {
	ev := positions.Event{
		Account: a.number, Seq: a.tail.head + 1, Kind: positions.KindAdjustment,
		Adjustment: &positions.Adjustment{Reason: strings.Repeat("x", max(0, size-20))},
	}
	m.append(a, ev.Seq, testTable.Append(nil, &ev))
}

// TestMemoryProperty: whatever happens, the tails are consistent and within their bounds, hold
// every event that the journal's Read does not return, and order ids are forgotten with their
// events if nothing else has those.
func TestMemoryProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m memory
		pins := rapid.Bool().Draw(t, "pins")
		bytesMax := rapid.Int64Range(0, 40_000).Draw(t, "bytesMax")
		m.init(rapid.IntRange(1, 200).Draw(t, "eventsMax"), bytesMax, pins, newBlocks(nil))
		past := make(map[*account]uint64)
		accounts := make([]*account, rapid.IntRange(1, 6).Draw(t, "accounts"))
		for i := range accounts {
			accounts[i] = &account{number: uint64(i + 1), ids: new(orderIDs)}
			if pins { // some accounts were loaded
				seq := rapid.SampledFrom([]uint64{0, 0, 5, 1000}).Draw(t, "loaded")
				accounts[i].tail.head, accounts[i].tail.stored = seq, seq
				past[accounts[i]] = seq
				m.dropped += seq
			}
		}
		for range rapid.IntRange(1, 20).Draw(t, "runs") {
			a := rapid.SampledFrom(accounts).Draw(t, "account")
			if pins && rapid.IntRange(0, 2).Draw(t, "a checkpoint") == 0 {
				m.markStored(a, rapid.Uint64Range(a.tail.stored, a.tail.head).Draw(t, "stored"))
				if err := m.check(accounts); err != nil {
					t.Fatalf("after %d was stored up to %d: %v", a.number, a.tail.stored, err)
				}
				continue
			}
			usual := rapid.SampledFrom([]int{20, 50, 54, 75, 200, 1000}).Draw(t, "usual size")
			for range rapid.IntRange(1, 90).Draw(t, "events") {
				seq := a.tail.head + 1
				a.ids.remember(OrderIDRecord{ID: record.IDHash{High: 1, Low: seq * 1000}, Seq: seq}, orderIDsMax)
				size := usual
				if rapid.IntRange(0, 30).Draw(t, "an unusual one") == 0 {
					size = rapid.SampledFrom([]int{20, 300, 5000}).Draw(t, "size")
				}
				m.add(a, size)
				if (pins || m.bytesMax >= 2*blockBytes) && !a.tail.has(seq) {
					t.Fatalf("event %d of %d was dropped though there is room for it", seq, a.number)
				}
				if err := m.checkBounds(accounts); err != nil {
					t.Fatalf("after event %d of %d: %v", seq, a.number, err)
				}
			}
			if err := m.check(accounts); err != nil {
				t.Fatalf("account %d: %v", a.number, err)
			}
		}
		dropped := uint64(0)
		for _, a := range accounts {
			dropped += a.tail.head
			if a.tail.oldest != 0 {
				dropped -= a.tail.head - a.tail.oldest + 1
			}
		}
		if m.dropped != dropped {
			t.Fatalf("%d events were counted as dropped, want %d", m.dropped, dropped)
		}
		for _, a := range accounts {
			for seq := past[a] + 1; seq <= a.tail.head; seq++ {
				id := record.IDHash{High: 1, Low: seq * 1000}
				if _, known := a.ids.find(new(positions.OrderID), id); known != (a.tail.has(seq) || pins) {
					t.Fatalf("account %d: the id of event %d is remembered: %v; the tail holds %d to %d",
						a.number, seq, known, a.tail.oldest, a.tail.head)
				}
			}
		}
	})
}

// TestMemoryDropsTheOldest: the oldest chunk is dropped first, except that a chunk which is being
// filled stays while there are full ones.
func TestMemoryDropsTheOldest(t *testing.T) {
	var m memory
	m.init(4096, 2*(blockBytes+chunkOverhead)+chunkBytesMin+chunkOverhead, false, newBlocks(nil))
	busy, quiet := &account{number: 1}, &account{number: 2}
	m.add(quiet, 50)
	full := func() bool {
		last := busy.tail.chunks[len(busy.tail.chunks)-1].records
		return cap(last)-len(last) < 70
	}
	for m.add(busy, 64); len(busy.tail.chunks) < 2 || !full(); {
		m.add(busy, 64)
	}
	if quiet.tail.oldest != 1 || busy.tail.oldest != 1 || len(busy.tail.chunks) != 2 {
		t.Fatalf("something was dropped though there is room: %d, %d", quiet.tail.oldest, busy.tail.oldest)
	}
	second := busy.tail.chunks[1].first
	m.add(busy, 70) // begins a third block
	if quiet.tail.oldest != 1 || busy.tail.oldest != second {
		t.Errorf("the quiet account holds from %d, the busy one from %d; "+
			"want 1 and %d: a full chunk goes before one that is being filled",
			quiet.tail.oldest, busy.tail.oldest, second)
	}
	if len(m.blocks.free) != 1 {
		t.Errorf("%d blocks were given back, want 1", len(m.blocks.free))
	}
}

// TestMemoryKeepsTheNewest: if all chunks are being filled, the oldest is dropped, not the one just
// begun.
func TestMemoryKeepsTheNewest(t *testing.T) {
	var m memory
	m.init(4096, blockBytes+chunkOverhead, false, newBlocks(nil))
	busy, quiet := &account{number: 1}, &account{number: 2}
	m.add(quiet, 50)
	for !busy.tail.has(0) && m.bytes <= m.bytesMax && busy.tail.head < blockBytes/64 {
		m.add(busy, 64)
	}
	if quiet.tail.oldest != 0 || !busy.tail.has(blockBytes/64) {
		t.Errorf("the event just added is held: %v; the quiet account holds from %d", busy.tail.has(blockBytes/64),
			quiet.tail.oldest)
	}
}

// TestPinnedMemoryBounded: a pinned event pins its whole chunk. New chunks are small once they
// might exceed the bound, so that many accounts with one pinned event each do not pin a large chunk
// each.
func TestPinnedMemoryBounded(t *testing.T) {
	var m memory
	m.init(4096, 12*blockBytes, true, newBlocks(nil))
	var accounts []*account
	for number := range uint64(40) {
		a := &account{number: number + 1}
		accounts = append(accounts, a)
		for range 200 {
			m.add(a, 54)
			if last := a.tail.chunks[len(a.tail.chunks)-1]; cap(last.records)-len(last.records) < 54 {
				m.markStored(a, a.tail.head-1) // all but the newest
			}
			if err := m.checkBounds(accounts); err != nil {
				t.Fatalf("after event %d of %d: %v", a.tail.head, a.number, err)
			}
		}
	}
	if err := m.check(accounts); err != nil {
		t.Error(err)
	}
	if m.pinned < m.bytesMax {
		t.Errorf("%d bytes are pinned, and the bound is %d: the test needs more", m.pinned, m.bytesMax)
	}
}

// TestBlocksAreUsedAgain: once the memory is full, no more is asked of the kernel.
func TestBlocksAreUsedAgain(t *testing.T) {
	var m memory
	m.init(4096, 2<<20, false, newBlocks(nil))
	a := &account{number: 1}
	for range 10 * 2 << 20 / blockBytes { // blocks
		for range blockBytes / 512 {
			m.add(a, 512)
		}
	}
	if n := len(m.blocks.slabs.all); n != 1 {
		t.Errorf("%d slabs were acquired, want 1", n)
	}
}

// TestBlocksHaveNoPointers: the collector has nothing to look at in a block, or in what a small chunk
// holds.
func TestBlocksHaveNoPointers(t *testing.T) {
	for _, bytes := range []reflect.Type{reflect.TypeFor[block](), reflect.TypeFor[chunk]().Field(0).Type} {
		if kind := bytes.Elem().Kind(); kind != reflect.Uint8 {
			t.Errorf("%v is of %v", bytes, kind)
		}
	}
}

// TestHistoryMemoryBounded: the accounts of a shard together stay within the bound, and the oldest
// sequence rises.
func TestHistoryMemoryBounded(t *testing.T) {
	const bytes = int64(25_000)
	w := newWorld(t, options{bytes: bytes}, alice, bob, carol)
	c := w.loggedIn(alice)
	c.order(buy(3, "x"))
	w.settle()
	memory := &w.eng.shards[0].memory
	var before uint64
	for range 40 {
		for _, number := range []uint64{alice, bob, carol} {
			w.trade(number, 20)
			if memory.bytes > bytes {
				t.Fatalf("%d bytes are held, %d may be", memory.bytes, bytes)
			}
		}
		if oldest := w.account(alice).tail.oldest; oldest < before {
			t.Fatalf("oldest fell from %d to %d", before, oldest)
		} else {
			before = oldest
		}
	}
	if before < 3 {
		t.Fatalf("nothing was dropped: oldest is %d", before)
	}
	if n := w.account(alice).ids.places.used; n != 0 {
		t.Errorf("%d ids outlived their events", n)
	}
	c.seen = len(c.all())
	c.history(0, 1)
	c.order(buy(3, "x"))
	w.settle()
	head := w.journal.head(alice)
	c.expect(fmt.Sprintf("HISTORY %d oldest=%d #3", head-1, before), fmt.Sprintf("EXECUTION %d #4", head))
}

// TestMemoryIsShared: the shards share the memory evenly.
func TestMemoryIsShared(t *testing.T) {
	w := newWorld(t, options{shards: 4})
	for _, s := range w.eng.shards {
		if s.memory.bytesMax != 1<<28 || s.memory.eventsMax != 4096 {
			t.Errorf("a shard may hold %d bytes, %d events of an account", s.memory.bytesMax, s.memory.eventsMax)
		}
	}
}
