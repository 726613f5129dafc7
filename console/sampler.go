package console

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
)

// Bounds of what is watched.
const (
	sampleEvery     = time.Second
	sampleAfter     = 15 * time.Second // how long the sampler goes on when nobody watches any more
	streamsMax      = 32
	accountsWatched = 64  // of all streams together
	topSessions     = 20  // that a tick has
	newestEvents    = 100 // of an account, that a tick has

	// lookTimeout is how long a tick waits for the shards and the event loops. What is not known by then is left out.
	lookTimeout = 500 * time.Millisecond
)

// sampler looks at the server once a second while somebody watches, and makes of each look the JSON that all streams
// write. Nothing of it is queued: a stream writes the newest tick, and then waits for the next.
type sampler struct {
	server  *Server
	current atomic.Pointer[tick] // the newest; nil: there was none
	ended   sync.WaitGroup       // the goroutine that samples, and what it waits for

	mu sync.Mutex
	// Shared, under mu.
	running  bool
	streams  int
	watched  time.Time // when somebody was last known to watch
	topics   map[string]int
	accounts map[uint64]*watchedAccount

	taking sync.Mutex // held during a sample, and while the rings are read
	// Owned by who holds taking.
	rings    *rings
	kept     []market.ID // whose prices rings has
	before   *look
	alarms   alarms
	ticks    uint64
	ringJSON map[bool][]byte // as of the newest tick, with and without prices; nil: not made yet
	built    uint64          // how often a tick was made
	top      *inTime         // the search for sessions
}

// tick is what is written of a second. It is never changed, apart from next, which is closed when there is a newer one.
type tick struct {
	id       uint64
	head     []byte // the beginning of an object
	overview []byte
	sessions []byte            // nil: nobody watches them, or the loops did not answer
	prices   []byte            // nil: nobody watches them
	accounts map[uint64][]byte // those that have changed
	next     chan struct{}
}

func newSampler(s *Server) *sampler {
	return &sampler{
		server: s, topics: make(map[string]int), accounts: make(map[uint64]*watchedAccount),
		top: newInTime(),
	}
}

// join begins to watch topics. It returns false if there are too many streams, or accounts, already. The caller calls
// leave with the same topics at the end. There is a tick when it returns.
func (p *sampler) join(t topics) bool {
	p.mu.Lock()
	if p.streams >= streamsMax || !p.room(t.accounts) {
		p.mu.Unlock()
		return false
	}
	p.streams++
	for _, name := range t.names {
		p.topics[name]++
	}
	for _, number := range t.accounts {
		if p.accounts[number] == nil {
			p.accounts[number] = &watchedAccount{number: number}
		}
		p.accounts[number].streams++
	}
	p.wake()
	return true
}

// room reports whether accounts can be watched beside those that are. mu must be held.
func (p *sampler) room(accounts []uint64) bool {
	n := len(p.accounts)
	for _, number := range accounts {
		if p.accounts[number] == nil {
			n++
		}
	}
	return n <= accountsWatched
}

func (p *sampler) leave(t topics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams--
	p.watched = time.Now()
	for _, name := range t.names {
		p.topics[name]--
	}
	for _, number := range t.accounts {
		if w := p.accounts[number]; w.streams == 1 {
			delete(p.accounts, number)
		} else {
			w.streams--
		}
	}
}

// touch counts a question as watching for a while. There is a tick when it returns.
func (p *sampler) touch() {
	p.mu.Lock()
	p.wake()
}

// wake sees to it that somebody samples, and unlocks mu. If nobody did, it takes the first sample itself, so that there
// is a new tick when it returns.
func (p *sampler) wake() {
	p.watched = time.Now()
	was := p.running
	p.running = true
	if !was {
		p.ended.Add(1)
	}
	if was {
		p.mu.Unlock()
		if p.current.Load() == nil { // somebody else takes the first one
			p.taking.Lock()
			p.taking.Unlock() //nolint:staticcheck // only to wait for it
		}
		return
	}
	p.taking.Lock() // nobody samples, so who has it does not want mu
	p.mu.Unlock()
	p.take()
	p.taking.Unlock()
	go p.run(p.server.stopped) // ends with it, or when nobody watches; wait waits for it
}

// wait waits until nobody samples any more. The context that run was given has ended.
func (p *sampler) wait() { p.ended.Wait() }

