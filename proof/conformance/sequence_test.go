package conformance

import (
	"fmt"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// TestSessionsOfOneAccount trades from two sessions of one account and one of another, all at once.
func TestSessionsOfOneAccount(t *testing.T) {
	t.Parallel()
	srv := sharedServer(t)
	account, other := newAccount(), newAccount()
	a, b, c := open(t, srv, account), open(t, srv, account), open(t, srv, other)
	const orders = 200 // of each session
	first := a.cursor + 1
	part := func(s *session, code string) func(t testing.TB) {
		return func(t testing.TB) {
			s.on(t)
			for range orders / 20 {
				var batch []*pb.Order
				for range 20 {
					batch = append(batch, buy("SZ", code, 1))
				}
				last := uint64(0)
				for _, id := range s.sendAll(batch...) {
					f := s.answer(id)
					ev, ok := f.body.(*pb.AccountEvent)
					if !ok || f.replay() {
						t.Fatalf("an order was answered %v, want EXECUTION", f)
					}
					if ev.Seq <= last {
						t.Fatalf("order executed as %d after one executed as %d, want the order in which they "+
							"were sent", ev.Seq, last)
					}
					last = ev.Seq
				}
			}
		}
	}
	together(t, part(a, "000001"), part(b, "000001"), part(c, "000333"))
	for _, s := range []*session{a, b, c} {
		s.on(t)
	}
	head := first - 1 + 2*orders
	a.until(head)
	b.until(head)
	t.Run("both sessions saw the same events", func(t *testing.T) { samePlace(t, a.on(t), b.on(t), first) })
	t.Run("the orderer gets EXECUTION, the other EVENT", func(t *testing.T) {
		for i := range a.events {
			at, bt := a.events[i], b.events[i]
			if (at.kind == kExecution) == (bt.kind == kExecution) {
				t.Fatalf("event %d came as type %d and %d, want one EXECUTION and one EVENT", at.event.Seq, at.kind,
					bt.kind)
			}
		}
		if n := executions(a); n != orders {
			t.Errorf("%d executions, want %d", n, orders)
		}
	})
	t.Run("the other account saw only its own", func(t *testing.T) {
		if n := executions(c); n != orders || len(c.events) != orders {
			t.Errorf("%d events, %d of them executions; want %d of its own orders", len(c.events), n, orders)
		}
	})
	for name, s := range map[string]*session{"first": a, "second": b, "other account": c} {
		t.Run("nothing more comes: "+name, func(t *testing.T) {
			s.on(t)
			s.alive()
			s.holdings()
		})
	}
}

// executions counts the events that came as the answer to an order.
func executions(s *session) (n int) {
	for _, a := range s.events {
		if a.kind == kExecution {
			n++
		}
	}
	return n
}

// TestResume logs in to an account again in every possible way.
func TestResume(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	mover := open(t, srv, account)
	mover.churn(10)
	head, epoch := mover.cursor, mover.welcome.Epoch
	// live checks that events continue without REPLAY, and that the session then knows as much as
	// the mover.
	live := func(t *testing.T, s *session) {
		t.Helper()
		mover.on(t)
		mover.churn(2)
		s.until(mover.cursor)
		for _, a := range s.events[len(s.events)-2:] {
			if a.kind != kEvent || a.flags != 0 {
				t.Errorf("live event %d came as type %d with flags %#x", a.event.Seq, a.kind, a.flags)
			}
		}
		s.alive()
		s.holdings()
		head = mover.cursor
	}
	for _, missed := range []uint64{4, 0} {
		t.Run(fmt.Sprintf("RESUME after %d missed", missed), func(t *testing.T) {
			s := dial(t, srv)
			r := s.resume(account, epoch, head-missed)
			if r.Mode != pb.ResumeMode_RESUME_MODE_RESUME || r.Resynced || r.HeadSeq != head {
				t.Fatalf("reply {%v}, want RESUME with head %d", r, head)
			}
			s.until(head)
			s.alive()
			if len(s.events) != int(missed) {
				t.Fatalf("%d events came, want the %d missed", len(s.events), missed)
			}
			mover.on(t)
			samePlace(t, s, mover, 1)
			live(t, s)
		})
	}
	t.Run("RESUME from the beginning", func(t *testing.T) {
		s := dial(t, srv)
		s.book = newShadow(account, true)
		if r := s.resume(account, epoch, 0); r.Mode != pb.ResumeMode_RESUME_MODE_RESUME || r.OldestSeq != 1 {
			t.Fatalf("reply {%v}, want RESUME from 1", r)
		}
		s.until(head)
		live(t, s)
	})
	for name, at := range map[string]struct{ epoch, last uint64 }{
		"RESUME of another epoch":    {epoch + 1, head},
		"RESUME without an epoch":    {0, head},
		"RESUME from the future":     {epoch, head + 1000},
		"RESUME from the far future": {epoch, 1<<64 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := dial(t, srv)
			r := s.resume(account, at.epoch, at.last)
			if r.Mode != snapshot || !r.Resynced || r.HeadSeq != head {
				t.Fatalf("reply {%v}, want a snapshot as of %d, resynced", r, head)
			}
			s.alive()
			live(t, s)
		})
	}
	t.Run("RESTART", func(t *testing.T) {
		s := dial(t, srv)
		r := s.loginWith(&pb.Login{Account: account, Mode: restart, LastSeq: 1 << 50, Epoch: 3})
		if r.Mode != restart || r.Resynced || r.OldestSeq != 1 || r.HeadSeq != head {
			t.Fatalf("reply {%v}, want RESTART from 1 to %d", r, head)
		}
		s.until(head)
		live(t, s)
	})
	t.Run("QUICK", func(t *testing.T) {
		s := dial(t, srv)
		if r := s.login(account, quick); r.Mode != quick || r.Resynced || r.HeadSeq != head {
			t.Fatalf("reply {%v}, want QUICK with head %d", r, head)
		}
		if got := s.ping(); got != head || len(s.events) != 0 {
			t.Errorf("head_seq %d after %d events, want %d after none", got, len(s.events), head)
		}
		live(t, s)
	})
}

