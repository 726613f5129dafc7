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
// is the end of the connection: it closes its descriptor. The session goes on with a duplicate, which its loop writes
// to by itself, and which it tries again each tick when the kernel has taken less than there was. Apart from that it
// is a session as all others: it counts as a connection until it is closed, and has the same bounds and deadlines.
type socket struct {
	fd     int
	rest   []byte // what the kernel has not taken yet
	usual  int    // bytes that the kernel may hold for a client as a rule
	raised bool   // it holds more, which counts as if it had not taken it
	stuck  bool   // counted in Gateway.stuck
	remote net.Addr
}

// stuckMax is how many half-closed connections may have bytes waiting: they are tried every tick, and some have a
// larger buffer in the kernel. One more is cut, as a client that does not read.
const stuckMax = 256

// keepHalfClosed keeps a session whose client has shut down its sending half and has answers to come. gnet closes its
// descriptor when OnClose returns. It returns false if there is nothing to come, or the connection is gone.
func (l *loop) keepHalfClosed(s *Session, c gnet.Conn, err error) bool {
	if !endOfInput(err) || s.refused || s.phase.Load() == phaseClosed {
		return false
	}
	behind := c.OutboundBuffered() > 0
	if !behind && (s.phase.Load() == phaseEnding || s.closing == nil && s.fullyAnswered()) {
		return false
	}
	if behind && l.gw.stuck.Load() >= stuckMax {
		l.gw.stats.CutStalled.Add(1)
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

// endOfInput says whether gnet closes a connection since its client will send no more. Only a read that finds the end
// says so in this form; when the poller finds the connection broken the error is io.EOF itself.
func endOfInput(err error) bool {
	var read *os.SyscallError
	return errors.As(err, &read) && errors.Is(read.Err, io.EOF)
}

// flushToKernel has the kernel take what gnet still holds, which gnet tries once and throws away, and nobody else can
// get at. For that the kernel's buffer is made larger; it is bounded by net.core.wmem_max. It returns false if the
// kernel does not take everything.
func flushToKernel(c gnet.Conn) bool {
	left := c.OutboundBuffered()
	if size, err := unix.GetsockoptInt(c.Fd(), unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
		_ = c.SetWriteBuffer(size/2 + 2*left) // the kernel doubles it, for what it needs itself
	}
	for before := left + 1; left > 0 && left < before; {
		before = left
		_ = c.Flush() // of an error gnet's close, which this is a part of, makes the best
		left = c.OutboundBuffered()
	}
	return left == 0
}

// fullyAnswered says whether the session has been sent everything that was asked for, a replay up to what the answer to
// its login named.
func (s *Session) fullyAnswered() bool {
	if s.unanswered() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent()
}

// sent says whether nothing waits to be written or replayed. mu must be held.
func (s *Session) sent() bool { return s.waiting() == 0 && s.head >= s.announced }

// copyAddr copies an address where need be: gnet uses the memory of a zone's name again.
func copyAddr(a net.Addr) net.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.Zone != "" {
		return &net.TCPAddr{IP: tcp.IP, Port: tcp.Port, Zone: strings.Clone(tcp.Zone)}
	}
	return a
}

// send writes b behind what the kernel has not taken yet, as far as it takes it.
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

// waiting returns how many bytes wait for the client: those that the kernel has not taken, and of those that it has
// what is more than usual; 0 when the client is gone.
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

// writeHalfClosed writes to a half-closed connection. Where that fails the connection is closed.
func (l *loop) writeHalfClosed(s *Session, b []byte) {
	if err := s.socket().send(b); err != nil {
		l.close(s)
	}
}

// countStuck notes whether bytes wait for a half-closed session, and cuts it if they do for too many.
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
			l.reset(s)
		}
	}
}

// closeHalfClosed closes a half-closed connection. What the kernel holds beyond the usual goes with it.
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

// closeAllHalfClosed closes those that are left when gnet has stopped, and with it the goroutines of the loops. What
// they owned is then the caller's.
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
