package conformance

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// TestShutdownUnderLoad stops a server while eight clients place orders.
func TestShutdownUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	srv := start(t)
	const clients = 8
	idle, stranger := open(t, srv, lastAccount), dial(t, srv)
	var executed [clients]atomic.Int64
	var parts []func(t testing.TB)
	for i := range clients {
		s := open(t, srv, firstAccount+uint64(i))
		parts = append(parts, func(t testing.TB) { orderUntilGoodbye(s.on(t), &executed[i]) })
	}
	parts = append(parts, func(t testing.TB) {
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			busy := 0
			for i := range executed {
				if executed[i].Load() >= 50 {
					busy++
				}
			}
			if busy == clients {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("only %d of %d clients had 50 orders executed within %v", busy, clients, patience)
			}
		}
		if err := srv.signal(); err != nil {
			t.Fatal(err)
		}
	})
	together(t, parts...)
	t.Run("a session that does nothing is told too", func(t *testing.T) {
		idle.on(t).goodbye(pb.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
	})
	t.Run("a connection that has not logged in is told too", func(t *testing.T) {
		stranger.on(t).goodbye(pb.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
	})
	t.Run("exit code 0", func(t *testing.T) {
		if err := srv.wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody listens any more", func(t *testing.T) {
		if c, err := net.DialTimeout("tcp", srv.listen, patience); err == nil {
			_ = c.Close()
			t.Error("a connection was accepted after the end")
		}
	})
}

// orderUntilGoodbye keeps sixteen orders in flight until the server refuses them as draining, then
// reads up to the GOODBYE. The judge checks that the events have no hole.
func orderUntilGoodbye(s *session, executed *atomic.Int64) {
	s.t.Helper()
	const window = 16
	drained, side := false, 0
	more := func() []byte {
		o := buy("SZ", "000001", 1)
		if side++; side%2 == 0 {
			o.Side = pb.Side_SIDE_SELL
		}
		b, _ := s.request(nil, kOrder, o)
		return b
	}
	for {
		for !drained && len(s.asked) < window {
			if err := s.tryWrite(more()); err != nil {
				drained = true // the server has closed; what it sent before is still to be read
			}
		}
		f, err := s.tryNext()
		if err != nil {
			s.t.Fatalf("the connection ended with %v, want GOODBYE SHUTDOWN first", err)
		}
		switch m := f.body.(type) {
		case *pb.AccountEvent:
			executed.Add(1)
		case *pb.Reject:
			s.rejected(f, pb.RejectCode_REJECT_CODE_DRAINING)
			drained = true
		case *pb.Goodbye:
			if m.Reason != pb.GoodbyeReason_GOODBYE_REASON_SHUTDOWN {
				s.t.Fatalf("got %v, want GOODBYE SHUTDOWN", f)
			}
			if f, err := s.tryNext(); err == nil || !isCut(err) {
				s.t.Fatalf("got %v, error %v after GOODBYE, want the end", f, err)
			}
			return
		default:
			s.t.Fatalf("unexpected %v", f)
		}
	}
}
