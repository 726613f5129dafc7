package clientsim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/client"
)

const (
	seenMax     = 32 // events that a member keeps, to compare the history with
	rowsWanted  = 16 // a member with this many rows buys only more of the same
	lotDefault  = 100
	buyTries    = 8 // instruments tried to find one that is affordable
	wholeOneIn  = 4 // one of this many sales is of the whole row
	pagesOneIn  = 3 // one of this many queries is for a page of history
	quotesOneIn = 6 // one of this many of the others is for a price
)

// member is one client of a swarm. Only one goroutine uses it.
type member struct {
	swarm   *swarm
	user    user
	rand    *rand.Rand
	times   stopwatches
	result  SwarmClient
	listDue bool // after a reconnect the list is compared next
}

func newMember(s *swarm, account uint64) *member {
	m := &member{swarm: s, rand: rand.New(rand.NewPCG(s.cfg.Seed, account))}
	m.result.Account = account
	m.user = user{
		account: account, keep: seenMax, link: &link{gate: s.gate}, tls: s.cfg.TLS, tally: &m.result.Tally,
		observer: &s.board, key: s.cfg.Key, allowPlaintext: s.cfg.AllowPlaintext,
	}
	return m
}

// trade alternates between thinking and acting until the context trading ends. It waits for
// requests under way for as long as the context life allows. An error ends the client.
func (m *member) trade(trading, life context.Context) error {
	think := m.swarm.cfg.Profile.Think
	pause := time.Duration(m.rand.Int64N(int64(think.Max) + 1)) // so that not all begin at the same moment
	for {
		reconnects := m.user.tally.Reconnects
		if err := m.user.idle(trading, pause); err != nil {
			if trading.Err() != nil && errors.Is(err, trading.Err()) {
				return nil
			}
			return err
		}
		m.listDue = m.listDue || m.user.tally.Reconnects != reconnects
		if err := m.act(life); err != nil {
			return err
		}
		pause = think.draw(m.rand)
	}
}

// act makes one request. An error ends the client; refusals and broken connections are no
// errors.
func (m *member) act(ctx context.Context) error {
	if m.listDue {
		m.listDue = false
		return m.list(ctx)
	}
	kind := m.swarm.cfg.Profile.Mix.draw(m.rand)
	switch kind {
	case KindBuy:
		if i, quantity := m.affordable(); quantity > 0 {
			return m.order(ctx, kind, i, &client.Order{Side: client.Buy, Market: i.Market, Code: i.Code,
				Quantity: quantity})
		}
	case KindSell:
		if i, quantity := m.holding(); quantity > 0 {
			return m.order(ctx, kind, i, &client.Order{Side: client.Sell, Market: i.Market, Code: i.Code,
				Quantity: quantity})
		}
	}
	return m.ask(ctx)
}

// affordable returns an instrument to buy and a quantity that could be paid even at twice the
// price.
func (m *member) affordable() (*client.Instrument, int64) {
	cash := m.user.shadow.Balance()
	for range buyTries {
		i := &m.swarm.tools[m.rand.IntN(len(m.swarm.tools))]
		if m.user.shadow.Len() >= rowsWanted && m.user.shadow.Quantity(i.Market, i.Code) == 0 {
			continue
		}
		lot := max(int64(i.Lot), 1)
		if i.Lot == 0 {
			lot = lotDefault
		}
		most := cash / max(2*int64(i.Price), 1) / lot
		if most > 0 {
			return i, lot * (1 + m.rand.Int64N(min(most, int64(m.swarm.cfg.Profile.Lots))))
		}
	}
	return nil, 0
}

// holding returns an instrument to sell and how much of it.
func (m *member) holding() (*client.Instrument, int64) {
	held := m.user.shadow.Held()
	if len(held) == 0 {
		return nil, 0
	}
	market, code, _ := strings.Cut(held[m.rand.IntN(len(held))], ".")
	i := slices.IndexFunc(m.swarm.tools, func(i client.Instrument) bool { return i.Market == market && i.Code == code })
	if i < 0 {
		return nil, 0 // the server has more instruments than it lists at once
	}
	quantity := m.user.shadow.Quantity(market, code)
	if m.rand.IntN(wholeOneIn) > 0 {
		quantity = 1 + m.rand.Int64N(min(quantity, int64(m.swarm.cfg.Profile.Lots)*lotDefault))
	}
	return &m.swarm.tools[i], quantity
}

