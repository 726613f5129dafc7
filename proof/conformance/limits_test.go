package conformance

import (
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// eventually repeats attempt until it succeeds, because the server notices a closed connection with
// a delay.
func eventually(t *testing.T, what string, attempt func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !attempt(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen within %v", what, patience)
		}
	}
}

// refusedAsFull checks that a new connection gets WELCOME, GOODBYE FULL and the end of the stream.
func refusedAsFull(t *testing.T, srv *server) {
	t.Helper()
	dial(t, srv).goodbye(pb.GoodbyeReason_GOODBYE_REASON_FULL)
}

// admitted reports whether a new connection is let in. If so, the connection stays open.
func admitted(t *testing.T, srv *server) bool {
	t.Helper()
	s := dial(t, srv)
	id := s.send(kPing, &pb.Ping{})
	f, err := s.tryNext()
	return err == nil && f.kind == kPong && f.id == id
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"--connections-max", "--connections-prelogin-max", "--connections-per-ip-max"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			srv := start(t, limit, "3")
			s := []*session{dial(t, srv), dial(t, srv), dial(t, srv)}
			refusedAsFull(t, srv)
			refusedAsFull(t, srv)
			s[0].ping() // open connections stay open
			s[1].ping()
			s[2].close()
			eventually(t, "a place becoming free", func() bool { return admitted(t, srv) })
			refusedAsFull(t, srv)
			if limit == "--connections-prelogin-max" {
				s[0].login(firstAccount, snapshot) // and so is no longer counted
				eventually(t, "a place becoming free by a login", func() bool { return admitted(t, srv) })
				s[0].alive()
			}
		})
	}
}

func TestSessionLimit(t *testing.T) {
	t.Parallel()
	srv := start(t, "--sessions-per-account-max", "2")
	a, b := open(t, srv, firstAccount), open(t, srv, firstAccount)
	third := func(t *testing.T) (*session, frame) {
		t.Helper()
		s := dial(t, srv)
		s.account = firstAccount
		s.send(kLogin, &pb.Login{Account: firstAccount, Mode: snapshot})
		return s, s.next()
	}
	t.Run("a third is turned away", func(t *testing.T) {
		s, f := third(t)
		if f.kind == kReject { // an answer to the request may come first
			f = s.next()
		}
		if g, ok := f.body.(*pb.Goodbye); !ok || g.Reason != pb.GoodbyeReason_GOODBYE_REASON_FULL {
			t.Fatalf("got %v, want GOODBYE FULL", f)
		}
		s.eof()
	})
	t.Run("another account is not concerned", func(t *testing.T) { open(t, srv, firstAccount+1).alive() })
	t.Run("the two go on", func(t *testing.T) {
		a.on(t).churn(2)
		b.on(t).until(a.cursor)
		b.alive()
	})
	t.Run("one leaves, one comes", func(t *testing.T) {
		b.close()
		eventually(t, "a place becoming free", func() bool {
			_, f := third(t)
			return f.kind == kLoginReply
		})
		a.on(t).alive()
	})
}

// TestInFlight pipelines more orders than the limit allows. Each is answered once, and those
// executed were executed in the order in which they were sent.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"256 by default": nil,
		"4 by flag":      {"--requests-in-flight-max", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, account := sharedServer(t), newAccount()
			if flags != nil {
				srv, account = start(t, flags...), firstAccount
			}
			s := open(t, srv, account)
			s.sellAll("SZ", "000001")
			before := s.cursor
			const orders = 1000
			batch := make([]*pb.Order, orders)
			for i := range batch {
				batch[i] = buy("SZ", "000001", 1)
			}
			executed, busy, last := 0, 0, uint64(0)
			for _, id := range s.sendAll(batch...) {
				f := s.answer(id)
				if f.kind == kReject {
					s.rejected(f, pb.RejectCode_REJECT_CODE_BUSY)
					busy++
					continue
				}
				seq := f.body.(*pb.AccountEvent).Seq
				if f.replay() || seq <= last {
					t.Fatalf("got %v after sequence %d, want the order in which they were sent", f, last)
				}
				last = seq
				executed++
			}
			t.Logf("%d executed, %d busy", executed, busy)
			if executed == 0 || executed+busy != orders || s.cursor != before+uint64(executed) {
				t.Errorf("%d executed, %d busy, sequence %d after %d", executed, busy, s.cursor, before)
			}
			s.alive()
			s.holdings()
			s.sellAll("SZ", "000001")
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	srv := start(t, "--orders-per-second", "5")
	s := open(t, srv, firstAccount)
	executed, limited := 0, 0
	batch := make([]*pb.Order, 200)
	for i := range batch {
		batch[i] = buy("SZ", "000001", 1)
	}
	for _, id := range s.sendAll(batch...) {
		if f := s.answer(id); f.kind == kExecution {
			executed++
		} else {
			s.rejected(f, pb.RejectCode_REJECT_CODE_RATE_LIMITED)
			limited++
		}
	}
	if executed == 0 || limited == 0 {
		t.Errorf("%d executed, %d limited; want some of each", executed, limited)
	}
	t.Run("another account is not concerned", func(t *testing.T) { open(t, srv, firstAccount+1).churn(2) })
	s.alive()
	s.holdings()
}

