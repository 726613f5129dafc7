package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// TestProperty plays random requests of random sessions against an engine with tiny bounds. It
// compares everything that the sessions were sent with a model, which decides one order after the
// other and has no steps, tails, cursors or readers.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		accounts := []uint64{alice, bob, carol}[:rapid.IntRange(1, 3).Draw(t, "accounts")]
		o := options{
			keeps: rapid.Bool().Draw(t, "keeps"), shards: rapid.IntRange(1, 2).Draw(t, "shards"),
			tail: rapid.IntRange(1, 12).Draw(t, "tail"), reads: rapid.IntRange(1, 2).Draw(t, "reads"),
			inbox: rapid.IntRange(2, 10).Draw(t, "inbox"), sessions: rapid.IntRange(1, 4).Draw(t, "sessions"),
			bytes: rapid.SampledFrom([]int64{0, -1, 5 * chunkBytesMin, 8 * blockBytes}).Draw(t, "bytes"),
			slice: 1,
		}
		w := makeWorld(t, o, accounts...)
		defer w.close()
		m := newModel(t, w, accounts)
		defer func() { m.cp.giveUp(t) }()
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			m.step()
			m.takeBack()
			m.bookCash()
		}
		m.finish()
	})
}

// model decides requests in the order of their submission.
type model struct {
	t        *rapid.T
	w        *world
	accounts []uint64
	book     *positions.Book
	ids      map[uint64]map[string]executed // by account and id
	used     []positions.Order              // orders with ids, to be repeated
	clients  []*client
	quantity int64 // of the next order, so that all orders differ
	cp       pausedCheckpoint

	// As of the beginning of the step.
	heads, oldest map[uint64]uint64
	sessions      map[uint64]int
}

type executed struct {
	seq   uint64
	order positions.Order
}

// client is a connection with its requests and their expected answers.
type client struct {
	*conn
	login    Login
	head     uint64 // the account's head at the login
	oldest   uint64
	refused  bool // the account has its maximum of sessions
	asked    map[uint64]*asked
	posted   bool // the login was posted
	leftAt   int  // frames received before the logout; -1: not logged out
	catching bool // it was catching up at the beginning of the step
}

type asked struct {
	kind     Kind
	head     uint64 // the account's head at this point
	before   uint64
	limit    int
	want     string // for an order: EXECUTION, REPEAT, REFUSED or FAILED
	seq      uint64 // of the event, for an execution or a repeat
	reason   positions.Reason
	answered int
	catching bool
}

func newModel(t *rapid.T, w *world, accounts []uint64) *model {
	m := &model{t: t, w: w, accounts: accounts, book: positions.NewBook(testUniverse),
		ids: make(map[uint64]map[string]executed), quantity: 1}
	m.cp.w = w
	for _, number := range accounts {
		m.ids[number] = make(map[string]executed)
		for _, ev := range w.journal.events(number) {
			m.book.Apply(&ev)
		}
	}
	return m
}

// step makes up to eight moves in one step of the engine.
func (m *model) step() {
	if rapid.IntRange(0, 4).Draw(m.t, "new prices") == 0 {
		m.w.prices.Store(m.w.prices.Load().With(penny, rapid.Int64Range(1, 500).Draw(m.t, "price")))
	}
	m.look()
	with := m.w.journal.keeps && rapid.IntRange(0, 2).Draw(m.t, "with a checkpoint") > 0
	m.w.together(func() {
		for range rapid.IntRange(1, 8).Draw(m.t, "moves") {
			m.move()
		}
		if with {
			m.cp.push()
			m.w.until("the checkpoint in a lane", func() bool {
				return m.cp.hasEnded() || slices.ContainsFunc(m.w.eng.shards, (*shard).asked)
			})
		}
	})
	if with {
		m.checkpoint(rapid.IntRange(1, 3).Draw(m.t, "slices"))
	}
	for _, c := range m.clients {
		if n := c.InFlight(); c.state == sessionLive && n != 0 {
			m.t.Fatalf("a live session has %d requests in flight though nothing is under way", n)
		}
	}
}