// TestHistoryKept makes more events than memory keeps, on a server without a disk. The oldest
// events are dropped, and a session that needs them is resynced.
func TestHistoryKept(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of events")
	}
	t.Parallel()
	const kept = 4096 // of an account, with durability none
	srv, account := start(t, "--durability", "none"), uint64(firstAccount)
	mover := open(t, srv, account)
	mover.churn(6000)
	late := mover.execute(named(buy("SZ", "000001", 1), fmt.Sprintf("kept-%d", mover.cursor)))
	mover.execute(sell("SZ", "000001", 1))
	mover.churn(3000)
	head, epoch := mover.cursor, mover.welcome.Epoch

	s := dial(t, srv)
	r := s.login(account, restart)
	oldest := r.OldestSeq
	t.Run("oldest_seq rises", func(t *testing.T) {
		if oldest <= 1 || head-oldest+1 < kept {
			t.Errorf("oldest_seq %d of %d: want it risen, and the last %d kept", oldest, head, kept)
		}
	})
	t.Run("RESTART begins at oldest_seq", func(t *testing.T) {
		s.on(t)
		s.until(head)
		mover.on(t)
		samePlace(t, s, mover, oldest)
		s.alive()
	})
	t.Run("RESUME just before it", func(t *testing.T) {
		s := dial(t, srv)
		if r := s.resume(account, epoch, oldest-1); r.Mode != pb.ResumeMode_RESUME_MODE_RESUME {
			t.Fatalf("reply {%v}, want RESUME", r)
		}
		s.until(head)
		s.alive()
	})
	t.Run("RESUME from before that is resynced", func(t *testing.T) {
		s := dial(t, srv)
		if r := s.resume(account, epoch, oldest-2); r.Mode != snapshot || !r.Resynced {
			t.Fatalf("reply {%v}, want a snapshot, resynced", r)
		}
		s.alive()
	})
	t.Run("HISTORY ends at it", func(t *testing.T) {
		s := open(t, srv, account)
		h := s.history(oldest+3, 100)
		if len(h.Events) != 3 || h.OldestSeq != oldest {
			t.Errorf("%d events down to oldest_seq %d, want 3 down to %d", len(h.Events), h.OldestSeq, oldest)
		}
		if h := s.history(oldest, 100); len(h.Events) != 0 {
			t.Errorf("%d events before the oldest", len(h.Events))
		}
	})
	t.Run("an order id of 3,000 events ago is remembered", func(t *testing.T) {
		mover.on(t)
		f := mover.place(named(buy("SZ", "000001", 1), late.GetTrade().ClientOrderId))
		if f.kind != kExecution || !f.replay() || !proto.Equal(f.body, late) {
			t.Errorf("got %v, want event %d again with REPLAY", f, late.Seq)
		}
		mover.alive()
	})
}

