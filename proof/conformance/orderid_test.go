package conformance

import (
	"fmt"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// repeated checks that f repeats original: an EXECUTION with REPLAY, without a new event.
func (s *session) repeated(f frame, original *pb.AccountEvent) {
	s.t.Helper()
	if f.kind != kExecution || !f.replay() || !proto.Equal(f.body, original) {
		s.t.Fatalf("got %v, want event {%v} again with REPLAY", f, original)
	}
}

func TestOrderIDs(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	s := open(t, srv, account)
	s.sellAll("SZ", "000001")
	// A server with earlier trades remembers their ids.
	name := func(text string) string { return fmt.Sprintf("%s-%x-%d", text, s.welcome.Uid, s.reply.HeadSeq) }
	original := s.execute(named(buy("SZ", "000001", 100), name("A 1!~")))
	t.Run("the same again is answered with the original", func(t *testing.T) {
		s.on(t)
		s.repeated(s.place(named(buy("SZ", "000001", 100), name("A 1!~"))), original)
		s.alive()
		s.holdings()
	})
	t.Run("the market's MIC code is the same content", func(t *testing.T) {
		s.on(t)
		s.repeated(s.place(named(buy("XSHE", "000001", 100), name("A 1!~"))), original)
	})
	t.Run("from another session too, later", func(t *testing.T) {
		s.on(t)
		s.execute(sell("SZ", "000001", 100))
		late := open(t, srv, account)
		late.repeated(late.place(named(buy("SZ", "000001", 100), name("A 1!~"))), original)
		late.alive()
		s.alive()
	})
	limited := named(buy("SZ", "000001", 100), name("A 1!~"))
	limited.LimitPrice = ten
	for what, o := range map[string]*pb.Order{
		"quantity":   named(buy("SZ", "000001", 101), name("A 1!~")),
		"side":       named(sell("SZ", "000001", 100), name("A 1!~")),
		"instrument": named(buy("SZ", "000333", 100), name("A 1!~")),
		"limit":      limited,
	} {
		t.Run("another "+what+" is refused", func(t *testing.T) {
			s.on(t)
			s.refused(o, pb.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID)
			s.alive()
		})
	}
	t.Run("a refused order's id is free again", func(t *testing.T) {
		s.on(t)
		s.refused(named(buy("SZ", "000001", 1_000_000_000), name("B")), pb.RejectCode_REJECT_CODE_INSUFFICIENT_CASH)
		ev := s.execute(named(buy("SZ", "000001", 2), name("B")))
		s.repeated(s.place(named(buy("SZ", "000001", 2), name("B"))), ev)
		s.execute(sell("SZ", "000001", 2))
	})
	t.Run("ids are of one account", func(t *testing.T) {
		other := open(t, srv, newAccount())
		other.execute(named(buy("SZ", "000001", 100), name("A 1!~")))
		other.execute(sell("SZ", "000001", 100))
	})
	t.Run("twice in one write", func(t *testing.T) {
		s.on(t)
		ids := s.sendAll(named(buy("SZ", "000001", 3), name("C")), named(buy("SZ", "000001", 3), name("C")))
		f := s.answer(ids[0])
		if f.kind != kExecution || f.replay() {
			t.Fatalf("got %v, want EXECUTION", f)
		}
		s.repeated(s.answer(ids[1]), f.body.(*pb.AccountEvent))
		s.execute(sell("SZ", "000001", 3))
		s.alive()
	})
	t.Run("at once from two connections", func(t *testing.T) {
		a, b := open(t, srv, account), open(t, srv, account)
		const rounds = 50
		answers := [2][]frame{}
		race := func(i int, s *session) func(t testing.TB) {
			return func(t testing.TB) {
				s.on(t)
				for round := range rounds {
					o := named(buy("SZ", "000001", 1), fmt.Sprintf("%s %d", name("D"), round))
					answers[i] = append(answers[i], s.place(o))
				}
			}
		}
		first := a.cursor + 1
		together(t, race(0, a), race(1, b))
		a.on(t)
		b.on(t)
		a.until(first + rounds - 1)
		b.until(first + rounds - 1)
		for i := range answers[0] {
			x, y := answers[0][i], answers[1][i]
			if x.kind != kExecution || y.kind != kExecution || x.replay() == y.replay() ||
				!proto.Equal(x.body, y.body) {
				t.Fatalf("answers %v and %v, want the same execution, one of them with REPLAY", x, y)
			}
		}
		samePlace(t, a, b, first)
		a.alive()
		b.alive()
		a.execute(sell("SZ", "000001", rounds))
	})
}
