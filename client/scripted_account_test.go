package client_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// The account of a scripted server. Its first event pays in the cash. Each later event n buys n
// shares at 1.00, alternating between two instruments.

const paidIn = 1_000_000_0000

func bookEvent(seq uint64) *papertapev1.AccountEvent {
	if seq == 1 {
		return &papertapev1.AccountEvent{
			Account: account, Seq: 1, Time: 1,
			What: &papertapev1.AccountEvent_Adjustment{Adjustment: &papertapev1.Adjustment{Cash: paidIn}},
			Cash: &papertapev1.Cash{Balance: paidIn},
		}
	}
	h := holdingsOf(book(seq))
	market, code := bookInstrument(seq)
	n := int64(seq)
	change := papertapev1.Change_CHANGE_INCREASED
	if seq <= 3 {
		change = papertapev1.Change_CHANGE_OPENED
	}
	touched := slices.DeleteFunc(h.GetPositions(), func(p *papertapev1.Position) bool {
		return p.GetMarket() != market || p.GetCode() != code
	})
	return &papertapev1.AccountEvent{
		Account: account, Seq: seq, Time: n, Change: change, Positions: touched, Cash: h.GetCash(),
		TotalMarketValue: h.GetTotalMarketValue(),
		What: &papertapev1.AccountEvent_Trade{Trade: &papertapev1.Trade{
			Id: fmt.Sprintf("%d-%d", account, seq), Side: papertapev1.Side_SIDE_BUY, Market: market, Code: code,
			Quantity: n,
			Price:    1_0000, Amount: n * 1_0000, ClientOrderId: fmt.Sprintf("order %d", seq),
		}},
	}
}

func bookInstrument(seq uint64) (market, code string) {
	return [2]string{"SH", "SZ"}[seq%2], [2]string{"600519", "000001"}[seq%2]
}

// book returns the state of the account as of a sequence.
func book(seq uint64) *client.State {
	s := &client.State{Account: account, Seq: seq}
	if seq > 0 {
		s.Cash.Balance = paidIn
	}
	for _, first := range []uint64{2, 3} {
		p := client.Position{Name: "A name", Price: 1_0000}
		p.Market, p.Code = bookInstrument(first)
		for n := first; n <= seq; n += 2 {
			p.Quantity += int64(n)
			p.RowVersion = n
		}
		p.Sellable, p.Cost, p.MarketValue = p.Quantity, client.Money(p.Quantity)*client.One,
			client.Money(p.Quantity)*client.One
		if p.Quantity > 0 {
			s.Positions = append(s.Positions, p)
			s.Cash.Balance -= p.Cost
			s.TotalMarketValue += p.MarketValue
		}
	}
	return s
}

// holdingsOf returns the holdings message for a state, with its hash.
func holdingsOf(s *client.State) *papertapev1.Holdings {
	return client.HoldingsMessage(s)
}

// greet welcomes a client and returns its login.
func (p *peer) greet() (id uint64, login *papertapev1.Login) {
	p.send(welcome(60_000))
	f := p.expect(codec.TypeLogin)
	login = new(papertapev1.Login)
	p.unmarshal(f, login)
	return f.ID, login
}

// logInWithSnapshot logs a client in with a snapshot as of a sequence.
func (p *peer) logInWithSnapshot(head uint64) {
	p.t.Helper()
	id, login := p.greet()
	if login.GetMode() != papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT {
		p.t.Errorf("the login asks for mode %v: expected a snapshot", login.GetMode())
	}
	p.send(loggedIn(id, bookSnapshot(head, epoch)))
}

const epoch = 99

func bookSnapshot(head, epoch uint64) *papertapev1.LoginReply {
	return &papertapev1.LoginReply{
		Account: account, HeadSeq: head, OldestSeq: min(head, 1), Epoch: epoch,
		Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Holdings: holdingsOf(book(head)),
	}
}

// logInResumed logs in a client that must ask to resume after a sequence, and sends it the events it
// has missed.
func (p *peer) logInResumed(after, head uint64) {
	p.t.Helper()
	p.acceptResume(after, head)
	for seq := after + 1; seq <= head; seq++ {
		p.push(seq, codec.FlagReplay)
	}
}

func (p *peer) acceptResume(after, head uint64) {
	p.t.Helper()
	id, login := p.greet()
	if login.GetMode() != papertapev1.ResumeMode_RESUME_MODE_RESUME || login.GetLastSeq() != after ||
		login.GetEpoch() != epoch {
		p.t.Errorf("the login asks for mode %v after seq %d of epoch %d: expected to resume after seq %d of epoch %d",
			login.GetMode(), login.GetLastSeq(), login.GetEpoch(), after, epoch)
	}
	p.send(loggedIn(id, &papertapev1.LoginReply{
		Account: account, HeadSeq: head, OldestSeq: 1, Epoch: epoch, Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME,
	}))
}

// push sends an event of the book.
func (p *peer) push(seq uint64, flags codec.Flags) {
	p.send(codec.Append(nil, codec.TypeEvent, flags, 0, bookEvent(seq)))
}

// ping returns the id of the next ping.
func (p *peer) ping() uint64 { p.t.Helper(); return p.expect(codec.TypePing).ID }

