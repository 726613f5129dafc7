package gateway

import (
	"strings"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/tally"
)

// measures are what a loop has counted and timed. It shows others what has changed at the end of each
// read and each task, so that a frame or a write costs it no more than additions.
type measures struct {
	_ [128]byte // keeps what others write off these cache lines

	counts  tally.Counters
	push    tally.Histogram // decided to handed to the socket: of the oldest event of a write
	request tally.Histogram // read to answer handed to the socket: of the oldest request of a write
	lag     tally.Histogram // a tick asked for to the tick
	lagging tally.Counters  // gaugeLag alone, which is set at every tick

	// Owned by the loop.
	clock   int64 // by tally.Now: when the task or the read began, or a little later
	readAt  int64 // when the last read began
	written int   // since clock was read
	waiting int   // sessions whose sockets have not taken everything

	_ [128]byte
}

// The counters of a loop. After countRequests come those of the kinds of request, and then those of
// the codes of rejects, of which a publisher has its own.
const (
	countFramesIn = iota
	countBytesIn
	countFramesOut
	countBytesOut
	countWrites
	countLeft       // by their clients, or for reasons unknown
	countShutDown   // sessions
	countFull       // connections refused, and so on
	countPrelogin   //
	countPerIP      //
	countRate       //
	countDraining   //
	gaugeWaiting    // sessions
	countRequests   // by requestNames
	countLoopReject = countRequests + 13
)

// The counters of a publisher. From countReject on they are by code.
const (
	countResumed = iota
	countResynced
	countReject
)

const gaugeLag = 0

// codesCounted is how many codes of rejects there are.
var codesCounted = len(papertapev1.RejectCode_name)

// requestNames are the kinds of request that are counted apart, as the protocol names them. CUSTOM are
// the embedder's, OTHER what clients may not send.
var requestNames = [...]string{
	"OTHER", "LOGIN", "PING", "ORDER", "HOLDINGS", "HISTORY", "INSTRUMENTS", "SUBSCRIBE", "CUSTOM",
	"BARS", "TRADES", "CLOCK", "CALENDAR",
}

// requestKinds leads from the types of message to requestNames. PONG answers and asks nothing.
var requestKinds = [...]int8{
	codec.TypeLogin: 1, codec.TypePing: 2, codec.TypeOrder: 3, codec.TypeHoldings: 4, codec.TypeHistory: 5,
	codec.TypeInstruments: 6, codec.TypeSubscribe: 7, codec.TypePong: -1, codec.TypePresence: 0,
	codec.TypeBars: 9, codec.TypeTrades: 10, codec.TypeClock: 11, codec.TypeCalendar: 12, codec.TypeCalendarReply: 0,
}

const customRequest = 8

func newMeasures() measures {
	return measures{
		push: tally.NewHistogram(tally.Latencies), request: tally.NewHistogram(tally.Latencies),
		lag: tally.NewHistogram(tally.Latencies),
	}
}

// tellTime reads the clock.
func (l *loop) tellTime() {
	l.clock, l.written = tally.Now(), 0
	l.now = toMillis(time.Duration(l.clock-l.gw.began)) + 1
}

// countRequest counts a frame by its type.
func (l *loop) countRequest(t codec.Type) {
	kind := int8(0)
	switch {
	case int(t) < len(requestKinds):
		if kind = requestKinds[t]; kind < 0 {
			return
		}
	case t >= codec.TypeEmbedder:
		kind = customRequest
	}
	l.counts.Count(countRequests+int(kind), 1)
}

// indexOf returns where a code is among the counters of codes. What an embedder makes up counts as 0.
func indexOf(code papertapev1.RejectCode) int {
	if code < 0 || int(code) >= codesCounted {
		return 0
	}
	return int(code)
}

func (l *loop) countReject(code papertapev1.RejectCode) {
	l.counts.Count(countLoopReject+indexOf(code), 1)
}

func (p *publisher) countReject(code papertapev1.RejectCode) {
	p.counts.Count(countReject+indexOf(code), 1)
}

// clockWrites is how many writes share a reading of the clock: they take less than the shortest time
// that is told apart.
const clockWrites = 16

// countWrite counts bytes handed to a socket, and times the frames in them.
func (l *loop) countWrite(bytes int, of *buffer) {
	l.counts.Count(countWrites, 1)
	l.counts.Count(countBytesOut, uint64(bytes)) //nolint:gosec // a length
	l.counts.Count(countFramesOut, uint64(of.frames))
	if l.written++; l.written == clockWrites {
		l.clock, l.written = tally.Now(), 0
	}
	if of.decided != 0 {
		l.push.Observe(l.clock - of.decided)
	}
	if of.asked != 0 {
		l.request.Observe(l.clock - of.asked)
	}
}