// order places an order and judges a refusal.
func (m *member) order(ctx context.Context, kind Kind, i *client.Instrument, o *client.Order) error {
	u, before, resyncs := &m.user, m.user.shadow.Clone(), m.user.tally.Resyncs
	_, took, err := u.order(ctx, o)
	var reject *client.Reject
	switch {
	case err == nil, errors.Is(err, errResynced):
	case ctx.Err() != nil:
		return fmt.Errorf("%s: no answer came to the end: %w", orderText(o), err)
	case lostConnection(err):
		return nil
	case errors.As(err, &reject):
		if refusedForNow(err) {
			return u.idle(ctx, retryPause(err))
		}
		if u.tally.Resyncs == resyncs { // else the refusal may belong to another history
			if why := u.judgeRefusal(before, o, reject, int64(i.Price)); why != "" {
				u.wrongf("%s", why)
			}
		}
	default:
		return fmt.Errorf("%s: %w", orderText(o), err)
	}
	m.times[kind].record(took)
	return nil
}

// ask makes a query: mostly the list, sometimes the history or a price.
func (m *member) ask(ctx context.Context) error {
	switch {
	case m.rand.IntN(pagesOneIn) == 0:
		before := uint64(0)
		if seq := m.user.shadow.Seq(); m.rand.IntN(2) == 0 && seq > 0 {
			before = 1 + m.rand.Uint64N(seq)
		}
		_, took, err := m.user.page(ctx, before)
		return m.answered(ctx, "the history", took, err)
	case m.rand.IntN(quotesOneIn) == 0:
		return m.quote(ctx)
	}
	return m.list(ctx)
}

func (m *member) list(ctx context.Context) error {
	_, took, err := m.user.pull(ctx)
	return m.answered(ctx, "the list", took, err)
}

func (m *member) quote(ctx context.Context) error {
	i := &m.swarm.tools[m.rand.IntN(len(m.swarm.tools))]
	var list []client.Instrument
	took, err := m.user.during(ctx, func(ctx context.Context) (err error) {
		list, err = m.user.acc.Instruments(ctx, i.Market+"."+i.Code)
		return err
	})
	if err != nil {
		m.user.countFailure(err, "a price")
	} else if len(list) != 1 || list[0].Market != i.Market || list[0].Code != i.Code || list[0].Price <= 0 {
		m.user.wrongf("asked for %s %s alone and got %v", i.Market, i.Code, list)
	}
	return m.answered(ctx, "a price", took, err)
}

// answered counts a query. A query that was put off, or whose connection broke, is no failure.
func (m *member) answered(ctx context.Context, what string, took time.Duration, err error) error {
	switch {
	case err == nil, errors.Is(err, errResynced):
		m.result.Queries++
		m.times[KindQuery].record(took)
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("ask for %s: no answer came to the end: %w", what, err)
	case refusedForNow(err):
		return m.user.idle(ctx, retryPause(err))
	case lostConnection(err):
		return nil
	}
	return fmt.Errorf("ask for %s: %w", what, err)
}

// compare ends a client. It compares a fresh list with the shadow, and the newest page of the
// history with the events seen. If a trade older than the shadow was taken back, it compares
// the whole history. All members come to this at once, so the slots bound how many compare at
// the same time.
func (m *member) compare(ctx context.Context, slots gate) error {
	err := slots.enter(ctx)
	if err == nil {
		defer slots.leave()
		err = m.user.retry(ctx, func(ctx context.Context) error {
			h, _, err := m.user.pull(ctx)
			if err == nil && m.user.shadow.Unfolded() > 0 {
				err = m.user.fold(ctx, h)
			}
			return err
		})
	}
	if err == nil {
		err = m.user.retry(ctx, func(ctx context.Context) error {
			_, _, err := m.user.page(ctx, 0)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("could not be compared with the server at the end: %w", err)
	}
	m.result.Compared = true
	return nil
}
