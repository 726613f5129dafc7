package journal

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// recovered collects what a journal gives at its start.
type recovered struct {
	table    *record.Table
	accounts map[uint64]*recoveredAccount
	replayed int
}

type recoveredAccount struct {
	loaded engine.AccountState // Seq 0: not loaded
	seq    uint64
	cash   positions.Cash
	rows   map[market.ID]positions.Row
	events []positions.Event // replayed, after loaded.Seq
}

func (r *recovered) Use(t *record.Table, _ record.IDKey) { r.table = t }

func (r *recovered) Load(st *engine.AccountState) error {
	a := &recoveredAccount{loaded: *st, seq: st.Seq, cash: st.Cash, rows: make(map[market.ID]positions.Row)}
	a.loaded.Rows, a.loaded.IDs = slices.Clone(st.Rows), slices.Clone(st.IDs)
	for _, row := range st.Rows {
		a.rows[row.Instrument] = row
	}
	if r.accounts[st.Account] != nil {
		return fmt.Errorf("account %d is loaded twice", st.Account)
	}
	r.accounts[st.Account] = a
	return nil
}

// ShardOf puts all accounts into one shard, so that only one goroutine uses r.
func (r *recovered) ShardOf(uint64) int { return 0 }

func (r *recovered) Replay(ev *positions.Event, rec []byte) error {
	r.replayed++
	if !bytes.Equal(rec, r.table.Append(nil, ev)) {
		return fmt.Errorf("event %d of account %d came with the record %x", ev.Seq, ev.Account, rec)
	}
	a := r.accounts[ev.Account]
	if a == nil {
		a = &recoveredAccount{rows: make(map[market.ID]positions.Row)}
		r.accounts[ev.Account] = a
	}
	if ev.Seq <= a.seq {
		return nil
	}
	if ev.Seq != a.seq+1 {
		return fmt.Errorf("account %d is at event %d, and event %d comes", ev.Account, a.seq, ev.Seq)
	}
	a.seq, a.cash = ev.Seq, ev.Cash
	a.events = append(a.events, *ev)
	_, rows := stateAfter([]positions.Event{*ev})
	if ev.Kind == positions.KindReset {
		clear(a.rows)
	}
	touched := ev.Bust
	if ev.Kind == positions.KindTrade {
		touched = &positions.Bust{Positions: []positions.Position{ev.Position}}
	}
	if touched != nil {
		for _, p := range touched.Positions {
			delete(a.rows, p.Instrument)
		}
	}
	maps.Copy(a.rows, rows)
	return nil
}

// recoverFrom opens and recovers a journal.
func recoverFrom(dir string, o Options) (*Journal, *recovered, error) {
	j, err := Open(dir, o)
	if err != nil {
		return nil, nil, err
	}
	r := &recovered{accounts: make(map[uint64]*recoveredAccount)}
	if err := j.Recover(context.Background(), r, nil); err != nil {
		_ = j.Close()
		return nil, nil, err
	}
	return j, r, nil
}

// compare compares what was recovered with the world. Each account must have all that was
// acknowledged and at most what was decided, with each event, row and order id as it was.
func (w *world) compare(j *Journal, r *recovered, acked map[uint64]int) error {
	var err error
	seen := 0
	w.each(func(number uint64, a *worldAccount) {
		got := r.accounts[number]
		if got == nil {
			if acked[number] > 0 && err == nil {
				err = fmt.Errorf("account %d is lost", number)
			}
			return
		}
		seen++
		if err == nil {
			err = a.compare(j, number, got, acked[number])
		}
	})
	if err == nil && seen != len(r.accounts) {
		err = fmt.Errorf("%d accounts came back, of which %d had been there", len(r.accounts), seen)
	}
	return err
}

func (a *worldAccount) compare(j *Journal, number uint64, got *recoveredAccount, acked int) error {
	n := int(got.seq)
	if n < acked || n > len(a.events) {
		return fmt.Errorf("account %d came back at event %d; acknowledged were %d, decided %d",
			number, n, acked, len(a.events))
	}
	history, err := j.Read(nil, number, 1, n+1)
	if err != nil {
		return err
	}
	if stored := int(got.loaded.Seq); len(history) != stored {
		return fmt.Errorf("account %d: %d events are stored, and its checkpoint is of event %d",
			number, len(history), stored)
	}
	history = append(history, got.events...)
	for i := range history {
		if !sameEvent(history[i], a.events[i]) {
			return fmt.Errorf("account %d, event %d:\n got %+v\nwant %+v", number, i+1, history[i], a.events[i])
		}
	}
	want, wantRows := stateAfter(a.events[:n])
	if len(history) != n || got.cash != want || !maps.Equal(got.rows, wantRows) {
		return fmt.Errorf("account %d as of event %d:\n got %+v %+v\nwant %+v %+v",
			number, n, got.cash, got.rows, want, wantRows)
	}
	if hash := stateHash(number, history); hash != stateHash(number, a.events[:n]) {
		return fmt.Errorf("account %d as of event %d has another state hash", number, n)
	}
	if ids := a.rememberedIDs(int(got.loaded.Seq), &j.idKey); !slices.Equal(ids, got.loaded.IDs) {
		return fmt.Errorf("account %d: order ids\n got %v\nwant %v", number, got.loaded.IDs, ids)
	}
	return nil
}

// sameEvent is reflect.DeepEqual for events, but fast.
func sameEvent(a, b positions.Event) bool {
	if !reflect.DeepEqual(a.Bust, b.Bust) || !reflect.DeepEqual(a.Adjustment, b.Adjustment) ||
		!reflect.DeepEqual(a.Reset, b.Reset) {
		return false
	}
	a.Bust, a.Adjustment, b.Bust, b.Adjustment = nil, nil, nil, nil
	a.Reset, b.Reset = nil, nil
	return a == b
}
