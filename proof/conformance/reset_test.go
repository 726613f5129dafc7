package conformance

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// foldReset begins the account anew. The event has every row that was held, by market and code, and nothing
// more of it.
func (b *shadow) foldReset(ev *pb.AccountEvent, m *pb.Reset) error {
	if m.Reason == "" || m.Actor == "" || m.Cash < 0 || ev.Change != pb.Change_CHANGE_UNSPECIFIED {
		return fmt.Errorf("reset {%v}, change %v: want a reason, who did it, cash of 0 or more, and no change", m,
			ev.Change)
	}
	keys := b.keys()
	if len(ev.Positions) != len(keys) || ev.TotalMarketValue != 0 {
		return fmt.Errorf("a reset of %d rows has %d, and leaves %d", len(keys), len(ev.Positions), ev.TotalMarketValue)
	}
	for i, p := range ev.Positions {
		if want := (&pb.Position{Market: keys[i].market, Code: keys[i].code}); !proto.Equal(p, want) {
			return fmt.Errorf("row {%v} of a reset, want {%v}", p, want)
		}
	}
	b.balance, b.fees, b.realised, b.adjusted = m.Cash, 0, 0, m.Cash
	clear(b.rows)
	clear(b.closed)
	b.trades, b.whole = nil, true
	return nil
}

// TestToolShadowReset: a reset is accepted as it is, and no other.
func TestToolShadowReset(t *testing.T) {
	fold := func(change func(ev *pb.AccountEvent)) (*shadow, error) {
		b := newShadow(9, true)
		for _, ev := range goldenEvents() {
			if err := b.fold(ev); err != nil {
				t.Fatal(err)
			}
		}
		ev := &pb.AccountEvent{
			Account: 9, Seq: 5, Time: 1, Cash: &pb.Cash{Balance: 700},
			What:      &pb.AccountEvent_Reset_{Reset_: &pb.Reset{Cash: 700, Reason: "r", Actor: "a"}},
			Positions: []*pb.Position{{Market: "SZ", Code: "000001"}},
		}
		change(ev)
		return b, b.fold(ev)
	}
	if b, err := fold(func(*pb.AccountEvent) {}); err != nil || len(b.rows) != 0 || b.balance != 700 {
		t.Errorf("%+v, %v", b, err)
	}
	for want, change := range map[string]func(ev *pb.AccountEvent){
		"want a reason":                 func(ev *pb.AccountEvent) { ev.GetReset_().Reason = "" },
		"who did it":                    func(ev *pb.AccountEvent) { ev.GetReset_().Actor = "" },
		"and no change":                 func(ev *pb.AccountEvent) { ev.Change = pb.Change_CHANGE_CLOSED },
		"a reset of 1 rows has 0":       func(ev *pb.AccountEvent) { ev.Positions = nil },
		"and leaves 1":                  func(ev *pb.AccountEvent) { ev.TotalMarketValue = 1 },
		"of a reset, want {market":      func(ev *pb.AccountEvent) { ev.Positions[0].RowVersion = 5 },
		"cash balance 701, want 700":    func(ev *pb.AccountEvent) { ev.Cash.Balance++ },
		"realised of the account 1, wa": func(ev *pb.AccountEvent) { ev.Cash.Realised++ },
	} {
		if _, err := fold(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestBookings opens an account, books cash in and out and resets, while one client watches and another is away,
// and across a kill. What was before the reset stays, and can no longer be taken back.
func TestBookings(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	l := &life{t.TempDir(), []string{"--durability", "sync", "--checkpoint-interval", "50ms"}}
	srv := l.start(t)
	opened := srv.carriedOut(t, "accounts", fields{"account": 300001, "cash": "5000.00", "reason": "a new pupil"})
	if opened.Seq != 1 {
		t.Errorf("opened by event %d, want 1", opened.Seq)
	}
	srv.refusedBy(t, 409, "account_exists", "accounts", fields{"account": 300001, "cash": "1.00", "reason": "again"})
	const account = 300001
	path := func(what string) string { return fmt.Sprintf("accounts/%d/%s", account, what) }
	s := fromTheFirst(t, srv, account)
	away := open(t, srv, account)
	away.close()
	trade := s.execute(named(buy("SZ", "000001", 100), "once"))
	s.execute(buy("SH", "600036", 10))
	srv.refusedBy(t, 409, "insufficient_cash", path("withdraw"), fields{"amount": "5000.01", "reason": "all"})
	deposit := fields{"amount": "500.50", "reason": "pocket money", "request_id": "d-1"}
	srv.carriedOut(t, path("deposit"), deposit)
	srv.carriedOut(t, path("withdraw"), fields{"amount": "0.50", "reason": "a fine"})
	reset := fields{"reason": "a new term", "request_id": "r-1"}
	done := srv.carriedOut(t, path("reset"), reset)
	s.until(done.Seq)
	m := s.event(done.Seq)
	if r := m.GetReset_(); r.GetCash() != 5000*money || r.GetActor() != "operator" || len(m.Positions) != 2 {
		t.Errorf("event {%v}, want a reset to the cash of the opening that takes two rows", m)
	}
	sold := s.execute(buy("SZ", "000001", 7))
	check := func(t *testing.T, s *session) {
		t.Helper()
		if h := s.on(t).holdings(); len(h.Positions) != 1 || h.Positions[0].Quantity != 7 ||
			h.Cash.Balance != 5000*money-7*ten {
			t.Errorf("holdings {%v}, want 7 SZ.000001 and what is left of 5000.00", h)
		}
	}
	check(t, s)
	srv.refusedBy(t, 409, "before_reset", "busts", fields{"trade": tradeOf(trade), "reason": "late"})
	back := dial(t, srv)
	back.book = away.book
	back.resume(account, away.welcome.Epoch, away.cursor)
	back.until(sold.Seq)
	samePlace(t, back, s, away.cursor+1)
	srv.kill()

	again := l.start(t)
	after := fromTheFirst(t, again, account)
	samePlace(t, after, s, 1)
	check(t, after)
	for what, body := range map[string]fields{"deposit": deposit, "reset": reset} {
		if w := again.operate(t, path(what), body); w.status != 200 || !w.Repeated {
			t.Errorf("%s again: %d %s, want what was done", what, w.status, w.body)
		}
	}
	again.refusedBy(t, 409, "request_id_reused", path("deposit"),
		fields{"amount": "500.51", "reason": "pocket money", "request_id": "d-1"})
	after.on(t).repeated(after.place(named(buy("SZ", "000001", 100), "once")), trade)
	bust := again.carriedOut(t, "busts", fields{"trade": tradeOf(sold), "reason": "never was"})
	after.until(bust.Seq)
	if h := after.holdings(); len(h.Positions) != 0 || h.Cash.Balance != 5000*money || h.Cash.Realised != 0 {
		t.Errorf("holdings {%v}, want the reset account", h)
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	reconciled(t, l.dir)
}
