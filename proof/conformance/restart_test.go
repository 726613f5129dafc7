package conformance

import (
	"fmt"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// life is a series of servers in one working directory, which holds their data.
type life struct {
	dir   string
	flags []string
}

// start starts a server in the directory. It ends with the test.
func (l *life) start(t *testing.T, more ...string) *server {
	t.Helper()
	s, err := launch(l.dir, nil, append(append(quietly(), l.flags...), more...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill() // if the test has not ended it
		if t.Failed() {
			t.Logf("a server's last lines:\n%s", s.log)
		}
	})
	return s
}

// TestRestart ends servers in every way while clients are connected, and starts them again on the
// data and the port that they left.
func TestRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, c := range []struct {
		durability string
		killed     bool
		keeps      bool // the epoch is kept
	}{
		{"sync", false, true}, {"sync", true, true},
		{"interval", false, true}, {"interval", true, false},
		{"none", false, false}, {"none", true, false},
	} {
		how := "stopped"
		if c.killed {
			how = "killed"
		}
		t.Run(c.durability+" "+how, func(t *testing.T) {
			t.Parallel()
			l := &life{t.TempDir(), []string{"--durability", c.durability}}
			srv := l.start(t)
			s := open(t, srv, firstAccount)
			s.churn(30)
			late := s.execute(named(buy("SZ", "000001", 7), "late"))
			if c.killed {
				srv.kill()
			} else {
				if err := srv.stop(); err != nil {
					t.Fatal(err)
				}
				s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
			}
			again := l.start(t, "--listen", srv.listen)
			if again.listen != srv.listen {
				t.Fatalf("the second listens on %s, want %s", again.listen, srv.listen)
			}
			back := dial(t, again)
			if kept := back.welcome.Epoch == s.welcome.Epoch; kept != c.keeps {
				t.Errorf("epoch %#x, and then %#x: kept is %v, want %v", s.welcome.Epoch, back.welcome.Epoch, kept,
					c.keeps)
			}
			if back.welcome.Instance == s.welcome.Instance {
				t.Errorf("instance %#x before and after a start", s.welcome.Instance)
			}
			if c.keeps {
				resumed(t, s, back, late)
			} else {
				resynced(t, s, back)
			}
			back.churn(2)
			back.holdings()
			back.alive()
			if err := again.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// resynced checks that sequences of an old epoch mean nothing.
func resynced(t *testing.T, before, back *session) {
	t.Helper()
	r := back.resume(firstAccount, before.welcome.Epoch, before.cursor)
	if r.Mode != snapshot || !r.Resynced {
		t.Errorf("reply {%v}, want a snapshot, resynced", r)
	}
}

// resumed checks that everything is unchanged, up to the last event and the last order id.
func resumed(t *testing.T, before, back *session, late *pb.AccountEvent) {
	t.Helper()
	const missed = 20
	back.resume(firstAccount, before.welcome.Epoch, before.cursor-missed)
	if r := back.reply; r.Mode != pb.ResumeMode_RESUME_MODE_RESUME || r.Resynced || r.HeadSeq != before.cursor ||
		r.OldestSeq != 1 {
		t.Fatalf("reply {%v}, want RESUME with head %d, and all of it kept", r, before.cursor)
	}
	back.until(before.cursor)
	samePlace(t, back, before, before.cursor-missed+1)
	f := back.place(named(buy("SZ", "000001", 7), "late"))
	if f.kind != kExecution || !f.replay() || !proto.Equal(f.body, late) {
		t.Errorf("the last order again: %v, want event %d again with REPLAY", f, late.Seq)
	}
	back.refused(named(buy("SZ", "000001", 8), "late"), pb.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID)
	all := dial(t, back.server)
	if r := all.login(firstAccount, restart); r.Mode != restart || r.OldestSeq != 1 {
		t.Fatalf("reply {%v}, want all of it from 1", r)
	}
	all.until(before.cursor)
	samePlace(t, all, before, before.reply.HeadSeq+1)
	all.holdings()
}

// TestRestartPaging pages through a history that the second server can only read from the first
// one's disk.
func TestRestartPaging(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	l := &life{t.TempDir(), []string{"--durability", "sync", "--checkpoint-interval", "20ms"}}
	srv := l.start(t)
	s := open(t, srv, firstAccount)
	s.churn(1000)
	srv.kill()
	back := open(t, l.start(t), firstAccount)
	if back.cursor != s.cursor {
		t.Fatalf("the account is at event %d, want %d", back.cursor, s.cursor)
	}
	for before := s.cursor + 1; before > s.reply.HeadSeq+1; {
		h := back.history(before, 64)
		if len(h.Events) == 0 || h.OldestSeq != 1 {
			t.Fatalf("page before %d: %d events, oldest_seq %d", before, len(h.Events), h.OldestSeq)
		}
		for _, ev := range h.Events {
			if before--; ev.Seq != before {
				t.Fatalf("event %d where %d belongs", ev.Seq, before)
			}
			if before > s.reply.HeadSeq && !proto.Equal(ev, s.event(before)) {
				t.Fatalf("event %d is {%v}, was pushed as {%v}", before, ev, s.event(before))
			}
		}
	}
	back.alive()
}

// TestRestartManyIDs repeats order ids after a restart: some that must be remembered, and one that
// was forgotten before.
func TestRestartManyIDs(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of orders")
	}
	t.Parallel()
	const remembered = 4096
	l := &life{t.TempDir(), []string{"--durability", "sync"}}
	srv := l.start(t)
	s := open(t, srv, firstAccount)
	id := func(n int) *pb.Order {
		o := named(buy("SZ", "000001", 1), fmt.Sprintf("many-%d", n))
		if n%2 == 1 {
			o.Side = pb.Side_SIDE_SELL
		}
		return o
	}
	first := s.cursor + 1
	const batch = 64
	for n := 0; n <= remembered; n += batch {
		orders := make([]*pb.Order, 0, batch)
		for i := n; i < n+batch; i++ {
			orders = append(orders, id(i))
		}
		for _, request := range s.sendAll(orders...) {
			if f := s.answer(request); f.kind != kExecution || f.replay() {
				t.Fatalf("got %v, want EXECUTION", f)
			}
		}
	}
	total := int(s.cursor - first + 1)
	srv.kill()
	back := open(t, l.start(t), firstAccount)
	for _, n := range []int{total - remembered, total - remembered/2, total - 1} {
		if f := back.place(id(n)); f.kind != kExecution || !f.replay() ||
			!proto.Equal(f.body, s.event(first+uint64(n))) {
			t.Errorf("order %d of %d again: %v, want event %d with REPLAY", n, total, f, first+uint64(n))
		}
	}
	if f := back.place(id(total - remembered - 2)); f.kind != kExecution || f.replay() {
		t.Errorf("an order whose id was forgotten: %v, want it executed", f)
	}
	back.alive()
}
