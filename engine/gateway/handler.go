package gateway

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// handler is what gnet calls.
type handler struct{ g *Gateway }

// refusedMax is how many refused connections may wait for their client to close; more are closed at once, so that a crowd
// at the door does not hold files.
const refusedMax = 256

// OnBoot notes gnet's engine.
func (h handler) OnBoot(e gnet.Engine) gnet.Action {
	h.g.gnet = e
	return gnet.None
}

// OnShutdown has nothing to do: Serve has drained before it stopped gnet.
func (h handler) OnShutdown(gnet.Engine) {}

// OnTick turns the wheels. It runs on a goroutine of its own; gnet calls it for the first time when the loops have started.
func (h handler) OnTick() (time.Duration, gnet.Action) {
	select {
	case <-h.g.booted:
	default:
		close(h.g.booted)
	}
	for _, l := range *h.g.loops.Load() {
		if l.turning.CompareAndSwap(false, true) {
			_ = l.el.Execute(context.Background(), l.turn)
		}
	}
	return h.g.idleTick(), gnet.None
}

// OnOpen welcomes a connection, or sends it away.
func (h handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	g := h.g
	l := g.loopOf(c.EventLoop())
	l.now = g.millis()
	s := &Session{conn: c, loop: l, uid: g.uids.Add(1), slot: -1, opened: l.now, lastRead: l.now, lastWrite: l.now}
	s.engine.Peer = s
	c.SetContext(s)
	g.stats.Accepted.Add(1)
	open, prelogin := g.open.Add(1), g.prelogin.Add(1)
	full := g.admit(c, open, prelogin)
	l.schedule(s)
	defer l.contain("open", s)
	l.frame = codec.AppendWelcome(l.frame[:0], &papertapev1.Welcome{
		Uid: s.uid, Protocol: 1, Server: g.cfg.Server, Epoch: g.engine.Epoch(),
		HeartbeatMs: uint32(g.cfg.Heartbeat / time.Millisecond), MaxFrame: codec.LimitAfterLogin, Instance: g.instance,
	})
	s.mu.Lock()
	l.send(s)
	s.mu.Unlock()
	switch {
	case g.draining.Load():
		return nil, l.sendAway(c, s, papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, stoppingText)
	case full != "":
		g.stats.RefusedFull.Add(1)
		return nil, l.sendAway(c, s, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL, full)
	default:
		l.tell(s, onConnect)
		l.write(s)
	}
	return nil, gnet.None
}

// sendAway refuses a connection. It no longer counts as one that was let in; those that are refused have a bound of their own.
func (l *loop) sendAway(c gnet.Conn, s *Session, reason papertapev1.GoodbyeReason, text string) gnet.Action {
	l.goodbye(s, reason, text)
	if s.phase.Load() == phaseClosed {
		return gnet.None
	}
	s.refused = true
	l.gw.open.Add(-1)
	l.gw.countIP(c.RemoteAddr(), -1)
	if l.gw.refused.Add(1) > refusedMax {
		return gnet.Close
	}
	return gnet.None
}

// admit returns what limit the connection is over, if any. Only those that are within all others count for the rate: after a
// restart everybody comes back at once, and each that is let in has a login, and perhaps a replay, to be served.
func (g *Gateway) admit(c gnet.Conn, open, prelogin int64) string {
	perIP := g.countIP(c.RemoteAddr(), 1)
	switch limits := g.limits.Load(); {
	case open > int64(limits.ConnectionsMax):
		return "the server holds as many connections as it may"
	case prelogin > int64(limits.ConnectionsPreloginMax):
		return "too many connections have not logged in yet"
	case limits.ConnectionsPerIPMax > 0 && perIP > limits.ConnectionsPerIPMax:
		return "your address has as many connections as it may"
	case !g.mayEnter(limits.ConnectionsPerSecondMax):
		return "too many connections come at once"
	}
	return ""
}

func (g *Gateway) mayEnter(perSecond int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.door.admit(time.Since(g.start), perSecond)
}

