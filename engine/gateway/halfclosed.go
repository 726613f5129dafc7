package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// socket is the connection of a client that has shut down its sending half while answers were due to it. To gnet that
// is the end of the connection: it closes its descriptor. The session goes on with a duplicate, which its loop writes
// to by itself, and which it tries again each tick when the kernel has taken less than there was. Apart from that it
// is a session as all others: it counts as a connection until it is closed, and has the same bounds and deadlines.
type socket struct {
	fd     int
	rest   []byte // what the kernel has not taken yet
	remote net.Addr
	stuck  bool // counted in Gateway.stuck
}

// stuckMax is how many half-closed connections may have bytes that the kernel does not take: each of them is tried
// every tick. One more is cut, as a client that does not read.
const stuckMax = 256

// keepHalfClosed keeps a session whose client has shut down its sending half and has answers to come. gnet closes its
// descriptor when OnClose returns. It returns false if there is nothing to come, or the connection is gone.
func (l *loop) keepHalfClosed(s *Session, c gnet.Conn, err error) bool {
	if !endOfInput(err) || !flushToKernel(c) || s.refused || s.phase.Load() >= phaseEnding {
		return false
	}
	if s.closing == nil && s.fullyAnswered() {
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
	s.closing.socket = &socket{fd: fd, remote: copyAddr(c.RemoteAddr())}
	l.holdHalf(s, 0)
	l.settle(s, s.unsent) // what gnet had is with the kernel
	return true
}

// endOfInput says whether gnet closes a connection since its client will send no more. Only a read that finds the end
// says so in this form; when the poller finds the connection broken the error is io.EOF itself.
func endOfInput(err error) bool {
	var read *os.SyscallError
	return errors.As(err, &read) && errors.Is(read.Err, io.EOF)
}

// flushToKernel has the kernel take what gnet still holds, which gnet tries once and throws away, and nobody else can get
// at. For that the kernel's buffer is made larger; it is bounded by net.core.wmem_max. It returns false if the kernel
// does not take everything.
func flushToKernel(c gnet.Conn) bool {
	left := c.OutboundBuffered()
	if left == 0 {
		return true
	}
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

// fullyAnswered says whether the session has been sent everything that was asked for, a replay up to what the answer to its
// login named.
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

// writeHalfClosed writes to a half-closed connection. Where that fails, or too many take nothing, the connection is closed.
func (l *loop) writeHalfClosed(s *Session, b []byte) {
	k := s.socket()
	if err := k.send(b); err != nil {
		l.close(s)
		return
	}
	switch stuck := len(k.rest) > 0; {
	case stuck == k.stuck:
	case stuck:
		k.stuck = true
		if l.gw.stuck.Add(1) > stuckMax {
			l.gw.stats.CutStalled.Add(1)
			l.reset(s)
		}
	default:
		k.stuck = false
		l.gw.stuck.Add(-1)
	}
}

// closeHalfClosed closes a half-closed connection.
func (l *loop) closeHalfClosed(s *Session) {
	k := s.socket()
	_ = unix.Close(k.fd)
	if k.stuck {
		l.gw.stuck.Add(-1)
	}
	l.forget(s, k.remote)
}

// closeAllHalfClosed closes those that are left when gnet has stopped, and with it the loops.
func (g *Gateway) closeAllHalfClosed() {
	for _, l := range *g.loops.Load() {
		l.wheel.each(func(s *Session) {
			if s.socket() != nil {
				l.close(s)
			}
		})
	}
}
