// Package judge checks a server of the protocol from outside. Papertape and the servers it
// is compared with pass the same checks, so that no figure is ever taken from a server with
// wrong answers.
//
//	judge.Server(t, address) // prices fixed, nobody else trades, and AccountsMin accounts were opened with seed 1
package judge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// AccountsMin is the number of accounts that a server must open for the checks.
const AccountsMin = 100

const (
	emptyAccount = 100100 // opened with nothing
	crowd        = 8      // clients at once
	crowded      = 3      // accounts that they share
	ordersEach   = 60
	outstanding  = 16
)

// Server runs all checks. They leave their trades behind, so run it once per start of a
// server.
func Server(t *testing.T, address string) {
	t.Helper()
	t.Run("frames", func(t *testing.T) { frames(t, address) })
	Business(t, address)
}

// Business runs all checks except those with invalid frames.
func Business(t *testing.T, address string) {
	t.Helper()
	t.Run("opening", func(t *testing.T) { opening(t, address) })
	t.Run("door", func(t *testing.T) { door(t, address) })
	t.Run("numbers", func(t *testing.T) { numbers(t, address) })
	t.Run("pushes", func(t *testing.T) { pushes(t, address) })
	t.Run("crowd", func(t *testing.T) { together(t, address) })
}

// opening: each account starts as Papertape opens it, and its holdings match their hash.
func opening(t *testing.T, address string) {
	for number := uint64(simulator.FirstAccount); number < simulator.FirstAccount+AccountsMin; number += 7 {
		c := Dial(t, address)
		reply := c.Login(number)
		if reply.GetMode() != papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT ||
			reply.GetHeadSeq() != reply.GetHoldings().GetAsOfSeq() {
			t.Errorf("account %d: the login's reply is %v", number, reply)
		}
		want := newModel(number)
		opening := simulator.OpeningOf(number, 1, c.universe)
		want.adjust(opening.Adjustment.Cash)
		for _, o := range opening.Orders {
			want.trade(o.Instrument, int64(o.Quantity), c.universe.Opening().At(o.Instrument))
		}
		want.compare(t, c.universe, reply.GetHoldings())
		c.Close()
	}
}

// door: requests before a login, and logins that fail.
func door(t *testing.T, address string) {
	c := Dial(t, address)
	c.Send(codec.AppendPing(nil, 7, 0))
	if f := c.Read(); f.Type != codec.TypePong || f.ID != 7 || f.Flags != codec.FlagReply {
		t.Errorf("PING before login was answered %v %d %d", f.Type, f.ID, f.Flags)
	}
	for range 3 {
		c.Send(codec.Append(nil, codec.TypeLogin, 0, 8, &papertapev1.Login{Account: 1}))
		c.WantReject(8, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
	}
	c.WantGoodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)

	c = Dial(t, address)
	c.Send(c.Order(9, "SH", "600519", 100))
	c.WantReject(9, papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
	c.WantGoodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)

	c = Dial(t, address)
	c.Login(emptyAccount)
	c.Send(codec.AppendFrame(nil, codec.TypeWelcome, 0, 3, nil), codec.AppendPing(nil, 4, 0))
	if f := c.Read(); f.Type != codec.TypeReject || f.ID != 3 {
		t.Errorf("WELCOME from a client was answered %v %d", f.Type, f.ID)
	}
	if f := c.Read(); f.Type != codec.TypePong || f.ID != 4 {
		t.Errorf("after a refused message, PING was answered %v %d", f.Type, f.ID)
	}
	c.Close()
}

// frames: an invalid frame is answered, and ends the connection.
func frames(t *testing.T, address string) {
	c := Dial(t, address)
	c.Login(emptyAccount)
	c.Send(append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 12)...))
	c.WantReject(0, papertapev1.RejectCode_REJECT_CODE_TOO_LARGE)
	c.WantGoodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
}

// numbers: the mission's table, exact to the ten-thousandth, on an account that starts
// empty.
func numbers(t *testing.T, address string) {
	c := Dial(t, address)
	begin := c.Login(emptyAccount).GetHoldings()
	if begin.GetCash().GetBalance() != simulator.OpeningCash || len(begin.GetPositions()) != 0 {
		t.Fatalf("account %d begins with %v", emptyAccount, begin)
	}
	id, _ := c.universe.Lookup([]byte("SH"), []byte("600519"))
	price := c.universe.Opening().At(id)
	seq, cash := begin.GetAsOfSeq(), int64(simulator.OpeningCash)
	for n, step := range []struct {
		quantity, after int64
		change          papertapev1.Change
	}{
		{100, 100, papertapev1.Change_CHANGE_OPENED},
		{100, 200, papertapev1.Change_CHANGE_INCREASED},
		{-100, 100, papertapev1.Change_CHANGE_DECREASED},
		{-100, 0, papertapev1.Change_CHANGE_CLOSED},
	} {
		requestID := uint64(100 + n)
		c.Send(c.Order(requestID, "SH", "600519", step.quantity))
		ev := c.Execution(requestID)
		seq, cash = seq+1, cash-step.quantity*price
		p := ev.GetPositions()[0]
		if ev.GetSeq() != seq || ev.GetChange() != step.change || p.GetQuantity() != step.after ||
			p.GetCost() != step.after*price ||
			ev.GetCash().GetBalance() != cash || ev.GetTrade().GetId() != fmt.Sprintf("%d-%d", emptyAccount, seq) {
			t.Errorf("%+d shares at %d: want sequence %d, %d shares, cash %d: %v", step.quantity, price, seq,
				step.after, cash, ev)
		}
	}
	c.Send(c.Order(200, "SH", "600519", -100))
	c.WantReject(200, papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES)
	c.Send(c.Order(201, "SH", "600519", 1_000_000_000))
	c.WantReject(201, papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_CASH)
	c.Send(c.Order(202, "SH", "no-such", 100))
	c.WantReject(202, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT)
	c.Send(c.Order(203, "SH", "600519", 0))
	if f := c.Read(); f.Type != codec.TypeReject || f.ID != 203 {
		t.Errorf("an order of nothing was answered %v %d", f.Type, f.ID)
	}
	if h := c.Holdings(204); h.GetAsOfSeq() != seq || h.GetCash().GetBalance() != cash || len(h.GetPositions()) != 0 {
		t.Errorf("at the end %v, want sequence %d, cash %d and nothing", h, seq, cash)
	}
	c.Close()
}