// pace is when those that were admitted so far would all have come, had they come at the rate that is allowed.
type pace time.Duration

// admit says whether one more may come now. Who was quiet may have a second's worth at once; 0 a second is no limit.
func (p *pace) admit(now time.Duration, perSecond int) bool {
	if perSecond == 0 {
		return true
	}
	next := max(time.Duration(*p), now) + time.Second/time.Duration(perSecond)
	if next > now+time.Second {
		return false
	}
	*p = pace(next)
	return true
}

// countIP counts the connections of an address, also while that is not limited: it may be later.
func (g *Gateway) countIP(from net.Addr, by int) int {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return 0
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	ip = ip.Unmap()
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.perIP[ip] + by
	if n == 0 {
		delete(g.perIP, ip)
	} else {
		g.perIP[ip] = n
	}
	return n
}

// OnClose forgets the connection, unless answers are due to it that can still be given.
func (h handler) OnClose(c gnet.Conn, err error) gnet.Action {
	s, ok := c.Context().(*Session)
	if !ok {
		return gnet.None
	}
	l := s.loop
	defer l.contain("close", s)
	l.now = h.g.millis()
	if !l.keepHalfClosed(s, c, err) {
		l.forget(s, c.RemoteAddr())
	}
	return gnet.None
}

// OnTraffic cuts and decodes all whole frames that have come, and hands the requests on together.
func (h handler) OnTraffic(c gnet.Conn) gnet.Action {
	s := c.Context().(*Session)
	l := s.loop
	defer l.contain(inTraffic, s)
	if l.reads++; l.reads == readsAtOnce {
		if l.giveWay(); s.phase.Load() == phaseClosed {
			return gnet.None // written to and found closed
		}
	}
	l.now = h.g.millis()
	s.lastRead = l.now
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	off := 0
	for !s.inputOver() {
		limit := codec.LimitBeforeLogin
		if s.phase.Load() == phaseIn {
			limit = codec.LimitAfterLogin
		}
		f, n, err := codec.Cut(in[off:], limit)
		if err != nil {
			l.violation(s, codec.Frame{}, err)
			break
		}
		if n == 0 {
			break
		}
		off += n
		l.handle(s, f)
	}
	l.submit(s)
	if s.phase.Load() == phaseClosed {
		return gnet.None // written to and found closed
	}
	if s.inputOver() {
		off = len(in) // thrown away
	}
	if off > 0 { // Discard(0) would throw everything away
		if _, err := c.Discard(off); err != nil {
			return gnet.Close
		}
	}
	if half := len(in) - off; half != int(s.held) {
		l.holdHalf(s, half)
	}
	return gnet.None
}

// submit hands the requests of this read to the engine, and answers BUSY for those that did not fit.
func (l *loop) submit(s *Session) {
	if len(l.requests) > 0 {
		n := l.gw.engine.Submit(s.Account(), l.requests)
		for i := n; i < len(l.requests); i++ {
			s.engine.End()
			l.busy(s, l.requests[i].ID, "the server is busy")
		}
		clear(l.requests)
		l.requests = l.requests[:0]
	}
	l.write(s)
}

// add begins a request of the session, or answers DRAINING or BUSY and returns nil.
func (l *loop) add(s *Session, f codec.Frame, kind engine.Kind) *engine.Request {
	if l.gw.closing.Load() || l.gw.draining.Load() && (kind == engine.KindOrder || kind == engine.KindDecide) {
		l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_DRAINING, "the server is stopping and takes no more of this")
		return nil
	}
	if !s.engine.Begin(l.gw.cfg.RequestsInFlightMax) {
		l.busy(s, f.ID, "this connection has too many requests in flight")
		return nil
	}
	l.requests = append(l.requests, engine.Request{Kind: kind, Account: s.Account(), Session: &s.engine, ID: f.ID})
	return &l.requests[len(l.requests)-1]
}

// takeBack undoes the last add.
func (l *loop) takeBack(s *Session) {
	s.engine.End()
	l.requests = l.requests[:len(l.requests)-1]
}
