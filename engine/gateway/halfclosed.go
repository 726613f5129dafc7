package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/engine/owner"
)

// socket is the connection of a client that has shut down its sending half while answers were due to it. To gnet that
// is the end of the connection, and it closes its descriptor. The session goes on with a duplicate, to which its loop
// writes by itself; if the kernel does not take everything, the loop tries again each tick. Otherwise it is a session
// like all others: it counts as a connection until it is closed, and has the same bounds and deadlines.
type socket struct {
	fd     int
	rest   []byte // what the kernel has not taken yet
	usual  int    // bytes that the kernel's buffer normally holds
	raised bool   // the buffer was made larger; bytes in it beyond usual count as not taken
	stuck  bool   // counted in Gateway.stuck
	remote net.Addr
}

// stuckMax is how many half-closed connections may have bytes waiting. They are tried every tick, and some have a
// larger buffer in the kernel. Any more are cut, as clients that do not read.
const stuckMax = 256

// keepHalfClosed keeps a session whose client has shut down its sending half while answers are due to it. gnet closes
// its descriptor when OnClose returns. It returns false if no answers are due, or the connection is gone.
func (l *loop) keepHalfClosed(s *Session, c gnet.Conn, err error) bool {
	if !endOfInput(err) || s.refused || s.phase.Load() == phaseClosed {
		return false
	}
	if s.front != nil && s.front.stage < stageSealed {
		return false
	}
	behind := c.OutboundBuffered() > 0
	if !behind && (s.phase.Load() == phaseEnding || s.closing == nil && s.fullyAnswered()) {
		return false
	}
	if behind && l.gw.stuck.Load() >= stuckMax {
		l.gw.stats.CutStalled.Add(1)
		s.decide(causeStalled)
		return false
	}
	if behind && !flushToKernel(c) {
		return false
	}
	fd, err := c.Dup()
	if err != nil {
		l.gw.cfg.Log.Debug().Err(err).Msg("a half-closed connection could not be kept for its answers")
		return false
	}
	if s.closing == nil {
		s.closing = new(closing)
	}
	s.closing.socket = &socket{
		fd: fd, raised: behind, usual: l.gw.cfg.SocketSendBufferBytes, remote: copyAddr(c.RemoteAddr()),
	}
	l.holdHalf(s, 0)
	l.settle(s, s.unsent)
	return true
}

// endOfInput says whether gnet closes a connection because its client will send no more. Only a read that finds the end
// returns the error in this form; if the poller finds the connection broken, the error is io.EOF itself.
func endOfInput(err error) bool {
	var read *os.SyscallError
	return errors.As(err, &read) && errors.Is(read.Err, io.EOF)
}

// flushToKernel has the kernel take what gnet still holds: gnet would try to write it once and then drop it, and nobody
// else can get at it. The kernel's buffer is made larger for that, up to net.core.wmem_max. flushToKernel returns false
// if the kernel does not take everything.
func flushToKernel(c gnet.Conn) bool {
	left := c.OutboundBuffered()
	if size, err := unix.GetsockoptInt(c.Fd(), unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
		_ = c.SetWriteBuffer(size/2 + 2*left) // the kernel doubles it, for its own needs
	}
	for before := left + 1; left > 0 && left < before; {
		before = left
		_ = c.Flush() // gnet is closing the connection anyway, whatever the error
		left = c.OutboundBuffered()
	}
	return left == 0
}

// fullyAnswered says whether the session has been sent everything that it asked for, including a replay up to the
// sequence that the answer to its login named.
func (s *Session) fullyAnswered() bool {
	if s.unanswered() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allSent()
}

// sent says whether nothing waits to be written or replayed. mu must be held.
func (s *Session) allSent() bool { return s.waiting() == 0 && s.head >= s.announced }

// copyAddr copies an address if it has a zone, because gnet reuses the memory of the zone's name.
func copyAddr(a net.Addr) net.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.Zone != "" {
		return &net.TCPAddr{IP: tcp.IP, Port: tcp.Port, Zone: strings.Clone(tcp.Zone)}
	}
	return a
}

// send writes what the kernel has not taken yet and then b, as far as the kernel takes it.
func (k *socket) send(b []byte) error {
	if len(k.rest) > 0 {
		k.rest = append(k.rest, b...)
		b = k.rest
	}
	n, err := unix.Write(k.fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		n = 0
	case err != nil:
		return os.NewSyscallError("write", err)
	}
	k.rest = append(k.rest[:0], b[n:]...)
	if len(k.rest) == 0 {
		k.rest = nil
	}
	return nil
}

// waiting returns how many bytes wait for the client: those that the kernel has not taken, and those that it has taken
// beyond the usual. It returns 0 when the client is gone.
func (k *socket) waiting() int {
	if !k.raised {
		return len(k.rest)
	}
	queued, err := unix.IoctlGetInt(k.fd, unix.SIOCOUTQ)
	if err != nil || queued <= k.usual {
		k.raised = false
		return len(k.rest)
	}
	const gone = 7 // TCP_CLOSE
	if info, err := unix.GetsockoptTCPInfo(k.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.State == gone {
		k.raised, k.rest = false, nil
		return 0
	}
	return len(k.rest) + queued - k.usual
}

// writeHalfClosed writes to a half-closed connection, and closes it if that fails.
func (l *loop) writeHalfClosed(s *Session, b []byte) {
	if err := s.socket().send(b); err != nil {
		l.close(s)
	}
}

// countStuck notes whether bytes wait for a half-closed session, and cuts it if they already wait for too many others.
func (l *loop) countStuck(s *Session, stuck bool) {
	k := s.socket()
	switch {
	case stuck == k.stuck:
	case !stuck:
		k.stuck = false
		l.gw.stuck.Add(-1)
	default:
		k.stuck = true
		if l.gw.stuck.Add(1) > stuckMax {
			l.gw.stats.CutStalled.Add(1)
			s.decide(causeStalled)
			l.reset(s)
		}
	}
}

// closeHalfClosed closes a half-closed connection. If the kernel holds more than usual, the connection is reset.
func (l *loop) closeHalfClosed(s *Session) {
	k := s.socket()
	if k.raised && k.waiting() > 0 {
		_ = unix.SetsockoptLinger(k.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(k.fd)
	if k.stuck {
		l.gw.stuck.Add(-1)
	}
	l.forget(s, k.remote)
}

// closeAllHalfClosed closes the half-closed connections that are left when gnet has stopped. The goroutines of the
// loops have ended by then, and what they owned is the caller's.
func (g *Gateway) closeAllHalfClosed() {
	for _, l := range *g.loops.Load() {
		l.goroutine = owner.Goroutine{}
		l.goroutine.Take()
		l.wheel.each(func(s *Session) {
			if s.socket() != nil {
				l.close(s)
			}
		})
	}
}
