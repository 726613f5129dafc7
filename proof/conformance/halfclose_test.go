package conformance

import (
	"net"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// twentyOrders sends twenty orders, and the trailing bytes after them in the same write.
func (s *session) twentyOrders(trailing ...byte) (ids []uint64) {
	s.t.Helper()
	var b []byte
	for range 10 {
		for _, o := range []*pb.Order{buy("SZ", "000001", 100), sell("SZ", "000001", 100)} {
			var id uint64
			b, id = s.request(b, kOrder, o)
			ids = append(ids, id)
		}
	}
	s.write(append(b, trailing...))
	return ids
}

// mustExecute waits until each of the orders is answered with EXECUTION.
func (s *session) mustExecute(ids []uint64) {
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
	s.mustExecute(ids)
	s.eof()
}

// TestOrdersBeforeWhatEndsTheConnection sends orders and, directly after them, bytes that are not
// a frame and end the connection. The orders are answered first.
func TestOrdersBeforeWhatEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.mustExecute(s.twentyOrders(0, 0, 0, 0))
	s.rejectWithoutID(pb.RejectCode_REJECT_CODE_MALFORMED)
	s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
}