// takeBack sometimes busts a trade. Package positions tests the figures. Here the event must be the
// account's next one, and a fold of everything committed must agree with the book.
func (m *model) takeBack() {
	if rapid.IntRange(0, 3).Draw(m.t, "take back") > 0 {
		return
	}
	number := rapid.SampledFrom(m.accounts).Draw(m.t, "of account")
	head, _ := m.book.Seq(number)
	r := bustRequest(rapid.Uint64Range(1, head).Draw(m.t, "trade"), "")
	r.Account, r.Policy = number, positions.PolicyCascade
	ev, _, err := m.w.eng.Bust(context.Background(), r)
	refusal := (*BustRefusedError)(nil)
	if errors.As(err, &refusal) && refusal.Outcome.Reason != positions.BustDamaged {
		return
	}
	if err != nil || ev.Seq != head+1 {
		m.t.Fatalf("bust of %d-%d after event %d: event %d, %v", number, r.TradeSeq, head, ev.Seq, err)
	}
	m.book.Apply(&ev)
	fold := positions.NewFold(testUniverse, r)
	for _, ev := range m.w.journal.events(number) {
		if err := fold.Add(&ev); err != nil {
			m.t.Fatalf("%v", err)
		}
	}
	v, _ := m.book.View(number)
	if err := fold.Verify(v); err != nil {
		m.t.Fatalf("%v", err)
	}
	m.w.settle()
}

// bookCash sometimes deposits, withdraws or resets, as the model's book says.
func (m *model) bookCash() {
	if rapid.IntRange(0, 4).Draw(m.t, "book") > 0 {
		return
	}
	kinds := []positions.BookingKind{positions.Deposit, positions.Withdrawal, positions.ResetTo}
	r := bookingOf(rapid.SampledFrom(kinds).Draw(m.t, "booking"),
		rapid.SampledFrom([]int64{1, 1000_0000, openingCash}).Draw(m.t, "amount"), "")
	r.Account = rapid.SampledFrom(m.accounts).Draw(m.t, "of account")
	var want positions.Event
	refusal := m.book.DecideBooking(r, m.w.prices.Load(), 1, &want)
	ev, _, err := m.w.eng.Book(context.Background(), r)
	if refusal.Reason != positions.NoRefusal {
		if refused := (*BookingRefusedError)(nil); !errors.As(err, &refused) || err.Error() != r.Sentence(refusal) {
			m.t.Fatalf("%v, want %s", err, r.Sentence(refusal))
		}
		return
	}
	if want.Time = ev.Time; err != nil || !reflect.DeepEqual(ev, want) {
		m.t.Fatalf("%s: %+v, %v, want %+v", r.Title(), ev, err, want)
	}
	m.book.Apply(&ev)
	m.w.settle()
}

// checkpoint continues the checkpoint that was pushed, by a number of slices. If it ends with the
// last of them, its mark never becomes durable: what it copied stays pinned, and the next
// checkpoint starts again.
func (m *model) checkpoint(slices int) {
	for range slices {
		if _, ended := m.cp.pull(); ended {
			m.w.eng.Checkpointed()
			m.w.settle()
			return
		}
		m.cp.push()
	}
	m.cp.pull()
}

// look records the state at the beginning of a step, and forgets what the engine may have
// forgotten.
func (m *model) look() {
	m.heads, m.oldest, m.sessions = make(map[uint64]uint64), make(map[uint64]uint64), make(map[uint64]int)
	for _, number := range m.accounts {
		a := m.w.account(number)
		m.heads[number], _ = m.book.Seq(number)
		m.sessions[number] = a.sessions
		m.oldest[number] = a.tail.oldest
		if m.w.journal.keeps {
			m.oldest[number] = 1
			continue
		}
		for id, first := range m.ids[number] {
			if !a.tail.has(first.seq) {
				delete(m.ids[number], id)
			}
		}
	}
	for _, c := range m.clients {
		c.catching = c.state == sessionCatching
	}
}