// TestOrderDuringReplay places orders, asks for the list and sends heartbeats while thousands of
// events are still to be replayed.
func TestOrderDuringReplay(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	mover := open(t, srv, account)
	if mover.cursor > 100 {
		t.Skip("the account was traded on before, and its history would not be kept long enough")
	}
	mover.churn(4000 - int(mover.cursor))
	head := mover.cursor

	s := dial(t, srv).shrinkReceiveBuffer()
	if r := s.login(account, restart); r.HeadSeq != head || r.OldestSeq != 1 {
		t.Fatalf("reply {%v}, want all events up to %d", r, head)
	}
	// Only the reply has been read: far more than the buffers hold is still to come.
	const orders = 20
	holdings := s.send(kHoldings, &pb.HoldingsRequest{})
	batch := make([]*pb.Order, orders)
	for i := range batch {
		batch[i] = buy("SZ", "000333", 1)
	}
	ids := s.sendAll(batch...)
	holdingsAfter := s.send(kHoldings, &pb.HoldingsRequest{})
	history := s.send(kHistory, &pb.HistoryRequest{Limit: 5})
	refused := s.send(kOrder, buy("SZ", "000333", -1))
	ping := s.send(kPing, &pb.Ping{})
	mover.churn(50) // live events come while the replay is under way
	mover.until(head + 50 + orders)

	t.Run("executions come at their place", func(t *testing.T) {
		s.on(t)
		last := head
		for _, id := range ids {
			f := s.answer(id) // the judge has checked its place in the sequence
			ev, ok := f.body.(*pb.AccountEvent)
			if !ok || f.replay() || ev.Seq <= last {
				t.Fatalf("got %v after sequence %d, want EXECUTION without REPLAY", f, last)
			}
			last = ev.Seq
		}
	})
	t.Run("everything came, once each", func(t *testing.T) {
		s.on(t)
		mover.on(t)
		s.until(mover.cursor)
		samePlace(t, s, mover, mover.reply.HeadSeq+1)
		if n := executions(s); n != orders || uint64(len(s.events)) != s.cursor {
			t.Errorf("%d events, %d executions; want %d and %d", len(s.events), n, s.cursor, orders)
		}
	})
	t.Run("holdings come after the events they hold", func(t *testing.T) {
		s.on(t)
		s.answer(holdings) // the judge has checked as_of_seq
		if h, ok := s.answer(holdingsAfter).body.(*pb.Holdings); !ok || h.AsOfSeq < head+orders {
			t.Errorf("got {%v}, want holdings after the orders before them", h)
		}
	})
	t.Run("all else is answered too", func(t *testing.T) {
		s.on(t)
		s.answer(ping)
		if h, ok := s.answer(history).body.(*pb.History); !ok || len(h.Events) != 5 {
			t.Errorf("got {%v}, want 5 events", h)
		}
		s.rejected(s.answer(refused), pb.RejectCode_REJECT_CODE_BAD_QUANTITY)
		s.alive()
		s.holdings()
	})
}

// TestHistory pages through an account's events.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.churn(130)
	head := s.cursor
	cases := []struct {
		name   string
		before uint64
		limit  uint32
		newest uint64
		count  int
	}{
		{"limit 0 means 20, before 0 the head", 0, 0, head, 20},
		{"a limit", 0, 7, head, 7},
		{"before is exclusive", head, 3, head - 1, 3},
		{"before the middle", head - 50, 10, head - 51, 10},
		{"past the head means the head", head + 1000, 2, head, 2},
		{"far past the head", 1<<64 - 1, 2, head, 2},
		{"just past the head", head + 1, 1, head, 1},
		{"100 at most", 0, 100, head, 100},
		{"more than 100 means 100", 0, 101, head, 100},
		{"far more than 100 means 100", 0, 1<<32 - 1, head, 100},
		{"the first", 2, 20, 1, 1},
		{"nothing before the first", 1, 20, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.on(t)
			h := s.history(c.before, c.limit)
			if len(h.Events) != c.count || h.OldestSeq != 1 {
				t.Fatalf("%d events, oldest_seq %d; want %d and 1", len(h.Events), h.OldestSeq, c.count)
			}
			if c.count > 0 && h.Events[0].Seq != c.newest {
				t.Errorf("from %d down, want from %d", h.Events[0].Seq, c.newest)
			}
		})
	}
	t.Run("pages give every event as it was pushed", func(t *testing.T) {
		s.on(t)
		pushed := map[uint64]*pb.AccountEvent{}
		for _, a := range s.events {
			pushed[a.event.Seq] = a.event
		}
		compared := 0
		for before := head + 1; before > 1; {
			h := s.history(before, 33)
			if len(h.Events) == 0 || h.Events[0].Seq != before-1 {
				t.Fatalf("page before %d: {%v}, want it from %d down", before, h, before-1)
			}
			for _, ev := range h.Events {
				if want := pushed[ev.Seq]; want != nil {
					compared++
					if !proto.Equal(ev, want) {
						t.Errorf("event %d is {%v} in history, was pushed as {%v}", ev.Seq, ev, want)
					}
				}
			}
			before = h.Events[len(h.Events)-1].Seq
		}
		if compared != len(s.events) {
			t.Errorf("%d of %d pushed events found in history", compared, len(s.events))
		}
	})
}
