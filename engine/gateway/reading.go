package gateway

import (
	"runtime"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// readsAtOnce is how many reads a loop makes before it looks whether there is something to write. gnet hands it up to
// 1,024 connections that are ready to be read. With turns for drainers and writes in between, answers go out sooner,
// and while the kernel's part of their sockets is still in the processor's caches.
const readsAtOnce = 32

// read cuts and decodes all whole frames that have come, and submits their requests together.
func (l *loop) read(s *Session, c gnet.Conn) gnet.Action {
	defer l.contain(inTraffic, s)
	if l.reads++; l.reads == readsAtOnce {
		if l.giveWay(); s.phase.Load() == phaseClosed {
			return gnet.None // the write found it closed
		}
	}
	l.now = l.gw.millis()
	s.lastRead = l.now
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if s.front != nil {
		return l.readThrough(s, c, in)
	}
	return l.readPlain(s, c, in)
}

// readPlain handles input that is frames as they are.
func (l *loop) readPlain(s *Session, c gnet.Conn, in []byte) gnet.Action {
	used := l.handleFrames(s, in)
	l.submit(s)
	if s.phase.Load() == phaseClosed {
		return gnet.None // the write found it closed
	}
	if s.inputOver() {
		used = len(in) // thrown away
	}
	if used > 0 { // Discard(0) would throw everything away
		if _, err := c.Discard(used); err != nil {
			return gnet.Close
		}
	}
	if half := len(in) - used; half != int(s.halfFrame) {
		l.holdHalf(s, half)
	}
	return gnet.None
}

// giveWay lets the drainers run where all processors are taken, and writes what they have answered.
func (l *loop) giveWay() {
	l.reads = 0
	runtime.Gosched()
	if l.rung.Load() {
		l.flushDirty()
	}
}

// handleFrames handles the whole frames in the input, and returns how many bytes they are.
func (l *loop) handleFrames(s *Session, in []byte) (used int) {
	for !s.inputOver() {
		limit := codec.LimitBeforeLogin
		if s.phase.Load() == phaseIn {
			limit = codec.LimitAfterLogin
		}
		f, n, err := codec.Cut(in[used:], limit)
		if err != nil {
			l.violation(s, codec.Frame{}, err)
			break
		}
		if n == 0 {
			break
		}
		used += n
		s.received.add(1, n)
		l.handle(s, f)
	}
	return used
}

// submit hands the requests of this read to the engine, answers BUSY to those that did not fit, and writes the session.
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

// add begins a request of the session. If it may not begin, add answers DRAINING or BUSY and returns nil.
func (l *loop) add(s *Session, f codec.Frame, kind engine.Kind) *engine.Request {
	if l.gw.closing.Load() || l.gw.draining.Load() && (kind == engine.KindOrder || kind == engine.KindDecide) {
		l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_DRAINING,
			"the server is stopping and takes no more of this")
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
