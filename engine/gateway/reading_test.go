package gateway

import (
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// answers takes the answers to n requests, and counts executions and BUSY.
func answers(p *peer, n int) (executed, busies int) {
	p.t.Helper()
	for range n {
		switch f := p.frame(); f.Type {
		case codec.TypeExecution:
			executed++
		case codec.TypeReject:
			if r := decoded(p.t, f, new(papertapev1.Reject)); r.GetCode() != busy || r.GetRetryAfterMs() == 0 {
				p.t.Fatalf("REJECT %s, want BUSY, and when to try again", says(f))
			}
			busies++
		default:
			p.t.Fatalf("%v %s, want EXECUTION or REJECT", f.Type, says(f))
		}
	}
	return executed, busies
}

func TestRequestsInFlightMax(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.Journal = journal })
	p, other := s.user(t, alice), s.user(t, alice+1) // of the other shard, which is not held up
	open := journal.shut(t)
	p.write(p.appendOrders(nil, 300))
	if executed, busies := answers(p, 44); executed != 0 || busies != 44 {
		t.Errorf("%d executed, %d BUSY; want 0 and 44 of 300 before the commit", executed, busies)
	}
	if n := s.sessionOf(t, p).engine.InFlight(); n != 256 {
		t.Errorf("%d requests in flight, want 256", n)
	}
	p.write(p.request(nil, codec.TypeHistory)) // a query counts too
	p.rejected(p.id, busy)
	p.alive() // a PING does not count
	open()
	if executed, busies := answers(p, 256); executed != 256 || busies != 0 {
		t.Errorf("%d executed, %d BUSY; want all 256", executed, busies)
	}
	if n := s.gw.Stats().Busy.Load(); n != 45 {
		t.Errorf("%d BUSY counted, want 45", n)
	}
	p.trade(2)
	other.trade(2)
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight at the end, want 0", n)
	}
}

func TestInboxOrdersMax(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.InboxOrdersMax, e.Shards, e.Journal = 8, 1, journal })
	p, other := s.user(t, alice), s.user(t, bob)
	open := journal.shut(t)
	p.write(p.appendOrder(nil))
	eventually(t, "the first order is being committed", journal.committing)
	p.write(p.appendOrders(nil, 20))
	if executed, busies := answers(p, 12); executed != 0 || busies != 12 {
		t.Errorf("%d executed, %d BUSY; want 0 and 12 of 20 before the commit", executed, busies)
	}
	other.write(other.appendOrders(nil, 5))
	if executed, busies := answers(other, 5); executed != 0 || busies != 5 {
		t.Errorf("%d executed, %d BUSY of another client; want 0 and 5: the inbox is full", executed, busies)
	}
	late := s.peer(t) // logins are not refused: they go through the control lane
	late.welcome()
	late.write(late.loginFrame(carol, quick, 0))
	open()
	if executed, busies := answers(p, 9); executed != 9 || busies != 0 {
		t.Errorf("%d executed, %d BUSY; want 9 and 0", executed, busies)
	}
	late.expect(codec.TypeLoginReply)
	if n := s.gw.Stats().Busy.Load(); n != 17 {
		t.Errorf("%d BUSY counted, want 17", n)
	}
	p.orders++ // the last that was executed was a purchase, so a sale is next
	p.trade(2)
	for _, p := range []*peer{p, other} {
		if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
			t.Errorf("%d requests in flight at the end, want 0", n)
		}
	}
}
