package clientsim

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// world is a minimal server: one lock and a goroutine per connection. Each test chooses its
// faults.
type world struct {
	t        *testing.T
	universe *market.Universe
	listener net.Listener
	stop     context.CancelFunc
	ctx      context.Context
	work     sync.WaitGroup

	// spoil, if not nil, may change a frame that leaves the server; if it returns false, the
	// frame is dropped. It is called with mu held.
	spoil func(f *outFrame) bool

	mu       sync.Mutex // guards the fields below
	epoch    uint64
	instance uint64 // identifies the run of the server
	mute     bool   // the server does not send its instance
	shut     bool   // new connections are closed at once
	forgets  bool   // no client can resume, although the history is the same
	idle     bool   // the script is not played
	polite   bool   // the script leaves accounts alone that nobody is logged in to, or that are held
	onList   bool   // the script begins for an account with the first list that its client asks for, not with its login
	held     uint64 // the account whose client is about to be cut off, until it logs in again
	book     *positions.Book
	prices   *market.Feed
	history  map[uint64][]*papertapev1.AccountEvent
	events   map[uint64][]positions.Event         // the same
	byID     map[string]*papertapev1.AccountEvent // executed orders with an id; one account per id is enough here
	sessions map[*session]bool
	logins   map[uint64]int
	lists    map[uint64]int // asked for
}

// outFrame is a frame on its way to a client.
type outFrame struct {
	account uint64
	t       codec.Type
	flags   codec.Flags
	id      uint64
	m       codec.Message
}

type session struct {
	conn    net.Conn
	account uint64 // 0: not logged in
}

// startWorld opens the ten accounts with rows[i] rows each and plays the mission's script.
func startWorld(t *testing.T, rows [10]int, spoil func(*outFrame) bool) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := market.Default()
	w := &world{
		t: t, universe: u, listener: l, spoil: spoil, epoch: 4711, instance: 1, prices: market.Walk(u, 1),
		sessions: make(map[*session]bool),
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.begin(rows)
	w.work.Go(w.accept)
	t.Cleanup(func() {
		w.stop()
		_ = l.Close()
		w.mu.Lock()
		for s := range w.sessions {
			_ = s.conn.Close()
		}
		w.mu.Unlock()
		w.work.Wait()
	})
	return w
}

// begin starts a history with the ten accounts of the mission and ten of a swarm.
func (w *world) begin(rows [10]int) {
	w.book, w.history, w.byID = positions.NewBook(w.universe), make(map[uint64][]*papertapev1.AccountEvent),
		make(map[string]*papertapev1.AccountEvent)
	w.lists = make(map[uint64]int)
	w.logins, w.events = make(map[uint64]int), make(map[uint64][]positions.Event)
	for i, n := range rows {
		w.openAccount(firstAccountDefault+uint64(i), n)
		w.openAccount(swarmFirst+uint64(i), n)
	}
}

// swarmFirst is the first of ten accounts that the script does not touch.
const swarmFirst = 100001

// cut ends all connections; the server goes on.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.sessions {
		_ = s.conn.Close()
	}
}

// away refuses connections until the returned function is called. The server is then another
// run and, if anew is set, one that has lost its history.
func (w *world) away(anew bool) (back func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = true
	for s := range w.sessions {
		_ = s.conn.Close()
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.instance++
		if w.shut = false; anew {
			w.epoch++
			w.begin([10]int{2, 3, 4, 3, 2, 3, 4, 3, 2, 0})
		}
	}
}

func (w *world) openAccount(number uint64, rows int) {
	var ev positions.Event
	w.book.DecideAdjustment(number, &positions.Adjustment{Cash: 2_000_000_0000, Reason: "opened", Actor: "test"},
		w.universe.Opening(), 1, &ev)
	w.apply(&ev)
	for id := range rows {
		o := &positions.Order{Account: number, Instrument: market.ID(id * 3), Side: positions.Buy, Quantity: 100,
			Origin: positions.OriginOperator}
		if w.book.Decide(o, w.universe.Opening(), 1, &ev).Reason == positions.NoRefusal {
			w.apply(&ev)
		}
	}
}

// decode decodes a frame that the codec has made.
func (w *world) decode(frame []byte, m interface {
	UnmarshalVT(b []byte) error
	Reset()
}) {
	if err := codec.Unmarshal(frame[codec.HeaderBytes:], m); err != nil {
		w.t.Error(err)
	}
}