func (p *sampler) run(stopped context.Context) {
	defer p.ended.Done()
	every := time.NewTicker(sampleEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-stopped.Done():
			p.mu.Lock()
			p.running = false
			p.mu.Unlock()
			return
		}
		if p.idle() {
			return
		}
		p.sample()
	}
}

// idle stops sampling if nobody has watched for a while.
func (p *sampler) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == 0 && time.Since(p.watched) > sampleAfter {
		p.running = false
	}
	return !p.running
}

// sample looks at the server, and publishes a tick.
func (p *sampler) sample() {
	p.taking.Lock()
	defer p.taking.Unlock()
	p.take()
}

// take is sample for who holds taking.
func (p *sampler) take() {
	s := p.server
	now, about := time.Now(), s.cfg.About()
	l := s.look(now)
	values := valuesOf(l, p.before)
	if p.rings == nil { // a server at which nobody looks has none
		p.kept = s.kept()
		p.rings = newRings(len(figures), len(p.kept))
	}
	prices := s.cfg.Prices()
	p.rings.take(now, values, func(i int) int64 { return prices.At(p.kept[i]) })
	p.ticks++
	p.built++
	t := &tick{
		id: p.ticks, head: encoded(newLiveHead(p.ticks, now, &about)),
		overview: encoded(p.overview(&about, l, values)), next: make(chan struct{}),
	}
	t.head = t.head[:len(t.head)-1] // without the closing brace
	if p.isWatched("prices") {
		t.prices = encoded(pricesOf(p.kept, prices))
	}
	if p.isWatched("sessions") {
		t.sessions = p.topSessions()
	}
	t.accounts = p.lookAtAccounts()
	p.before, p.ringJSON = l, make(map[bool][]byte)
	if last := p.current.Swap(t); last != nil {
		close(last.next)
	}
}

func (p *sampler) isWatched(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.topics[topic] > 0
}

// encoded returns v as JSON. It is one of our own types, so that cannot fail.
func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("console: " + err.Error())
	}
	return text
}

