package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// decision is the answer of the server's admin API to a bust or a correction.
type decision struct {
	status   int
	body     string
	Seq      uint64 `json:"seq"`
	Repeated bool   `json:"repeated"`
	Bust     struct {
		TradeID string   `json:"trade_id"`
		BustID  string   `json:"bust_id"`
		Reason  string   `json:"reason"`
		Actor   string   `json:"actor"`
		Cascade []string `json:"cascade"`
	} `json:"bust"`
	Error struct {
		Code     string   `json:"code"`
		Message  string   `json:"message"`
		InTheWay []string `json:"in_the_way"`
	} `json:"error"`
}

// fields is the body of a request.
type fields map[string]any

// operate posts a request to the server's admin API.
func (s *server) operate(t testing.TB, collection string, body fields) decision {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+s.admin+"/api/v1/"+collection, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return s.decide(t, r, text)
}

// decide sends a request as an operator: with the token of the data directory, or, where nothing is on disk,
// by the socket.
func (s *server) decide(t testing.TB, asked *http.Request, text []byte) decision {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if token, err := os.ReadFile(filepath.Join(s.cmd.Dir, "papertape-data", "admin.token")); err == nil {
		asked.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	} else {
		transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", "@papertape-admin-"+address)
		}
	}
	client := http.Client{Timeout: patience, Transport: transport}
	r, err := client.Do(asked)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	answer, err := io.ReadAll(r.Body)
	v := decision{status: r.StatusCode, body: string(answer)}
	if err == nil {
		err = json.Unmarshal(answer, &v)
	}
	if err != nil {
		t.Fatalf("%s %s: %v in %s", asked.URL.Path, text, err, answer)
	}
	return v
}

// carriedOut posts a request that must be carried out now, and returns the decision.
func (s *server) carriedOut(t testing.TB, collection string, body fields) decision {
	t.Helper()
	v := s.operate(t, collection, body)
	if v.status != http.StatusOK || v.Repeated || v.Seq == 0 {
		t.Fatalf("%s %v: %d %s, want 200", collection, body, v.status, v.body)
	}
	return v
}

// refusedBy posts a request that must be refused with a status, a code and a sentence, and returns
// the decision.
func (s *server) refusedBy(t testing.TB, status int, code, collection string, body fields) decision {
	t.Helper()
	v := s.operate(t, collection, body)
	if v.status != status || v.Error.Code != code {
		t.Fatalf("%s %v: %d %s, want %d %s", collection, body, v.status, v.body, status, code)
	}
	if err := sentence(v.Error.Message); err != nil {
		t.Fatal(err)
	}
	return v
}

// operatedServer returns the shared server, if the address of its admin API is known.
func operatedServer(t testing.TB) *server {
	t.Helper()
	srv := sharedServer(t)
	if srv.admin == "" {
		t.Skip("where the operator's side of that server is is not known")
	}
	return srv
}

// fromTheFirst logs in and folds every event of the account, so that the shadow can compute busts
// itself.
func fromTheFirst(t testing.TB, srv *server, account uint64) *session {
	t.Helper()
	s := dial(t, srv)
	s.until(s.login(account, restart).HeadSeq)
	return s
}

func tradeOf(ev *pb.AccountEvent) string { return ev.GetTrade().GetId() }

// priced corrects a trade, which was executed at the fixed price, to another price.
func (s *session) priced(ev *pb.AccountEvent, price string) {
	s.t.Helper()
	v := s.server.carriedOut(s.t, "corrections", fields{"trade": tradeOf(ev), "price": price,
		"quantity": ev.GetTrade().Quantity, "reason": "the price was " + price})
	s.until(v.Seq)
}

// sameState checks that only the sequence of an account has changed.
func sameState(t *testing.T, is, was *pb.Holdings) {
	t.Helper()
	type held struct {
		key                      instrument
		quantity, cost, realised int64
	}
	rows := func(h *pb.Holdings) (all []held) {
		for _, p := range h.Positions {
			all = append(all, held{instrument{p.Market, p.Code}, p.Quantity, p.Cost, p.Realised})
		}
		return all
	}
	if !slices.Equal(rows(is), rows(was)) || !proto.Equal(is.Cash, was.Cash) {
		t.Errorf("the account has %v and cash {%v}, want %v and {%v}", rows(is), is.Cash, rows(was), was.Cash)
	}
}