// apply adds an event to the history.
func (w *world) apply(ev *positions.Event) *papertapev1.AccountEvent {
	w.book.Apply(ev)
	m := new(papertapev1.AccountEvent)
	w.decode(codec.AppendEvent(nil, codec.TypeEvent, 0, 0, ev, w.universe), m)
	w.history[ev.Account] = append(w.history[ev.Account], m)
	w.events[ev.Account] = append(w.events[ev.Account], *ev)
	return m
}

func (w *world) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		s := &session{conn: conn}
		w.mu.Lock()
		w.sessions[s] = true
		if w.shut {
			_ = conn.Close()
		}
		w.mu.Unlock()
		w.work.Go(func() {
			w.serve(s)
			w.mu.Lock()
			delete(w.sessions, s)
			w.mu.Unlock()
			_ = conn.Close()
		})
	}
}

func (w *world) serve(s *session) {
	w.mu.Lock()
	welcome := &papertapev1.Welcome{Uid: 1, Protocol: 1, Epoch: w.epoch, Instance: w.instance, HeartbeatMs: 2000,
		MaxFrame: codec.LimitAfterLogin}
	if w.mute {
		welcome.Instance = 0
	}
	w.send(s, outFrame{t: codec.TypeWelcome, m: welcome})
	w.mu.Unlock()
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		n, err := s.conn.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			f, used, cutErr := codec.Cut(buf, codec.LimitAfterLogin)
			if cutErr != nil {
				w.t.Errorf("a client sent a frame that cannot be cut: %v", cutErr)
				return
			}
			if used == 0 {
				break
			}
			w.answer(s, f)
			buf = buf[used:]
		}
		if err != nil {
			return
		}
	}
}

// send writes with the lock held, since the clients of these tests always read.
func (w *world) send(s *session, f outFrame) {
	f.account = s.account
	if w.spoil != nil && !w.spoil(&f) {
		return
	}
	_, _ = s.conn.Write(codec.Append(nil, f.t, f.flags, f.id, f.m)) // the client may be gone
}

func (w *world) answer(s *session, f codec.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	reply := func(t codec.Type, m codec.Message) {
		w.send(s, outFrame{t: t, flags: codec.FlagReply, id: f.ID, m: m})
	}
	switch f.Type {
	case codec.TypeLogin:
		w.login(s, f)
	case codec.TypePing:
		reply(codec.TypePong, &papertapev1.Pong{HeadSeq: uint64(len(w.history[s.account]))})
	case codec.TypeHoldings:
		reply(codec.TypeHoldingsReply, w.holdings(s.account))
		if w.lists[s.account]++; w.lists[s.account] == 1 && w.onList {
			w.play(s.account)
		}
	case codec.TypeInstruments:
		list, asked := new(papertapev1.Instruments), new(papertapev1.InstrumentsRequest)
		if err := codec.Unmarshal(f.Payload, asked); err != nil {
			w.t.Error(err)
		}
		for id := range w.universe.Len() {
			i := w.universe.At(market.ID(id))
			if len(asked.Codes) > 0 && !slices.Contains(asked.Codes, i.Market+"."+i.Code) {
				continue
			}
			list.Instruments = append(list.Instruments, &papertapev1.Instrument{
				Market: i.Market, Code: i.Code, Name: i.Name, Price: w.prices.Snapshot().At(market.ID(id)),
			})
		}
		reply(codec.TypeInstrumentsReply, list)
	case codec.TypeHistory:
		h, err := codec.DecodeHistoryRequest(f.Payload)
		if err != nil {
			w.t.Error(err)
		}
		if head := uint64(len(w.history[s.account])); h.BeforeSeq == 0 || h.BeforeSeq > head {
			h.BeforeSeq = head + 1
		}
		page := &papertapev1.History{OldestSeq: 1}
		// Pages may be shorter than asked for.
		for seq := h.BeforeSeq - 1; seq > 0 && len(page.Events) < min(h.Limit, 7); seq-- {
			page.Events = append(page.Events, w.history[s.account][seq-1])
		}
		reply(codec.TypeHistoryReply, page)
	case codec.TypeOrder:
		var o positions.Order
		if err := codec.DecodeOrder(f.Payload, w.universe, &o); err != nil {
			w.t.Error(err)
			return
		}
		if s.account == 0 {
			return // the client did not know that its connection was closed
		}
		o.Account, o.Origin = s.account, positions.OriginClient
		w.order(s, &o, f.ID)
	}
}