func (m *model) move() {
	var in, unsettled []*client
	for _, c := range m.clients {
		if c.isIn() {
			in = append(in, c)
		}
		if c.posted && c.leftAt < 0 {
			unsettled = append(unsettled, c)
		}
	}
	switch kind := rapid.IntRange(0, 11).Draw(m.t, "move"); {
	case len(in) == 0 && kind < 9 || kind == 0:
		m.login()
	case kind == 1 && len(unsettled) > 0:
		c := rapid.SampledFrom(unsettled).Draw(m.t, "leaves")
		c.leftAt = len(c.all())
		c.logout()
		if c.posted && !c.refused && !c.has("LOST") {
			m.sessions[c.account]--
		}
	case kind <= 4 && len(in) > 0:
		c := rapid.SampledFrom(in).Draw(m.t, "orders")
		m.order(c.account, c)
	case kind <= 6 && len(in) > 0:
		m.query(rapid.SampledFrom(in).Draw(m.t, "asks"))
	case kind <= 9 && len(in) > 0:
		rapid.SampledFrom(in).Draw(m.t, "reads").read()
	default:
		m.order(rapid.SampledFrom(m.accounts).Draw(m.t, "account"), nil)
	}
}

// isIn reports whether the client has read that it is logged in, and not yet that it no longer is.
func (c *client) isIn() bool { return c.leftAt < 0 && c.has("LOGIN") && !c.has("LOST") }

func (c *client) has(kind string) bool {
	return slices.ContainsFunc(c.all(), func(f frame) bool { return f.kind == kind })
}

func (m *model) login() {
	account := rapid.SampledFrom(m.accounts).Draw(m.t, "account")
	c := &client{conn: m.w.connect(account), asked: make(map[uint64]*asked), leftAt: -1, posted: true}
	c.piece = rapid.IntRange(1, 6).Draw(m.t, "piece")
	c.head, c.oldest = m.heads[account], m.oldest[account]
	c.login = Login{
		ID: c.id(), Account: account, Mode: rapid.SampledFrom([]ResumeMode{ModeSnapshot, ModeResume, ModeResume,
			ModeRestart, ModeQuick}).Draw(m.t, "mode"),
		LastSeq: rapid.Uint64Range(0, c.head+1).Draw(m.t, "last"),
		Epoch:   m.w.journal.epoch + uint64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(m.t, "epoch")),
	}
	c.refused = m.sessions[account] >= m.w.eng.cfg.SessionsPerAccountMax
	if !c.refused {
		m.sessions[account]++
	}
	m.w.eng.Login(&c.Session, c.login)
	m.clients = append(m.clients, c)
}

// order submits an order of a client, or of nobody, and decides it in the model.
func (m *model) order(account uint64, c *client) {
	o := positions.Order{
		Account: account, Side: positions.Buy,
		Instrument: market.ID(rapid.IntRange(0, testUniverse.Len()-1).Draw(m.t, "instrument")),
		Quantity:   m.quantity, Origin: positions.OriginClient,
	}
	m.quantity++
	if rapid.IntRange(0, 2).Draw(m.t, "sells") == 0 {
		o.Side = positions.Sell
	}
	switch rapid.IntRange(0, 5).Draw(m.t, "with an id") {
	case 0, 1:
		o.ID, _ = positions.MakeOrderID(fmt.Append(nil, "order ", m.quantity))
		m.used = append(m.used, o)
	case 2, 3:
		if len(m.used) > 0 {
			o = rapid.SampledFrom(m.used).Draw(m.t, "order again")
			o.Account = account
			if rapid.IntRange(0, 3).Draw(m.t, "other content") == 0 {
				o.Limit = 77_0000
			}
		}
	}
	r := Request{Kind: KindOrder, Account: account, Order: o}
	if c == nil && o.ID.IsZero() && rapid.Bool().Draw(m.t, "by a decider") {
		d := &decider{decide: func(positions.View, *market.Prices, uint64) (positions.Order, bool) { return o, true }}
		r = Request{Kind: KindDecide, Account: account, Decider: d}
	}
	if a := m.submit(c, r); a != nil {
		m.decide(o, a)
	}
}