// TestStalledReader stops reading while another session of the account trades. The stalled session
// is cut, no other session notices, and after a new login it gets everything that it missed.
func TestStalledReader(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
		wait  time.Duration
	}{
		{"its outbox is full", []string{"--outbox-bytes-max", "64KiB"}, 0},
		{"it takes nothing for too long", []string{"--outbox-bytes-max", "8MiB", "--stall-timeout", "1s"},
			4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.wait > 0 && testing.Short() {
				t.Skip("takes 4 s")
			}
			t.Parallel()
			srv := start(t, c.flags...)
			mover, reader, bystander := open(t, srv, lastAccount), open(t, srv, lastAccount), open(t, srv, firstAccount)
			stalled := dial(t, srv).shrinkReceiveBuffer()
			stalled.login(lastAccount, snapshot)
			mover.churn(10)
			stalled.until(mover.cursor)
			const missed = 4000 // fewer than are kept, but far more than the buffers hold
			for range missed / 200 {
				mover.churn(200)
				reader.until(mover.cursor)
				bystander.churn(2)
			}
			for deadline := time.Now().Add(c.wait); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				mover.ping()
			}
			readToTheEnd(t, stalled, mover.cursor)

			back := dial(t, srv)
			back.book = stalled.book
			first := stalled.cursor + 1
			r := back.resume(lastAccount, stalled.welcome.Epoch, stalled.cursor)
			if r.Mode != pb.ResumeMode_RESUME_MODE_RESUME || r.Resynced {
				t.Fatalf("reply {%v}, want RESUME after %d", r, stalled.cursor)
			}
			mover.churn(10)
			back.until(mover.cursor) // the judge has compared every sequence, and folded every event
			samePlace(t, back, mover, first)
			for _, s := range []*session{mover, back} {
				s.alive()
				s.holdings()
			}
			reader.until(mover.cursor)
			samePlace(t, reader, mover, 1)
		})
	}
}

// readToTheEnd reads the rest of a stalled session's stream. Its connection must have been cut
// before head.
func readToTheEnd(t *testing.T, s *session, head uint64) {
	t.Helper()
	for {
		f, err := s.tryNext()
		if err != nil {
			if !isCut(err) {
				t.Fatalf("at sequence %d: %v, want the connection cut", s.cursor, err)
			}
			break
		}
		if g, ok := f.body.(*pb.Goodbye); ok && g.Reason != pb.GoodbyeReason_GOODBYE_REASON_SLOW {
			t.Fatalf("got %v, want GOODBYE SLOW or none", f)
		}
		if s.cursor == head {
			t.Fatalf("the stalled session got everything up to %d and was not cut", head)
		}
	}
	t.Logf("cut at sequence %d of %d", s.cursor, head)
}

// TestSlowCatchUp reads a long replay slowly. Slow reading alone is no reason to be cut.
func TestSlowCatchUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	srv := start(t, "--outbox-bytes-max", "64KiB")
	mover := open(t, srv, lastAccount)
	mover.churn(3000)
	s := dial(t, srv).shrinkReceiveBuffer()
	s.login(lastAccount, restart)
	for s.cursor < mover.cursor {
		s.until(min(s.cursor+200, mover.cursor))
		time.Sleep(20 * time.Millisecond)
	}
	for _, a := range s.events {
		if a.event.Seq > mover.reply.HeadSeq && !proto.Equal(a.event, mover.event(a.event.Seq)) {
			t.Fatalf("event {%v}, want {%v}", a.event, mover.event(a.event.Seq))
		}
	}
	s.alive()
	s.holdings()
}