func (w *world) login(s *session, f codec.Frame) {
	l, err := codec.DecodeLogin(f.Payload)
	if err != nil {
		w.t.Error(err)
	}
	if len(w.history[l.Account]) == 0 {
		w.send(s, outFrame{t: codec.TypeReject, flags: codec.FlagReply, id: f.ID, m: &papertapev1.Reject{
			Code: papertapev1.RejectCode(client.UnknownAccount), Text: fmt.Sprintf("there is no account %d", l.Account),
		}})
		return
	}
	s.account = l.Account
	head := uint64(len(w.history[s.account]))
	r := &papertapev1.LoginReply{Account: s.account, HeadSeq: head, OldestSeq: 1, Epoch: w.epoch, Mode: l.Mode}
	from := head
	switch l.Mode {
	case papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT:
		r.Holdings = w.holdings(s.account)
	case papertapev1.ResumeMode_RESUME_MODE_RESUME:
		if from = l.LastSeq; l.Epoch != w.epoch || w.forgets {
			from, r.Mode, r.Resynced, r.Holdings = head, papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, true,
				w.holdings(s.account)
		}
	case papertapev1.ResumeMode_RESUME_MODE_RESTART:
		from = 0
	}
	w.send(s, outFrame{t: codec.TypeLoginReply, flags: codec.FlagReply, id: f.ID, m: r})
	for _, ev := range w.history[s.account][from:] {
		w.send(s, outFrame{t: codec.TypeEvent, flags: codec.FlagReplay, m: ev})
	}
	if w.held == s.account {
		w.held = 0
	}
	if w.logins[s.account]++; w.logins[s.account] == 1 && !w.onList {
		w.play(s.account)
	}
}

func (w *world) holdings(account uint64) *papertapev1.Holdings {
	held, _, _ := w.book.Holdings(account, w.prices.Snapshot(), nil)
	h := new(papertapev1.Holdings)
	w.decode(codec.AppendHoldings(nil, 0, &held, w.universe), h)
	return h
}

// order executes an order of a session, or of the simulator if s is nil.
func (w *world) order(s *session, o *positions.Order, id uint64) {
	if before := w.byID[o.ID.String()]; s != nil && before != nil {
		w.send(s, outFrame{t: codec.TypeExecution, flags: codec.FlagReply | codec.FlagReplay, id: id, m: before})
		return
	}
	var ev positions.Event
	if r := w.book.Decide(o, w.prices.Step(0), time.Now().UnixNano(), &ev); r.Reason != positions.NoRefusal {
		if s != nil {
			w.send(s, outFrame{t: codec.TypeReject, flags: codec.FlagReply, id: id, m: &papertapev1.Reject{
				Code: codec.CodeOf(r.Reason), Text: r.Sentence(o, w.universe),
			}})
		}
		return
	}
	m := w.apply(&ev)
	if !o.ID.IsZero() {
		w.byID[o.ID.String()] = m
	}
	if s != nil {
		w.send(s, outFrame{t: codec.TypeExecution, flags: codec.FlagReply, id: id, m: m})
	}
	w.push(m, s)
}

// push sends an event to all sessions of its account but one.
func (w *world) push(m *papertapev1.AccountEvent, but *session) {
	for s := range w.sessions {
		if s != but && s.account == m.GetAccount() {
			w.send(s, outFrame{t: codec.TypeEvent, m: m})
		}
	}
}

// takeBack takes back or corrects the simulator's newest trade in an instrument, as a step
// says.
func (w *world) takeBack(step scriptStep, id market.ID) {
	r := &positions.BustRequest{Account: step.Account, Reason: step.Reason, Actor: "script"}
	if r.Correct = step.Correct != ""; r.Correct {
		r.Price, r.Quantity = int64(step.Price*1_0000), int64(step.Quantity.(uint64))
	}
	gone := make(map[uint64]bool)
	for _, ev := range slices.Backward(w.events[step.Account]) {
		if b := ev.Bust; b != nil {
			gone[b.TradeSeq] = gone[b.TradeSeq] || b.Replacement == nil
		} else if r.TradeSeq == 0 && !gone[ev.Seq] && ev.Trade.Origin == positions.OriginSimulator &&
			ev.Trade.Instrument == id {
			r.TradeSeq = ev.Seq
		}
	}
	w.bust(r)
}

// bust executes a request, unless the book refuses it.
func (w *world) bust(r *positions.BustRequest) {
	fold := positions.NewFold(w.universe, r)
	for i := range w.events[r.Account] {
		if err := fold.Add(&w.events[r.Account][i]); err != nil {
			w.t.Error(err)
			return
		}
	}
	var ev positions.Event
	o := w.book.DecideBust(fold, w.prices.Snapshot(), time.Now().UnixNano(), &ev)
	if o.Reason == positions.NoBustRefusal {
		w.push(w.apply(&ev), nil)
	}
}