// pushes: another session of the account gets each event once, in sequence, and the session
// that ordered also gets it once.
func pushes(t *testing.T, address string) {
	const number, orders = 100002, 200
	watcher, trader := Dial(t, address), Dial(t, address)
	head := watcher.Login(number).GetHeadSeq()
	trader.Login(number)
	var batch []byte
	for i := range orders {
		quantity := int64(100)
		if i%2 == 1 {
			quantity = -100
		}
		batch = append(batch, trader.Order(uint64(i+1), "SZ", "000001", quantity)...)
	}
	go trader.Send(batch)
	for i := range uint64(orders) {
		if ev := trader.Execution(i + 1); ev.GetSeq() != head+i+1 {
			t.Fatalf("EXECUTION %d has sequence %d, want %d", i+1, ev.GetSeq(), head+i+1)
		}
	}
	for i := range uint64(orders) {
		if ev := watcher.Event(); ev.GetSeq() != head+i+1 || ev.GetAccount() != number {
			t.Fatalf("EVENT %d has sequence %d of account %d, want %d of %d", i+1, ev.GetSeq(), ev.GetAccount(),
				head+i+1, number)
		}
	}
	for _, c := range []*Client{watcher, trader} { // nothing else was sent before this
		if h := c.Holdings(999); h.GetAsOfSeq() != head+orders {
			t.Errorf("as of %d, want %d", h.GetAsOfSeq(), head+orders)
		}
		c.Close()
	}
}

// together: clients that trade concurrently end in the same state as a model that gets the
// events one by one.
func together(t *testing.T, address string) {
	models := make([]*model, crowded)
	var mu sync.Mutex
	seen := make([]map[uint64]*papertapev1.AccountEvent, crowded)
	clients := make([]*Client, crowd)
	for i := range clients {
		clients[i] = Dial(t, address)
		reply := clients[i].Login(uint64(100011 + i%crowded))
		if models[i%crowded] == nil {
			models[i%crowded] = modelOf(clients[i].universe, reply.GetHoldings())
			seen[i%crowded] = make(map[uint64]*papertapev1.AccountEvent)
		}
	}
	var work sync.WaitGroup
	for i, c := range clients {
		work.Go(func() {
			c.tradeAtRandom(uint64(i), func(ev *papertapev1.AccountEvent) {
				mu.Lock()
				seen[i%crowded][ev.GetSeq()] = ev
				mu.Unlock()
			})
		})
	}
	work.Wait()
	for i, m := range models {
		head := m.seq
		for seq := head + 1; seen[i][seq] != nil; seq++ {
			m.apply(clients[i].universe, seen[i][seq])
		}
		if int(m.seq-head) != len(seen[i]) || m.seq == head {
			t.Errorf("account %d: of %d events only %d follow one another", m.number, len(seen[i]), m.seq-head)
		}
		clients[i].catchUp(m.seq)
		m.compare(t, clients[i].universe, clients[i].Holdings(1<<40))
	}
	for _, c := range clients {
		c.Close()
	}
}

// tradeAtRandom sends orders, several outstanding at a time, and passes each executed one
// to saw. It fails the test if an answer is missing, or a sequence on this connection does
// not follow the previous one.
func (c *Client) tradeAtRandom(seed uint64, saw func(*papertapev1.AccountEvent)) {
	rng := rand.New(rand.NewPCG(seed, 2))
	waiting := make(map[uint64]bool)
	for sent := uint64(0); sent < ordersEach || len(waiting) > 0; {
		if sent < ordersEach && len(waiting) < outstanding {
			sent++
			i := c.universe.At(market.ID(rng.IntN(4)))
			c.Send(c.Order(sent, i.Market, i.Code, int64(1+rng.IntN(3))*100*int64(1-2*rng.IntN(2))))
			waiting[sent] = true
			continue
		}
		f := c.Read()
		switch f.Type {
		case codec.TypeExecution:
			ev := c.decodeEvent(f)
			saw(ev)
		case codec.TypeEvent:
			c.decodeEvent(f)
			continue
		case codec.TypeReject:
		default:
			c.t.Errorf("%v came", f.Type)
		}
		if !waiting[f.ID] {
			c.t.Errorf("%v with id %d answers nothing that is outstanding", f.Type, f.ID)
			return
		}
		delete(waiting, f.ID)
	}
}

// catchUp reads until the event with that sequence.
func (c *Client) catchUp(seq uint64) {
	for c.seq < seq {
		c.Event()
	}
}

// keys returns the rows of holdings as market and code.
func keys(h *papertapev1.Holdings) []string {
	var list []string
	for _, p := range h.GetPositions() {
		list = append(list, p.GetMarket()+"."+p.GetCode())
	}
	if !slices.IsSorted(list) {
		list = append(list, "not sorted")
	}
	return list
}