// golden is the golden case of the ledger's page up to the bust, on an account without the
// instrument: buy 100 @ 10, buy 100 @ 20, sell 50 @ 18. Corrections set the prices. It returns the
// three trades.
func golden(s *session, name func(string) string) (first, second, sale *pb.AccountEvent) {
	first = s.execute(named(buy("SZ", "000001", 100), name("first")))
	second = s.execute(named(buy("SZ", "000001", 100), name("second")))
	sale = s.execute(named(sell("SZ", "000001", 50), name("sale")))
	s.priced(second, "20.00")
	s.priced(sale, "18.00")
	return first, second, sale
}

// TestBustGolden takes back the second buy of the golden case while one client watches and another
// is away, and across a kill. 50 shares are left that cost 500, with 400 realised, and the trade
// stays taken back.
func TestBustGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const account = lastAccount // opens empty
	l := &life{t.TempDir(), []string{"--durability", "sync", "--checkpoint-interval", "50ms"}}
	srv := l.start(t)
	s := fromTheFirst(t, srv, account)
	away := open(t, srv, account)
	away.close()
	cash := s.holdings().Cash.Balance
	_, second, _ := golden(s, func(text string) string { return text })
	check := func(t *testing.T, h *pb.Holdings) {
		t.Helper()
		if len(h.Positions) != 1 {
			t.Fatalf("rows {%v}, want one", h.Positions)
		}
		err := differences("after the bust",
			figure{"quantity", h.Positions[0].Quantity, 50},
			figure{"cost", h.Positions[0].Cost, 500 * money},
			figure{"realised", h.Positions[0].Realised, 400 * money},
			figure{"realised of the account", h.Cash.Realised, 400 * money},
			figure{"cash", h.Cash.Balance, cash - 1000*money + 900*money},
		)
		if err != nil {
			t.Error(err)
		}
	}
	bust := fields{"trade": tradeOf(second), "reason": "价格有误", "bust_id": "b-1", "actor": "ann"}
	v := srv.carriedOut(t, "busts", bust)
	s.until(v.Seq)
	t.Run("figures", func(t *testing.T) { check(t, s.on(t).holdings()) })
	t.Run("the event", func(t *testing.T) {
		m := s.event(v.Seq).GetBust()
		if m.TradeId != tradeOf(second) || m.Reason != "价格有误" || m.Actor != "operator" || m.BustId != "b-1" ||
			m.Replacement != nil || m.Original.Revision != 1 {
			t.Errorf("bust {%v}, want that of revision 1 of %s", m, tradeOf(second))
		}
	})
	t.Run("a client that was away", func(t *testing.T) {
		back := dial(t, srv)
		back.book = away.book
		back.resume(account, away.welcome.Epoch, away.cursor)
		back.until(v.Seq)
		samePlace(t, back, s.on(t), away.cursor+1)
		check(t, back.holdings())
	})
	srv.kill()

	again := l.start(t)
	back := fromTheFirst(t, again, account)
	t.Run("after a kill", func(t *testing.T) {
		samePlace(t, back.on(t), s, 1)
		check(t, back.holdings())
	})
	t.Run("the same again", func(t *testing.T) {
		if w := again.operate(t, "busts", bust); w.status != 200 || !w.Repeated || w.Seq != v.Seq ||
			w.Bust.Actor != "operator" {
			t.Errorf("%d %s, want 200 and event %d again", w.status, w.body, v.Seq)
		}
		again.refusedBy(t, 409, "bust_id_reused", "busts",
			fields{"trade": tradeOf(second), "reason": "another", "bust_id": "b-1"})
		w := again.refusedBy(t, 409, "already_busted", "busts",
			fields{"trade": tradeOf(second), "reason": "价格有误", "bust_id": "b-2"})
		if !strings.Contains(w.Error.Message, "already busted by b-1") {
			t.Errorf("%s, want the name of the bust that did it", w.Error.Message)
		}
		back.on(t).alive()
	})
	t.Run("its order again", func(t *testing.T) {
		back.on(t).repeated(back.place(named(buy("SZ", "000001", 100), "second")), second)
		back.refused(named(buy("SZ", "000001", 99), "second"), pb.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID)
		back.alive()
	})
	t.Run("by command", func(t *testing.T) {
		out := papertape(t, again, "holdings", fmt.Sprint(account), "-o", "json")
		for _, want := range []string{`"quantity": 50,`, `"cost": "500.00",`, `"realised": "400.00"`,
			fmt.Sprintf(`"as_of_seq": %d,`, v.Seq)} {
			if !strings.Contains(out, want) {
				t.Errorf("holdings do not say %s:\n%s", want, out)
			}
		}
	})
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	reconciled(t, l.dir)
}