// play starts the steps of the script for an account: one after the other, in the order of their times, however late
// each of them is.
func (w *world) play(account uint64) {
	epoch, begun := w.epoch, time.Now()
	type turn struct {
		after time.Duration
		step  scriptStep
	}
	var turns []turn
	for _, step := range w.script() {
		for n := range max(step.Times, 1) {
			if step.Account == account {
				turns = append(turns, turn{step.After + time.Duration(n)*step.Every, step})
			}
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(a.after, b.after) })
	w.work.Go(func() {
		for _, t := range turns {
			select {
			case <-time.After(time.Until(begun.Add(t.after))):
			case <-w.ctx.Done():
				return
			}
			if !w.fill(t.step, epoch) {
				return
			}
		}
	})
}

// scriptStep is a step as the mission's script uses it.
type scriptStep struct {
	Account    uint64        `yaml:"account"`
	On         string        `yaml:"on"`
	After      time.Duration `yaml:"after"`
	Side       string        `yaml:"side"`
	Instrument string        `yaml:"instrument"`
	Quantity   any           `yaml:"quantity"`
	Every      time.Duration `yaml:"every"`
	Times      int           `yaml:"times"`
	Bust       string        `yaml:"bust"`
	Correct    string        `yaml:"correct"`
	Price      float64       `yaml:"price"`
	Reason     string        `yaml:"reason"`
}

func (w *world) script() []scriptStep {
	var file struct {
		Steps []scriptStep `yaml:"steps"`
	}
	if err := yaml.UnmarshalWithOptions(MissionScript(), &file, yaml.Strict()); err != nil {
		w.t.Errorf("the script: %v", err)
	}
	return file.Steps
}

// fillAll makes the simulator buy something n times for each account of the swarm.
func (w *world) fillAll(times int) {
	for i := range uint64(10) {
		for range times {
			w.mu.Lock()
			epoch := w.epoch
			w.mu.Unlock()
			w.fill(scriptStep{Account: swarmFirst + i, Side: "buy", Instrument: "SH.601398", Quantity: uint64(100)},
				epoch)
		}
	}
}

// fill makes one fill. It returns false if the history that the step belongs to has ended.
func (w *world) fill(step scriptStep, epoch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch != epoch {
		return false
	}
	if w.idle {
		return false
	}
	if w.polite && (w.held == step.Account || !w.attended(step.Account)) {
		return true
	}
	id, err := w.universe.Parse(step.Instrument)
	if err != nil {
		w.t.Errorf("the script: %v", err)
		return false
	}
	if step.Bust != "" || step.Correct != "" {
		w.takeBack(step, id)
		return true
	}
	o := &positions.Order{Account: step.Account, Instrument: id, Side: positions.Buy, Origin: positions.OriginSimulator}
	if step.Side == "sell" {
		o.Side = positions.Sell
	}
	switch q := step.Quantity.(type) {
	case uint64:
		o.Quantity = int64(q)
	case string:
		v, _ := w.book.View(step.Account)
		row, _ := v.Find(id)
		o.Quantity = row.Quantity
	}
	w.order(nil, o, 0)
	return true
}

// hold makes the script leave an account alone until its client logs in again, and returns how many fills of the
// simulator the account has had.
func (w *world) hold(account uint64) (fills int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = account
	for _, ev := range w.history[account] {
		if ev.GetTrade().GetOrigin() == papertapev1.Origin_ORIGIN_SIMULATOR {
			fills++
		}
	}
	return fills
}

// attended reports whether anybody is logged in to an account.
func (w *world) attended(account uint64) bool {
	for s := range w.sessions {
		if s.account == account {
			return true
		}
	}
	return false
}

func TestScriptNamesEachClientAndWhatThereIs(t *testing.T) {
	w := &world{t: t, universe: market.Default()}
	var accounts []uint64
	for _, step := range w.script() {
		accounts = append(accounts, step.Account)
		if _, err := w.universe.Parse(step.Instrument); err != nil {
			t.Error(err)
		}
		fill := step.Side == "buy" || step.Side == "sell"
		if takes := step.Bust == "last" || step.Correct == "last"; step.On != "login" || fill == takes {
			t.Errorf("step %+v: expected on: login, and side: buy or sell, or the last of an instrument taken back",
				step)
		}
	}
	slices.Sort(accounts)
	if accounts = slices.Compact(accounts); len(accounts) != len(mission) || accounts[0] != firstAccountDefault {
		t.Errorf("the script is about accounts %v: expected the %d from %d", accounts, len(mission),
			firstAccountDefault)
	}
}