// liveHead is what each event begins with.
type liveHead struct {
	Tick    uint64    `json:"tick"`
	Time    time.Time `json:"time"`
	Epoch   *Hash     `json:"epoch,omitempty"`
	Started time.Time `json:"started"`
	Build   string    `json:"build"`
	State   string    `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	Percent *int      `json:"percent,omitempty"`
}

func newLiveHead(tick uint64, now time.Time, a *About) liveHead {
	return liveHead{tick, now.UTC(), a.Epoch, a.Started, a.Version, a.State, a.Reason, a.Percent}
}

// Overview is what a server does right now.
type Overview struct {
	Figures   []Figure  `json:"figures"`
	Limits    []Limit   `json:"limits"`
	Latencies []Latency `json:"latencies"`
	Alarms    []Alarm   `json:"alarms"`
}

// Figure is a number of the last second.
type Figure struct {
	Name  string   `json:"name"`
	Unit  string   `json:"unit"`
	Value *float64 `json:"value"` // nil: not known
}

func (p *sampler) overview(about *About, l *look, values []float64) Overview {
	o := Overview{Figures: make([]Figure, len(figures)), Limits: []Limit{}, Latencies: []Latency{}}
	for i := range figures {
		o.Figures[i] = Figure{figures[i].name, figures[i].unit, known(values[i])}
	}
	for _, limit := range l.limits {
		o.Limits = append(o.Limits, limit)
	}
	slices.SortFunc(o.Limits, func(a, b Limit) int { return cmp.Compare(a.Name, b.Name) })
	for _, latency := range l.latencies {
		if latency.Count > 0 {
			o.Latencies = append(o.Latencies, latency)
		}
	}
	slices.SortFunc(o.Latencies, func(a, b Latency) int { return cmp.Compare(a.Name, b.Name) })
	o.Alarms = p.alarms.check(about, l, p.rings)
	return o
}

// known returns a value rounded to what anybody reads, or nil if it is not known.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	v = math.Round(v*1000) / 1000
	return &v
}

func pricesOf(kept []market.ID, prices *market.Prices) []Money {
	list := make([]Money, len(kept))
	for i, id := range kept {
		list[i] = Money(prices.At(id))
	}
	return list
}

// topSessions returns the sessions for which most waits, as JSON; nil if the loops do not answer in time.
func (p *sampler) topSessions() []byte {
	return p.top.do(&p.ended, func() []byte {
		return encoded(p.server.findSessions(gateway.SessionSearch{
			By: gateway.ByWaiting, Descending: true, Limit: topSessions,
		}))
	})
}

// inTime does something that may take long, one at a time, and does not wait for it longer than lookTimeout.
type inTime struct{ result chan []byte }

func newInTime() *inTime { return &inTime{} }

// do returns what f returns, or nil if it takes longer; then the next call waits for that, instead of doing it again.
func (t *inTime) do(running *sync.WaitGroup, f func() []byte) []byte {
	if t.result == nil {
		result := make(chan []byte, 1)
		t.result = result
		running.Go(func() { result <- f() }) // ends when the loops have answered, or gnet has stopped
	}
	limit := time.NewTimer(lookTimeout)
	defer limit.Stop()
	select {
	case text := <-t.result:
		t.result = nil
		return text
	case <-limit.C:
		return nil
	}
}

// Rings are the newest values of all figures, oldest first.
type Rings struct {
	To      *time.Time `json:"to,omitempty"` // of the newest
	Figures []Ring     `json:"figures"`
	Prices  [][]*Money `json:"prices,omitempty"` // by instrument, a value a second
}

// Ring are the newest values of a figure: one a second, and one in ten seconds. nil is not known.
type Ring struct {
	Name    string     `json:"name"`
	Unit    string     `json:"unit"`
	Seconds []*float64 `json:"seconds"`
	Tens    []*float64 `json:"ten_seconds"`
}

// ringsJSON returns the rings. They are made once a tick, however many ask.
func (p *sampler) ringsJSON(prices bool) []byte {
	p.taking.Lock()
	defer p.taking.Unlock()
	if p.ringJSON[prices] == nil {
		p.ringJSON[prices] = encoded(p.newRings(prices))
	}
	return p.ringJSON[prices]
}

func (p *sampler) newRings(prices bool) Rings {
	r := p.rings
	to := r.to.UTC()
	all := Rings{To: &to, Figures: make([]Ring, len(figures))}
	for i := range figures {
		f := &r.figures[i]
		all.Figures[i] = Ring{
			figures[i].name, figures[i].unit, allKnown(r.last(f, secondsKept)),
			allKnown(newest(f.tens[:], r.tens, tenSecondsKept)),
		}
	}
	for i := range r.prices {
		if prices {
			all.Prices = append(all.Prices, p.pricesOf(i))
		}
	}
	return all
}

func allKnown(values []float64) []*float64 {
	list := make([]*float64, len(values))
	for i, v := range values {
		list[i] = known(v)
	}
	return list
}

// pricesOf returns the prices of one of those kept, oldest first.
func (p *sampler) pricesOf(instrument int) []*Money {
	prices := newest(p.rings.prices[instrument][:], p.rings.taken, secondsKept)
	list := make([]*Money, len(prices))
	for i, price := range prices {
		if price != 0 {
			money := Money(price)
			list[i] = &money
		}
	}
	return list
}

// appendEvent appends a tick as a stream gets it.
func (p *sampler) appendEvent(dst []byte, name string, t *tick, about topics, accounts func(uint64) []byte,
	rings []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\nid: "...)
	dst = strconv.AppendUint(dst, t.id, 10)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, t.head...)
	for _, part := range []struct {
		name string
		text []byte
	}{{"overview", t.overview}, {"sessions", t.sessions}, {"prices", t.prices}} {
		if about.has(part.name) && part.text != nil {
			dst = appendMember(dst, part.name, part.text)
		}
	}
	if len(about.accounts) > 0 {
		dst = append(dst, `,"accounts":[`...)
		begin := len(dst)
		for _, number := range about.accounts {
			if text := accounts(number); text != nil {
				if len(dst) > begin {
					dst = append(dst, ',')
				}
				dst = append(dst, text...)
			}
		}
		dst = append(dst, ']')
	}
	if rings != nil {
		dst = appendMember(dst, "rings", rings)
	}
	return append(dst, "}\n\n"...)
}

func appendMember(dst []byte, name string, text []byte) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return append(dst, text...)
}
