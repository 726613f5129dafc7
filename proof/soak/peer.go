//go:build linux

package soak

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

const (
	firstAccount = 100001
	findingsMax  = 20 // sentences that are kept; all are counted

	clockSetLeast = 10 * time.Millisecond // two readings of both clocks differ by less, unless a clock was set
	clockSetPause = time.Second           // by then all that was in progress has ended
)

// tally has what all clients of a loop saw.
type tally struct {
	events, replayed, gaps, repeats, findings int
	sentences                                 []string // the first few findings
	orders, executions, holdings              int
	logins, resumed, resynced                 int
	quotes, presence                          int
	live, unanswered                          int // now
	rejects                                   map[papertapev1.RejectCode]int
	goodbyes                                  map[papertapev1.GoodbyeReason]int
	// kept while timed: from an event's time to its arrival; of orders
	lags, trips []time.Duration
	timed       bool

	began  time.Time
	offset time.Duration // from the time passed since began to the time of day
	from   time.Time     // lags are kept from then on
}

func newTally() *tally {
	return &tally{
		rejects: make(map[papertapev1.RejectCode]int), goodbyes: make(map[papertapev1.GoodbyeReason]int),
		began: time.Now(),
	}
}

// arrived records how long ago an event was made, by its time. That is a time of day, so the lag
// cannot be measured for events that were on their way when somebody set the clock.
func (t *tally) arrived(made int64) {
	now := time.Now()
	offset := time.Duration(now.UnixNano()) - now.Sub(t.began)
	if t.offset != 0 && (offset-t.offset).Abs() >= clockSetLeast {
		t.from = now.Add(clockSetPause)
	}
	t.offset = offset
	if !now.Before(t.from) {
		t.lags = append(t.lags, time.Duration(now.UnixNano()-made))
	}
}

// find records findings.
func (t *tally) find(sentences ...string) {
	t.findings += len(sentences)
	for _, s := range sentences {
		if len(t.sentences) < findingsMax {
			t.sentences = append(t.sentences, s)
		}
	}
}

// judge turns findings into failures.
func (t *tally) judge(r *Report) {
	r.within("the number of gaps", float64(t.gaps), 0, "")
	r.within("the number of repeats", float64(t.repeats), 0, "")
	if t.findings > 0 {
		r.fail("%d findings; the first of them:", t.findings)
		r.Failures = append(r.Failures, t.sentences...)
	}
}

// request waits for its answer.
type request struct {
	kind uint16
	at   time.Time
}

// peer is one simulated client. It has one connection at a time, and the shadow of its account,
// which outlives the connection.
type peer struct {
	loop    *loop
	tally   *tally
	port    int
	from    *[4]byte // address that it connects from; nil: the kernel's choice
	account uint64
	rng     *rand.Rand
	name    string

	conn      *conn // nil if away
	welcomed  bool
	live      bool // logged in
	pending   []byte
	heartbeat time.Duration
	replayTo  uint64 // events up to here are replayed
	fresh     bool   // asks for a snapshot instead of resuming
	asked     map[uint64]request
	orders    int // number of those requests that are orders
	bye       papertapev1.GoodbyeReason
	lastID    uint64

	epoch  uint64
	shadow *shadow.Shadow // nil if never logged in

	onLive func()
	onEnd  func(err error) // called when the server ended the connection
}

// newPeer returns a client by its number. The accounts are assigned in turn.
func newPeer(l *loop, t *tally, port, number int, cfg *Config) *peer {
	return &peer{
		loop: l, tally: t, port: port, from: source(number), account: firstAccount + uint64(number%cfg.Accounts),
		name: fmt.Sprintf("soak %d", number),
		rng:  rand.New(rand.NewPCG(cfg.Seed, uint64(number))), asked: make(map[uint64]request),
		onLive: func() {}, onEnd: func(error) {},
	}
}

// dial connects and logs in, with what the shadow knows if there is one.
func (p *peer) dial() error {
	c, err := p.loop.dial(p.port, p.from, p)
	if err != nil {
		return err
	}
	p.conn, p.welcomed, p.live, p.pending, p.bye = c, false, false, p.pending[:0], 0
	return nil
}

// leave closes the connection from this side, with a TCP reset if reset is set.
func (p *peer) leave(reset bool) {
	if p.conn == nil {
		return
	}
	if reset {
		p.conn.reset()
	} else {
		p.conn.close()
	}
	p.gone()
}

func (p *peer) gone() {
	if p.live {
		p.tally.live--
	}
	p.conn, p.live = nil, false
	p.tally.unanswered -= len(p.asked)
	clear(p.asked)
	p.orders = 0
}

func (p *peer) ended(err error) {
	p.gone()
	p.onEnd(err)
}

