package engine

import (
	"context"
	"fmt"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Recovery happens before the first request. Load every account that a checkpoint stored, on one
// goroutine. Then Replay every event of the commits after the mark, in order: each shard (ShardOf)
// on one goroutine, different shards concurrently. Replayed events are pinned in memory as they
// were before the crash, so they take no more than the Config.UncheckpointedBytesMax of that time.
// If that is more than the present limit, orders are refused until a checkpoint is durable, and one
// is requested at once.

// Use sets the table of instruments and the key of order ids with which events are recorded. It is
// called before the first event, unless the engine's own may be used, as with a journal that keeps
// nothing.
func (e *Engine) Use(t *record.Table, key record.IDKey) {
	for _, s := range e.shards {
		s.drainer.Take()
		s.table, s.idKey = t, key
		s.drainer.Release()
	}
}

// Load adds an account in the state that a checkpoint stored. It keeps nothing of st. It is an
// error if no account can be in the state st, or if the account exists already; the engine is then
// unusable.
func (e *Engine) Load(st *AccountState) error {
	s := e.shardOf(st.Account)
	s.drainer.Take()
	defer s.drainer.Release()
	if err := st.checkIDs(s.idsMax); err != nil {
		return fmt.Errorf("engine: load: %w", err)
	}
	if err := s.book.Restore(st.Account, st.Seq, st.Cash, st.Rows); err != nil {
		return fmt.Errorf("engine: load: %w", err)
	}
	a := &account{number: st.Account, copied: st.Seq}
	a.tail.head, a.tail.stored = st.Seq, st.Seq
	for _, r := range st.IDs {
		a.remember(r, s.idsMax)
	}
	s.accounts[st.Account] = a
	s.highest = max(s.highest, st.Account)
	return nil
}

func (st *AccountState) checkIDs(limit int) error {
	if n := len(st.IDs); n > limit {
		return fmt.Errorf("account %d remembers %d order ids; at most %d can be", st.Account, n, limit)
	}
	if n := len(st.Runs) + len(st.Forgotten); n > 0 {
		return fmt.Errorf("account %d is loaded with events or forgotten order ids", st.Account)
	}
	before := uint64(0)
	for _, r := range st.IDs {
		if r.Seq <= before || r.Seq > st.Seq {
			return fmt.Errorf("account %d as of event %d has an order id of event %d after one of %d",
				st.Account, st.Seq, r.Seq, before)
		}
		before = r.Seq
	}
	return nil
}

// Replay applies an event that was committed after the mark. An event that its account already has
// is skipped. Any other event that is not the next one, or is not possible, is an error, and the
// engine is then unusable. rec is the event's record. Neither is kept.
func (e *Engine) Replay(ev *positions.Event, rec []byte) error {
	s := e.shardOf(ev.Account)
	s.drainer.Take() // for the goroutine that replays the shard
	err := s.replay(ev, rec)
	s.drainer.Release()
	return err
}

// NewestTime returns the time of the newest event of all accounts, in nanoseconds since the Unix epoch, or
// 0 if there is none. It is called after recovery, before the first request, on one goroutine. It reads
// from the journal for each account of which memory has no events.
func (e *Engine) NewestTime(ctx context.Context) (newest int64, err error) {
	var read []positions.Event
	for _, s := range e.shards {
		s.drainer.Take()
		for _, a := range s.accounts {
			if err = ctx.Err(); err == nil {
				read, err = s.newestOf(a, read[:0], &newest)
			}
			if err != nil {
				break
			}
		}
		s.drainer.Release()
	}
	return newest, err
}

// newestOf raises newest to the time of the account's newest event. It returns its scratch memory.
func (s *shard) newestOf(a *account, read []positions.Event, newest *int64) ([]positions.Event, error) {
	if head := a.tail.head; a.tail.has(head) {
		at, err := record.Time(a.tail.at(head))
		*newest = max(*newest, at)
		return read, err
	}
	read, err := s.eng.cfg.Journal.Read(read, a.number, a.tail.head, 1)
	for i := range read {
		*newest = max(*newest, read[i].Time)
	}
	if err != nil {
		return read, fmt.Errorf("engine: the newest event of account %d: %w", a.number, err)
	}
	return read, nil
}

func (s *shard) replay(ev *positions.Event, rec []byte) error {
	a := s.find(ev.Account)
	if a != nil && ev.Seq <= a.tail.head {
		return nil
	}
	if err := s.book.Check(ev); err != nil {
		return fmt.Errorf("engine: replay: %w", err)
	}
	s.book.Apply(ev)
	if a == nil {
		a = s.addAccount(ev.Account)
	}
	if ev.Kind == positions.KindTrade && !ev.Trade.OrderID.IsZero() {
		a.remember(s.orderIDRecord(&ev.Trade, ev.Seq), s.idsMax)
	}
	s.appendToTail(a, ev.Seq, rec)
	if s.wantsCheckpoint() {
		s.eng.requestCheckpoint()
	}
	return nil
}

// addAccount adds what the engine keeps of an account that was just opened.
func (s *shard) addAccount(number uint64) *account {
	s.drainer.Check()
	a := &account{number: number}
	s.accounts[number] = a
	s.highest = max(s.highest, number)
	return a
}

// appendToTail adds the record of event seq to the tail, and marks the account as dirty.
func (s *shard) appendToTail(a *account, seq uint64, rec []byte) {
	s.drainer.Check()
	s.memory.append(a, seq, rec)
	if s.keeps {
		s.dirty.add(a)
	}
}

func (a *account) remember(r OrderIDRecord, limit int) {
	if a.ids == nil {
		a.ids = new(orderIDs)
	}
	a.ids.remember(r, limit)
}