// countWaiting notes that one session more (1) or less (-1) has bytes that its socket has not taken.
func (l *loop) countWaiting(by int) {
	l.waiting += by
	l.counts.Set(gaugeWaiting, uint64(l.waiting)) //nolint:gosec // sessions
}

// measureTick times the ticker's tick. What the loop asked for itself is not timed: it is not asked for at all times.
func (l *loop) measureTick() {
	if asked := l.tickAsked.Swap(0); asked != 0 {
		lag := max(0, tally.Now()-asked)
		l.lag.Observe(lag)
		l.lagging.Set(gaugeLag, uint64(lag)) //nolint:gosec // not negative
	}
}

// publishMeasures shows others what has been counted.
func (l *loop) publishMeasures() {
	l.counts.Publish()
	l.push.Publish()
	l.request.Publish()
	l.lag.Publish()
	l.lagging.Publish()
}

// Lag returns how long the slowest loop took to run the last tick of the ticker, or has taken so far. Any goroutine may
// call it.
func (g *Gateway) Lag() time.Duration {
	longest := int64(0)
	for _, l := range *g.loops.Load() {
		longest = max(longest, int64(l.lagging.Load(gaugeLag))) //nolint:gosec // was an int64
		if asked := l.tickAsked.Load(); asked != 0 {
			longest = max(longest, tally.Now()-asked)
		}
	}
	return time.Duration(longest)
}

// Count is how many there were of something.
type Count struct {
	Name  string
	Count uint64
}

// Measures are what loops and publishers have counted and timed since the start, all together. Times are in
// nanoseconds.
type Measures struct {
	FramesReceived, FramesSent, BytesReceived, BytesSent, Writes uint64

	Push    tally.Sum // decided to handed to the socket, of the oldest event of each write
	Request tally.Sum // read to answer handed to the socket, of the oldest request of each write
	LoopLag tally.Sum // from a tick asked for to the tick

	Requests []Count // by type
	Rejects  []Count // by code
	Refused  []Count // connections, by cause

	LeftByClient, ShutDown uint64 // sessions
	Resumed, Resynced      uint64 // logins

	OutboxBytes    int64 // now, of all sessions
	OutboxSessions int   // now, whose sockets have not taken everything
}

// refusedNames are the causes for which connections are refused, in the order of their counters.
var refusedNames = [...]string{"full", "prelogin", "per_ip", "rate", "draining"}

// Measures adds up what the loops and publishers have measured. Any goroutine may call it.
func (g *Gateway) Measures() Measures {
	m := Measures{
		Push: tally.NewSum(tally.Latencies), Request: tally.NewSum(tally.Latencies),
		LoopLag: tally.NewSum(tally.Latencies), OutboxBytes: max(0, g.outboxBytes.Load()),
		Requests: make([]Count, len(requestNames)), Rejects: make([]Count, codesCounted),
		Refused: make([]Count, len(refusedNames)),
	}
	for i := range m.Rejects {
		code := papertapev1.RejectCode(i) //nolint:gosec // a code
		m.Rejects[i].Name = strings.TrimPrefix(code.String(), "REJECT_CODE_")
	}
	for _, l := range *g.loops.Load() {
		m.addLoop(&l.measures)
	}
	for _, p := range g.publishers {
		m.Resumed += p.counts.Load(countResumed)
		m.Resynced += p.counts.Load(countResynced)
		for i := range m.Rejects {
			m.Rejects[i].Count += p.counts.Load(countReject + i)
		}
	}
	for i, name := range requestNames {
		m.Requests[i].Name = name
	}
	for i, name := range refusedNames {
		m.Refused[i].Name = name
	}
	return m
}

func (m *Measures) addLoop(of *measures) {
	c := &of.counts
	m.FramesReceived += c.Load(countFramesIn)
	m.FramesSent += c.Load(countFramesOut)
	m.BytesReceived += c.Load(countBytesIn)
	m.BytesSent += c.Load(countBytesOut)
	m.Writes += c.Load(countWrites)
	m.LeftByClient += c.Load(countLeft)
	m.ShutDown += c.Load(countShutDown)
	m.OutboxSessions += int(c.Load(gaugeWaiting)) //nolint:gosec // sessions
	m.Push.Add(&of.push)
	m.Request.Add(&of.request)
	m.LoopLag.Add(&of.lag)
	for i := range m.Requests {
		m.Requests[i].Count += c.Load(countRequests + i)
	}
	for i := range m.Rejects {
		m.Rejects[i].Count += c.Load(countLoopReject + i)
	}
	for i := range m.Refused {
		m.Refused[i].Count += c.Load(countFull + i)
	}
}
