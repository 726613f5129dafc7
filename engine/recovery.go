package engine

import (
	"fmt"

	"github.com/papertape/papertape/positions"
)

// Recovery happens before the first request: Load every account that a checkpoint stored, on one goroutine, then Replay every
// event of the commits after the mark, in order; a shard (ShardOf) on one goroutine, different shards on as many as there are. What is replayed is pinned in memory as it was before the crash, and comes to
// no more than Config.UncheckpointedBytesMax let be then. Should that be more than it is now, orders are refused until a
// checkpoint is durable, and one is wanted at once.

// Load opens an account as a checkpoint stored it. Nothing of st is kept. It is an error if st is no state that an account can
// be in, or if the account is there already; the engine is then of no use.
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
		a.remember(r, nil, s.idsMax)
	}
	s.accounts[st.Account] = a
	return nil
}

func (st *AccountState) checkIDs(most int) error {
	if n := len(st.IDs); n > most {
		return fmt.Errorf("account %d remembers %d order ids; at most %d can be", st.Account, n, most)
	}
	if n := len(st.Events) + len(st.Forgotten); n > 0 {
		return fmt.Errorf("account %d is loaded with events or forgotten order ids", st.Account)
	}
	before := uint64(0)
	for _, r := range st.IDs {
		if r.Seq <= before || r.Seq > st.Seq {
			return fmt.Errorf("account %d as of event %d has an order id of event %d after one of %d", st.Account, st.Seq, r.Seq, before)
		}
		before = r.Seq
	}
	return nil
}

// Replay applies an event that was committed after the mark. An event that its account has already is skipped. Any other than
// the next one, or one that cannot be, is an error, and the engine of no use. Nothing of ev is kept but what its pointers
// lead to.
func (e *Engine) Replay(ev *positions.Event) error {
	s := e.shardOf(ev.Account)
	s.drainer.Take() // of the lane that replays the shard
	err := s.replay(ev)
	s.drainer.Release()
	return err
}

func (s *shard) replay(ev *positions.Event) error {
	a := s.find(ev.Account)
	if a != nil && ev.Seq <= a.tail.head {
		return nil
	}
	if err := s.book.Check(ev); err != nil {
		return fmt.Errorf("engine: replay: %w", err)
	}
	s.book.Apply(ev)
	if a == nil {
		a = s.add(ev.Account)
	}
	if ev.Kind == positions.KindTrade && !ev.Trade.OrderID.IsZero() {
		a.remember(orderIDRecord(&ev.Trade, ev.Seq, s.eng.cfg.Universe), a.clash(&ev.Trade.OrderID), s.idsMax)
	}
	s.keep(a, ev)
	if s.pressed() {
		s.eng.want()
	}
	return nil
}

// add makes what the engine keeps of an account that was just opened.
func (s *shard) add(number uint64) *account {
	s.drainer.Check()
	a := &account{number: number}
	s.accounts[number] = a
	return a
}

// keep adds the event to the tail, and notes that no checkpoint has stored it.
func (s *shard) keep(a *account, ev *positions.Event) {
	s.drainer.Check()
	s.memory.append(a, ev)
	if s.keeps {
		s.dirty.add(a)
	}
}

// clash returns id if its hash is that of an id which is remembered: it was executed all the same, so it is another one.
func (a *account) clash(id *positions.OrderID) *positions.OrderID {
	if a.ids == nil {
		return nil
	}
	if _, known := a.ids.find(id, idHash(id)); !known {
		return nil
	}
	return id
}

func (a *account) remember(r OrderIDRecord, clash *positions.OrderID, most int) {
	if a.ids == nil {
		a.ids = new(orderIDs)
	}
	a.ids.remember(r, clash, most)
}