// executeOrder answers the next order with an event of the book.
func (p *peer) executeOrder(seq uint64, flags codec.Flags) *papertapev1.Order {
	p.t.Helper()
	f, o := p.order()
	p.send(codec.Append(nil, codec.TypeExecution, codec.FlagReply|flags, f.ID, bookEvent(seq)))
	return o
}

func (p *peer) order() (codec.Frame, *papertapev1.Order) {
	p.t.Helper()
	f := p.expect(codec.TypeOrder)
	o := new(papertapev1.Order)
	p.unmarshal(f, o)
	return f, o
}

// sendBookHoldings answers the HOLDINGS request that follows a resume with the book's holdings.
func (p *peer) sendBookHoldings(seq uint64) { p.t.Helper(); p.sendHoldings(holdingsOf(book(seq))) }

// sendHoldings answers a HOLDINGS request with the given holdings. The test may end before the request
// comes.
func (p *peer) sendHoldings(h *papertapev1.Holdings) {
	p.t.Helper()
	f := p.receive()
	if f.Type != codec.TypeHoldings && f.Type != 0 {
		p.t.Errorf("the client sent %v: expected HOLDINGS", f.Type)
	}
	if f.Type == codec.TypeHoldings {
		p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, h))
	}
}

// acceptSubscription answers a subscription, which must be to the given topics.
func (p *peer) acceptSubscription(quotes, presence bool) {
	p.t.Helper()
	f := p.expect(codec.TypeSubscribe)
	m := new(papertapev1.Subscribe)
	p.unmarshal(f, m)
	if m.GetQuotes() != quotes || m.GetPresence() != presence {
		p.t.Errorf("subscribed to %v: expected quotes %v, presence %v", m, quotes, presence)
	}
	p.send(codec.Append(nil, codec.TypeSubscribed, codec.FlagReply, f.ID,
		&papertapev1.Subscribed{Quotes: quotes, Presence: presence}))
}

// sendBookHoldingsAnd answers the HOLDINGS request, and returns another request of the given type that
// comes before or after it.
func (p *peer) sendBookHoldingsAnd(seq uint64, want codec.Type) codec.Frame {
	p.t.Helper()
	first := p.receive()
	if first.Type != want {
		p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, first.ID, holdingsOf(book(seq))))
		return p.expect(want)
	}
	first.Payload = bytes.Clone(first.Payload)
	p.sendBookHoldings(seq)
	return first
}

// answerUntil answers HOLDINGS and SUBSCRIBE requests as they come, until there was one of each,
// the subscription satisfied last, or the client closed.
func (p *peer) answerUntil(seq uint64, last func(*papertapev1.Subscribe) bool) {
	held, subscribed := false, false
	for !held || !subscribed {
		f := p.receive()
		switch f.Type {
		case codec.TypeHoldings:
			held = true
			p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, holdingsOf(book(seq))))
		case codec.TypeSubscribe:
			m := new(papertapev1.Subscribe)
			p.unmarshal(f, m)
			subscribed = subscribed || last(m)
			p.send(codec.Append(nil, codec.TypeSubscribed, codec.FlagReply, f.ID,
				&papertapev1.Subscribed{Quotes: m.GetQuotes(), Presence: m.GetPresence()}))
		case 0:
			return
		default:
			p.t.Errorf("the client sent %v", f.Type)
		}
	}
}

// open opens an account with a short backoff.
func open(t *testing.T, addr string, change func(*client.AccountOptions)) *client.Account {
	t.Helper()
	a, err := client.Open(patience(t), addr, accountOptions(change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func accountOptions(change func(*client.AccountOptions)) client.AccountOptions {
	o := client.AccountOptions{Account: account, Name: "test", BackoffMin: time.Millisecond,
		BackoffMax: 20 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	return o
}

// take takes the next update, which must be of the given type.
func take[U client.Update](t *testing.T, a *client.Account) U {
	t.Helper()
	u, err := a.Next(patience(t))
	if err != nil {
		t.Fatalf("Next: %v: expected a %T", err, *new(U))
	}
	is, ok := u.(U)
	if !ok {
		t.Fatalf("Next returned %T %+v: expected a %T", u, u, *new(U))
	}
	return is
}

// takeUntil takes updates until one of the given type comes.
func takeUntil[U client.Update](t *testing.T, a *client.Account) U {
	t.Helper()
	for {
		u, err := a.Next(patience(t))
		if err != nil {
			t.Fatalf("Next: %v: expected a %T at last", err, *new(U))
		}
		if is, ok := u.(U); ok {
			return is
		}
	}
}

// takeEvents takes the events from first to last, with nothing in between.
func takeEvents(t *testing.T, a *client.Account, first, last uint64) (events []*client.Event) {
	t.Helper()
	for seq := first; seq <= last; seq++ {
		ev := take[*client.Event](t, a)
		if ev.Seq != seq {
			t.Fatalf("Next returned seq %d: expected %d", ev.Seq, seq)
		}
		events = append(events, ev)
	}
	return events
}

// checkState checks that the account's state equals the book's as of a sequence.
func checkState(t *testing.T, a *client.Account, seq uint64) {
	t.Helper()
	s, want := a.State(), book(seq)
	if s.Seq != seq || s.Hash() != want.Hash() || s.TotalMarketValue != want.TotalMarketValue ||
		len(s.Positions) != len(want.Positions) {
		t.Errorf("the state is %+v: expected %+v", s, want)
	}
}