// submit submits a request. It returns nil if the request was not accepted.
func (m *model) submit(c *client, r Request) *asked {
	a := &asked{kind: r.Kind, before: r.Before, limit: int(r.Limit)}
	a.head, _ = m.book.Seq(r.Account)
	if c != nil {
		if !c.Begin(6) {
			return nil
		}
		r.Session, r.ID = &c.Session, c.id()
		a.catching = c.catching
	}
	if m.w.eng.Submit(r.Account, []Request{r}) == 0 {
		if c != nil {
			c.End()
		}
		return nil
	}
	if c != nil {
		c.asked[r.ID] = a
	}
	return a
}

func (m *model) decide(o positions.Order, a *asked) {
	if first, ok := m.ids[o.Account][o.ID.String()]; ok && !o.ID.IsZero() {
		f := first.order
		a.want, a.seq = "REPEAT", first.seq
		if f.Instrument != o.Instrument || f.Side != o.Side || f.Quantity != o.Quantity || f.Limit != o.Limit {
			a.want = "FAILED"
		}
		return
	}
	var ev positions.Event
	if r := m.book.Decide(&o, m.w.prices.Load(), 1, &ev); r.Reason != positions.NoRefusal {
		a.want, a.reason = "REFUSED", r.Reason
		return
	}
	m.book.Apply(&ev)
	a.want, a.seq = "EXECUTION", ev.Seq
	if !o.ID.IsZero() {
		m.ids[o.Account][o.ID.String()] = executed{seq: ev.Seq, order: o}
	}
}

func (m *model) query(c *client) {
	r := Request{Kind: KindHoldings}
	if rapid.Bool().Draw(m.t, "history") {
		r = Request{Kind: KindHistory, Limit: int32(rapid.IntRange(1, 9).Draw(m.t, "limit"))}
		r.Before = rapid.Uint64Range(0, m.heads[c.account]+2).Draw(m.t, "before")
	}
	r.Account = c.account
	m.submit(c, r)
}

// finish lets all sessions read to the end, and compares.
func (m *model) finish() {
	for range 500 {
		more := false
		for _, c := range m.clients {
			if c.leftAt < 0 && c.isCatchingUp() {
				more = true
				c.read()
			}
		}
		m.w.settle()
		if !more {
			break
		}
	}
	for _, number := range m.accounts {
		m.sameBook(number)
	}
	for i, c := range m.clients {
		if err := m.verify(c); err != nil {
			texts := ""
			for _, f := range c.all() {
				texts += "\n  " + f.String()
			}
			m.t.Fatalf("session %d of account %d (left at %d): %v; it was sent%s", i, c.account, c.leftAt, err, texts)
		}
	}
}

func (m *model) sameBook(number uint64) {
	got, err := m.w.eng.Holdings(m.t.Context(), number)
	want, _, _ := m.book.Holdings(number, m.w.prices.Load(), nil)
	if err != nil || !sameHoldings(got, want) {
		m.t.Fatalf("account %d is %+v, %v; the model has %+v", number, got, err, want)
	}
	if a := m.w.account(number); a.tail.head != want.Seq || m.w.journal.head(number) != want.Seq {
		m.t.Fatalf("account %d: the tail ends at %d, the journal at %d, the book at %d", number, a.tail.head,
			m.w.journal.head(number), want.Seq)
	}
}
