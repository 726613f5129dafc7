package gateway

import (
	"context"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/tally"
)

// handler is what gnet calls.
type handler struct{ g *Gateway }

// OnBoot keeps gnet's engine, which Serve stops at the end.
func (h handler) OnBoot(e gnet.Engine) gnet.Action {
	h.g.gnet = e
	return gnet.None
}

// OnShutdown has nothing to do: Serve has drained before it stopped gnet.
func (h handler) OnShutdown(gnet.Engine) {}

// OnTick turns the wheels. It runs on a goroutine of its own. gnet calls it for the first time when the loops have
// started.
func (h handler) OnTick() (time.Duration, gnet.Action) {
	select {
	case <-h.g.booted:
	default:
		close(h.g.booted)
	}
	for _, l := range *h.g.loops.Load() {
		ran := l.tickPosted.CompareAndSwap(false, true)
		if l.watchdog(ran); ran {
			l.tickAsked.CompareAndSwap(0, tally.Now())
			_ = l.el.Execute(context.Background(), l.tasks.tick) // fails only when the loop has stopped
		}
	}
	h.g.tellFailures()
	return h.g.idleTick(), gnet.None
}

// OnOpen welcomes a connection, or refuses it.
func (h handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	g := h.g
	l := g.loopOf(c.EventLoop())
	l.goroutine.Check()
	defer l.publishMeasures()
	l.tellTime()
	s := &Session{
		conn: c, loop: l, uid: g.uids.Add(1), slot: -1, opened: l.now, lastRead: l.now, lastWrite: l.now,
	}
	s.engine.Peer = s
	c.SetContext(s)
	if s.front = g.newFront(c.RemoteAddr()); s.front != nil && s.front.stage == stageHeader {
		return nil, l.awaitHeader(s)
	}
	return nil, l.letIn(s)
}

// letIn admits a connection whose client is known.
func (l *loop) letIn(s *Session) gnet.Action {
	g := l.gw
	g.stats.Accepted.Add(1)
	exceeded := g.admit(s.limitedAs(s.conn.RemoteAddr()), time.Since(g.start))
	l.schedule(s)
	defer l.contain("open", s)
	if s.front != nil && s.front.stage == stageHandshake {
		return l.letInToHandshake(exceeded)
	}
	l.welcome(s)
	switch {
	case g.draining.Load():
		l.counts.Count(countDraining, 1)
		return l.refuseConnection(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN, stoppingText)
	case exceeded != 0:
		l.countRefused(exceeded)
		return l.refuseConnection(s, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL, exceeded.String())
	default:
		if s.front != nil {
			s.front.hooked = true
		}
		l.callHooks(s, onConnect)
		l.write(s)
	}
	return gnet.None
}

// welcome appends the first frame of a connection.
func (l *loop) welcome(s *Session) {
	g := l.gw
	l.frame = codec.AppendWelcome(l.frame[:0], g.askForProof(&papertapev1.Welcome{
		Uid: s.uid, Protocol: 1, Server: g.cfg.Server, Epoch: g.engine.Epoch(),
		HeartbeatMs: uint32(g.cfg.Heartbeat / time.Millisecond), MaxFrame: codec.LimitAfterLogin, Instance: g.instance,
	}))
	s.mu.Lock()
	l.send(s)
	s.mu.Unlock()
}

// OnTraffic reads what has come.
func (h handler) OnTraffic(c gnet.Conn) gnet.Action {
	s := c.Context().(*Session)
	s.loop.goroutine.Check()
	action := s.loop.read(s, c)
	s.loop.publishMeasures()
	return action
}

// OnClose forgets the connection, unless answers are due to it that can still be given.
func (h handler) OnClose(c gnet.Conn, err error) gnet.Action {
	s, ok := c.Context().(*Session)
	if !ok {
		return gnet.None
	}
	l := s.loop
	l.goroutine.Check()
	defer l.publishMeasures()
	defer l.contain("close", s)
	l.tellTime()
	if !l.keepHalfClosed(s, c, err) {
		l.forget(s, c.RemoteAddr())
	}
	return gnet.None
}

// gnetLog passes gnet's log lines on to the logger.
type gnetLog struct{ log zerolog.Logger }

func (g gnetLog) Debugf(format string, args ...any) { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Infof(format string, args ...any)  { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Warnf(format string, args ...any)  { g.log.Warn().Msgf("gnet: "+format, args...) }
func (g gnetLog) Errorf(format string, args ...any) { g.log.Error().Msgf("gnet: "+format, args...) }

// Fatalf only logs: it is gnet's last word before Run returns, and Serve reports that.
func (g gnetLog) Fatalf(format string, args ...any) { g.log.Error().Msgf("gnet: "+format, args...) }
