package conformance

import (
	"net"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// twentyOrders sends twenty orders, and the given bytes after them in the same write.
func (s *session) twentyOrders(behind ...byte) (ids []uint64) {
	s.t.Helper()
	var b []byte
	for range 10 {
		for _, o := range []*pb.Order{buy("SZ", "000001", 100), sell("SZ", "000001", 100)} {
			var id uint64
			b, id = s.request(b, kOrder, o)
			ids = append(ids, id)
		}
	}
	s.write(append(b, behind...))
	return ids
}

func (s *session) executed(ids []uint64) {
	s.t.Helper()
	for _, id := range ids {
		if f := s.answer(id); f.kind != kExecution {
			s.t.Fatalf("order %d was answered with %v, want EXECUTION", id, f)
		}
	}
}

// TestSendingHalfShutDown sends orders, shuts down its sending side, and reads: every order is
// answered, then the server closes.
func TestSendingHalfShutDown(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	ids := s.twentyOrders()
	if err := s.socket.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.executed(ids)
	s.eof()
}

// TestOrdersBeforeWhatEndsTheConnection sends orders, and directly after them bytes that are no
// frame. The orders are answered first.
func TestOrdersBeforeWhatEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.executed(s.twentyOrders(0, 0, 0, 0))
	s.rejectWithoutID(pb.RejectCode_REJECT_CODE_MALFORMED)
	s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
}