// ask sends a request.
func (p *peer) ask(kind uint16, m message) {
	p.lastID++
	p.asked[p.lastID] = request{kind, time.Now()}
	p.tally.unanswered++
	if kind == typeOrder {
		p.tally.orders++
		p.orders++
	}
	p.conn.send(appendFrame(nil, kind, 0, p.lastID, m))
}

// order buys or sells 100 shares of an instrument that the account holds, or of one that every
// server has.
func (p *peer) order() {
	o := &papertapev1.Order{Side: papertapev1.Side_SIDE_BUY, Market: "SZ", Code: "000001", Quantity: 100}
	if held := p.shadow.Held(); len(held) > 0 {
		pick := held[p.rng.IntN(len(held))]
		o.Market, o.Code = pick[:2], pick[3:]
		if p.rng.IntN(2) == 0 && p.shadow.Quantity(o.Market, o.Code) >= o.Quantity {
			o.Side = papertapev1.Side_SIDE_SELL
		}
	}
	p.ask(typeOrder, o)
}

// received cuts the received bytes into frames. Any of them may end the connection.
func (p *peer) received(b []byte) {
	if len(p.pending) > 0 {
		p.pending = append(p.pending, b...)
		b = p.pending
	}
	for at := p.conn; p.conn == at; {
		f, n, err := cut(b)
		if err == nil && n > 0 {
			err = p.handle(f)
		}
		if err != nil {
			p.tally.find(fmt.Sprintf("account %d: %v", p.account, err))
			p.leave(true)
			p.onEnd(err)
			return
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	if p.conn != nil {
		p.pending = append(p.pending[:0], b...)
	}
}

type decodable interface{ UnmarshalVT(b []byte) error }

// decodeAs decodes a payload into m, and calls f with it.
func decodeAs[M decodable](payload []byte, m M, f func(M) error) error {
	if err := m.UnmarshalVT(payload); err != nil {
		return fmt.Errorf("a %T does not parse: %w", m, err)
	}
	return f(m)
}

// handle handles one frame. It returns an error for a frame that a server never sends.
func (p *peer) handle(f frame) error {
	if p.welcomed == (f.kind == typeWelcome) {
		return fmt.Errorf("type %d is out of place: WELCOME is the first frame of a connection, and only that", f.kind)
	}
	switch f.kind {
	case typeWelcome:
		return decodeAs(f.payload, new(papertapev1.Welcome), p.welcome)
	case typeLoginReply:
		return decodeAs(f.payload, new(papertapev1.LoginReply), p.loggedIn)
	case typeEvent, typeExecution:
		ev, err := client.DecodeEvent(f.payload)
		if err != nil {
			return fmt.Errorf("an event does not parse: %w", err)
		}
		return p.event(f, ev)
	case typeHeld:
		h, err := client.DecodeHoldings(f.payload)
		if err != nil {
			return fmt.Errorf("a list does not parse: %w", err)
		}
		p.tally.holdings++
		p.tally.find(p.shadow.CheckHoldings(h)...)
		return p.answered(f.id)
	case typePing:
		return decodeAs(f.payload, new(papertapev1.Ping), func(m *papertapev1.Ping) error {
			p.compareHead("PING", m.GetHeadSeq())
			p.conn.send(appendFrame(nil, typePong, flagReply, f.id, &papertapev1.Pong{}))
			return nil
		})
	case typePong:
		return decodeAs(f.payload, new(papertapev1.Pong), func(m *papertapev1.Pong) error {
			p.compareHead("PONG", m.GetHeadSeq())
			return p.answered(f.id)
		})
	case typeHistoric, typeSubscribed:
		return p.answered(f.id)
	case typeReject:
		return decodeAs(f.payload, new(papertapev1.Reject),
			func(m *papertapev1.Reject) error { return p.rejected(f, m) })
	case typeQuotes:
		p.tally.quotes++
	case typePresence:
		p.tally.presence++
	case typeGoodbye:
		return decodeAs(f.payload, new(papertapev1.Goodbye), func(m *papertapev1.Goodbye) error {
			p.bye = m.GetReason()
			p.tally.goodbyes[p.bye]++
			return nil
		})
	default:
		return fmt.Errorf("a message of type %d", f.kind)
	}
	return nil
}

// welcome answers WELCOME with LOGIN.
func (p *peer) welcome(w *papertapev1.Welcome) error {
	p.welcomed = true
	if p.epoch != 0 && p.epoch != w.GetEpoch() {
		return fmt.Errorf("the epoch changed from %x to %x while the server ran", p.epoch, w.GetEpoch())
	}
	p.epoch, p.heartbeat = w.GetEpoch(), time.Duration(w.GetHeartbeatMs())*time.Millisecond
	login := &papertapev1.Login{Account: p.account, Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Client: p.name}
	if p.shadow != nil && !p.fresh {
		login.Mode, login.Epoch, login.LastSeq = papertapev1.ResumeMode_RESUME_MODE_RESUME, p.epoch, p.shadow.Seq()
	}
	if k := p.loop.keyed; k != nil {
		k.sign(w, login, &k.secret)
	}
	p.lastID++
	p.conn.send(appendFrame(nil, typeLogin, 0, p.lastID, login))
	return nil
}

func (p *peer) loggedIn(r *papertapev1.LoginReply) error {
	if p.live {
		return errors.New("a second answer to one LOGIN")
	}
	p.live = true
	p.tally.live++
	p.tally.logins++
	p.replayTo = r.GetHeadSeq()
	if p.shadow != nil && r.GetHeadSeq() < p.shadow.Seq() {
		return fmt.Errorf("the head went back from sequence %d to %d", p.shadow.Seq(), r.GetHeadSeq())
	}
	switch {
	case r.GetHoldings() != nil:
		if r.GetResynced() {
			p.tally.resynced++
		}
		h, err := listOf(r)
		if err != nil {
			return err
		}
		var findings []string
		p.shadow, findings = shadow.FromHoldings(h)
		p.tally.find(findings...)
	case r.GetMode() == papertapev1.ResumeMode_RESUME_MODE_RESUME && p.shadow != nil:
		p.tally.resumed++
	default:
		return fmt.Errorf("the answer to LOGIN is of mode %v, without holdings", r.GetMode())
	}
	p.beat(p.conn)
	p.onLive()
	return nil
}

// listOf returns the list in an answer to LOGIN.
func listOf(r *papertapev1.LoginReply) (*client.Holdings, error) {
	payload, err := r.GetHoldings().MarshalVT()
	if err != nil {
		return nil, err
	}
	return client.DecodeHoldings(payload)
}

// beat sends a PING in every heartbeat interval while the connection is the current one.
func (p *peer) beat(c *conn) {
	p.loop.after(p.heartbeat, func() {
		if p.conn != c {
			return
		}
		if !c.paused {
			p.ask(typePing, &papertapev1.Ping{})
		}
		p.beat(c)
	})
}

// compareHead detects a silent loss.
func (p *peer) compareHead(where string, head uint64) {
	if p.live && head != p.shadow.Seq() {
		p.tally.gaps++
		p.tally.find(fmt.Sprintf("account %d: %s says that the newest sequence is %d; %d has come", p.account, where,
			head, p.shadow.Seq()))
	}
}

// event handles an EVENT or an EXECUTION.
func (p *peer) event(f frame, ev *client.Event) error {
	if !p.live {
		return fmt.Errorf("event %d before the answer to LOGIN", ev.Seq)
	}
	p.tally.events++
	replayed := f.flags&flagReplay != 0
	if replayed {
		p.tally.replayed++
	} else if p.tally.timed {
		p.tally.arrived(ev.Time.UnixNano())
	}
	if replayed != (ev.Seq <= p.replayTo) {
		p.tally.find(fmt.Sprintf("account %d seq %d: REPLAY is %v; the answer to LOGIN said head %d", p.account,
			ev.Seq, replayed, p.replayTo))
	}
	switch next := p.shadow.Seq() + 1; {
	case ev.Seq < next:
		p.tally.repeats++ // the shadow stays where it is
	default:
		if ev.Seq > next {
			p.tally.gaps++
		}
		p.tally.find(p.shadow.Apply(ev)...)
	}
	if f.kind == typeExecution {
		p.tally.executions++
		return p.answered(f.id)
	}
	return nil
}

// rejected handles a REJECT. One without an id precedes the end of the connection.
func (p *peer) rejected(f frame, m *papertapev1.Reject) error {
	p.tally.rejects[m.GetCode()]++
	if f.flags&flagReply == 0 || !p.live {
		return nil
	}
	return p.answered(f.id)
}

// answered removes the request with an id.
func (p *peer) answered(id uint64) error {
	r, ok := p.asked[id]
	if !ok {
		return fmt.Errorf("an answer to request %d, which was not asked or is answered", id)
	}
	delete(p.asked, id)
	p.tally.unanswered--
	if r.kind == typeOrder {
		p.orders--
		if p.tally.timed {
			p.tally.trips = append(p.tally.trips, time.Since(r.at))
		}
	}
	return nil
}

// endedBy says in words how the server ended the connection.
func (p *peer) endedBy(err error) string {
	if p.bye != 0 {
		return p.bye.String()
	}
	if errors.Is(err, io.EOF) {
		return "closed without GOODBYE"
	}
	return err.Error()
}