// papertape runs a command against the server, and returns what it printed.
func papertape(t *testing.T, srv *server, args ...string) string {
	t.Helper()
	cmd, err := command(t.TempDir(), nil, append(args, "--admin", srv.admin))
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("papertape %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// reconciled reconciles the ledger of a server that has ended, offline.
func reconciled(t *testing.T, dir string) {
	t.Helper()
	cmd, err := command(dir, nil, []string{"verify", "--data", "papertape-data"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// TestCorrectTwiceThenBust: each correction raises the revision and keeps the trade's place. A
// correction of an old revision is a conflict. A bust takes back the trade in its current form. The
// ledger reconciles.
func TestCorrectTwiceThenBust(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	l := &life{t.TempDir(), []string{"--durability", "sync"}}
	srv := l.start(t)
	s := fromTheFirst(t, srv, lastAccount)
	late := open(t, srv, lastAccount)
	before := s.holdings()
	trade := s.execute(buy("SZ", "000001", 100))
	s.execute(buy("SH", "600036", 10))
	sold := s.execute(sell("SH", "600036", 10))
	correction := func(quantity int, price string, revision any) fields {
		f := fields{"trade": tradeOf(trade), "price": price, "quantity": quantity, "reason": "mistyped"}
		if revision != nil {
			f["revision"] = revision
		}
		return f
	}
	one := srv.carriedOut(t, "corrections", correction(60, "9.98", 0))
	srv.refusedBy(t, 409, "stale_revision", "corrections", correction(70, "9.97", 0))
	srv.refusedBy(t, 409, "nothing_to_correct", "corrections", correction(60, "9.98", nil))
	two := srv.carriedOut(t, "corrections", correction(80, "9.9701", 1))
	s.until(two.Seq)
	for seq, want := range map[uint64]*pb.Trade{
		one.Seq: {Quantity: 60, Price: 9_9800, Revision: 1}, two.Seq: {Quantity: 80, Price: 9_9701, Revision: 2},
	} {
		if got := s.event(seq).GetBust().Replacement; got.Quantity != want.Quantity || got.Price != want.Price ||
			got.Revision != want.Revision {
			t.Errorf("event %d has it stand as {%v}, want {%v}", seq, got, want)
		}
	}
	if h := s.holdings(); len(h.Positions) != 1 || h.Positions[0].Quantity != 80 || h.Positions[0].Cost != 80*9_9701 {
		t.Errorf("holdings {%v}, want 80 that cost 797.608", h)
	}
	gone := srv.carriedOut(t, "busts", fields{"trade": tradeOf(trade), "reason": "never was"})
	srv.refusedBy(t, 409, "already_busted", "corrections", correction(70, "9.97", nil))
	s.until(gone.Seq)
	if m := s.event(gone.Seq).GetBust(); m.Original.Revision != 2 || m.Original.Price != 9_9701 {
		t.Errorf("the bust took back {%v}, want revision 2", m.Original)
	}
	sameState(t, s.holdings(), before)
	late.until(gone.Seq)
	samePlace(t, late, s, trade.Seq)
	late.holdings()
	again := fromTheFirst(t, srv, lastAccount)
	samePlace(t, again, s, sold.Seq)
	again.holdings()
	if err := srv.stop(); err != nil {
		t.Fatal(err)
	}
	reconciled(t, l.dir)
}

// TestBustInTheWay: by default a trade on which others depend is not taken back, and the answer
// names them. A cascade takes all of them back in one event, and leaves the account as if none of
// them had happened.
func TestBustInTheWay(t *testing.T) {
	t.Parallel()
	srv := operatedServer(t)
	t.Run("shares", func(t *testing.T) {
		s := fromTheFirst(t, srv, newAccount())
		s.sellAll("SZ", "000001")
		s.execute(buy("SZ", "000001", 10))
		before := s.holdings()
		trade := s.execute(buy("SZ", "000001", 100))
		first := s.execute(sell("SZ", "000001", 60))
		second := s.execute(sell("SZ", "000001", 50)) // all shares
		bust := fields{"trade": tradeOf(trade), "reason": "wrong account"}
		want := []string{tradeOf(second), tradeOf(first)}
		v := srv.refusedBy(t, 409, "shares_gone", "busts", bust)
		if !slices.Equal(v.Error.InTheWay, want) || !strings.Contains(v.Error.Message, want[0]) ||
			!strings.Contains(v.Error.Message, want[1]) {
			t.Errorf("%s, want %v in the way", v.body, want)
		}
		s.alive()
		bust["policy"] = "cascade"
		v = srv.carriedOut(t, "busts", bust)
		slices.Reverse(want)
		if s.until(v.Seq); !slices.Equal(v.Bust.Cascade, want) ||
			!slices.Equal(s.event(v.Seq).GetBust().Cascade, want) {
			t.Errorf("with it went %v, want %v", v.Bust.Cascade, want)
		}
		sameState(t, s.holdings(), before)
		srv.refusedBy(t, 409, "already_busted", "busts", fields{"trade": tradeOf(first), "reason": "it too"})
		s.execute(sell("SZ", "000001", 10))
	})
	t.Run("cash", func(t *testing.T) {
		s := fromTheFirst(t, srv, newAccount())
		s.sellAll("SZ", "000001")
		cash := s.holdings().Cash.Balance
		shares := cash / ten
		s.execute(buy("SZ", "000001", shares))
		before := s.holdings()
		sale := s.execute(sell("SZ", "000001", shares/2))
		first := s.execute(buy("SZ", "000333", 1))
		second := s.execute(buy("SZ", "000001", shares/2-10))
		bust := fields{"trade": tradeOf(sale), "reason": "never was", "policy": "reject"}
		v := srv.refusedBy(t, 409, "cash_gone", "busts", bust)
		if want := []string{tradeOf(second), tradeOf(first)}; !slices.Equal(v.Error.InTheWay, want) {
			t.Errorf("%s, want %v in the way", v.body, want)
		}
		s.alive()
		bust["policy"] = "cascade"
		v = srv.carriedOut(t, "busts", bust)
		s.until(v.Seq)
		if want := []string{tradeOf(first), tradeOf(second)}; !slices.Equal(v.Bust.Cascade, want) {
			t.Errorf("with it went %v, want %v", v.Bust.Cascade, want)
		}
		sameState(t, s.holdings(), before)
		s.execute(sell("SZ", "000001", shares))
	})
}

// TestBustRefused: only a trade can be taken back, and a request that is not understood does
// nothing.
func TestBustRefused(t *testing.T) {
	t.Parallel()
	srv, account := operatedServer(t), newAccount()
	s := fromTheFirst(t, srv, account)
	trade := tradeOf(s.execute(buy("SZ", "000001", 1)))
	correction := srv.carriedOut(t, "corrections", fields{"trade": trade, "price": "10.01", "quantity": 1,
		"reason": "r"})
	s.until(correction.Seq)
	of := func(seq uint64) string { return fmt.Sprintf("%d-%d", account, seq) }
	for _, c := range []struct {
		status     int
		code, what string
		body       fields
	}{
		{404, "unknown_account", "busts", fields{"trade": "99-1", "reason": "r"}},
		{404, "unknown_trade", "busts", fields{"trade": of(s.cursor + 1), "reason": "r"}},
		{404, "not_a_trade", "busts", fields{"trade": of(1), "reason": "r"}}, // the opening cash
		{404, "not_a_trade", "busts", fields{"trade": of(correction.Seq), "reason": "r"}},
		{400, "bad_request", "busts", fields{"trade": trade}},
		{400, "bad_request", "busts", fields{"trade": "one", "reason": "r"}},
		{400, "bad_request", "busts", fields{"trade": trade, "reason": "r", "policy": "force"}},
		{400, "bad_request", "busts", fields{"trade": trade, "reason": "two\nlines"}},
		{400, "bad_request", "corrections", fields{"trade": trade, "reason": "r", "price": "10", "quantity": 0}},
		{400, "bad_request", "corrections", fields{"trade": trade, "reason": "r", "price": "0", "quantity": 1}},
		{409, "cash_gone", "corrections", fields{"trade": trade, "reason": "r", "price": "1000000",
			"quantity": 1_000_000}},
	} {
		srv.refusedBy(t, c.status, c.code, c.what, c.body)
	}
	s.alive()
	s.holdings()
}

// TestBustOnce: however many requests have the same id, one is carried out and all get the same
// answer. Of requests with different ids one succeeds.
func TestBustOnce(t *testing.T) {
	t.Parallel()
	srv := operatedServer(t)
	s := fromTheFirst(t, srv, newAccount())
	for _, own := range []bool{false, true} {
		trade := tradeOf(s.execute(buy("SZ", "000001", 1)))
		decisions := make([]decision, 8)
		var asking []func(testing.TB)
		for i := range decisions {
			body := fields{"trade": trade, "reason": "at once", "bust_id": trade}
			if own {
				body["bust_id"] = fmt.Sprintf("%s %d", trade, i)
			}
			asking = append(asking, func(t testing.TB) { decisions[i] = srv.operate(t, "busts", body) })
		}
		together(t, asking...)
		did := 0
		for _, v := range decisions {
			switch {
			case v.status == 200 && !v.Repeated:
				did++
			case own && v.status == 409 && v.Error.Code == "already_busted":
			case !own && v.status == 200 && v.Repeated && v.Seq == s.cursor+1:
			default:
				t.Errorf("answered %d %s", v.status, v.body)
			}
		}
		if did != 1 {
			t.Errorf("it was done %d times", did)
		}
		s.until(s.cursor + 1)
		s.alive()
		s.holdings()
	}
}

// TestBustWhileTrading takes trades back and corrects them while their account goes on trading. The
// judge of each session folds every event, in whatever order they come.
func TestBustWhileTrading(t *testing.T) {
	t.Parallel()
	srv, account := operatedServer(t), newAccount()
	mover, watcher := fromTheFirst(t, srv, account), fromTheFirst(t, srv, account)
	first := mover.cursor + 1
	mover.churn(20)
	r := rand.New(rand.NewPCG(seed(t), 2))
	statuses := map[int]int{}
	together(t, func(t testing.TB) {
		mover.on(t).churn(600)
	}, func(t testing.TB) {
		for n := range 40 {
			body := fields{
				"trade": fmt.Sprintf("%d-%d", account, first+r.Uint64N(20)), "reason": "at random",
				"policy": "cascade", "bust_id": fmt.Sprint(first, n),
			}
			what := "busts"
			if n%2 == 0 {
				what, body["price"], body["quantity"] = "corrections", "10.5", 1+r.IntN(2)
			}
			v := srv.operate(t, what, body)
			statuses[v.status]++
			if v.status != 200 && v.status != 409 {
				t.Fatalf("%s %v: %d %s", what, body, v.status, v.body)
			}
		}
	})
	if mover.on(t); statuses[200] < 2 {
		t.Fatalf("answers %v, want some of it done", statuses)
	}
	head := fromTheFirst(t, srv, account)
	for _, s := range []*session{mover, watcher} {
		s.until(head.cursor)
		samePlace(t, s, head, first)
		s.alive()
		s.holdings()
	}
	head.holdings()
}
