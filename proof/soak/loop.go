//go:build linux

package soak

import (
	"container/heap"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readBytes = 256 << 10
	readyMax  = 512
)

// loop drives many connections from one goroutine. Everything in it, and everything that it calls,
// belongs to that goroutine.
type loop struct {
	epoll  int
	conns  map[int32]*conn // by file descriptor
	made   int32           // number of connections so far; it tells the users of a descriptor apart
	timers timers
	events []unix.EpollEvent
	buf    []byte

	tls        *tls.Config // of its connections; nil: they are plain
	keyed      *keyed      // of its clients; nil: they have no key
	ciphertext []byte      // scratch for what crypto/tls writes
	plain      []byte      // scratch for what it has decrypted
}

// owner is the owner of a connection. ended is called once, unless the owner closed the connection
// itself.
type owner interface {
	received(b []byte) // b belongs to the caller again afterwards
	ended(err error)   // io.EOF: the server closed properly
}

// conn is a non-blocking TCP connection.
type conn struct {
	loop       *loop
	owner      owner
	fd         int
	generation int32
	connecting bool
	paused     bool   // not read
	out        []byte // what the socket did not accept
	sealed     *sealed
	early      []byte // frames that wait for the end of the handshake
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{
		epoll: fd, conns: make(map[int32]*conn), events: make([]unix.EpollEvent, readyMax),
		buf: make([]byte, readBytes), plain: make([]byte, readBytes),
	}, nil
}

// close closes everything that is open. It may be called twice.
func (l *loop) close() {
	for _, c := range l.conns {
		c.close()
	}
	if l.epoll >= 0 {
		_ = unix.Close(l.epoll)
		l.epoll = -1
	}
}

// dial connects to 127.0.0.1:port from an address; nil means any address.
func (l *loop) dial(port int, from *[4]byte, o owner) (*conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket: %w (a process may have so many files open as `ulimit -Hn` says)", err)
	}
	if from != nil {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: *from}); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("bind to %v: %w", *from, err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	l.made++
	c := &conn{loop: l, owner: o, fd: fd, generation: l.made, connecting: true}
	l.conns[int32(fd)] = c
	return c, c.control(unix.EPOLL_CTL_ADD)
}

// control tells the kernel what the connection waits for.
func (c *conn) control(op int) error {
	var events uint32
	if !c.paused {
		events |= unix.EPOLLIN
	}
	if c.connecting || len(c.out) > 0 {
		events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(c.loop.epoll, op, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd),
		Pad: c.generation}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// sendRaw writes what the socket accepts and keeps the rest.
func (c *conn) sendRaw(b []byte) {
	if !c.connecting && len(c.out) == 0 {
		n, err := unix.Write(c.fd, b)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return // the next read reports it
		}
		if b = b[max(n, 0):]; len(b) == 0 {
			return
		}
	}
	c.out = append(c.out, b...)
	_ = c.control(unix.EPOLL_CTL_MOD)
}

// pause stops reading, or resumes it.
func (c *conn) pause(yes bool) {
	c.paused = yes
	_ = c.control(unix.EPOLL_CTL_MOD)
}

// close closes the connection without telling the owner. It may be called twice.
func (c *conn) close() {
	if c.fd >= 0 {
		delete(c.loop.conns, int32(c.fd))
		_ = unix.Close(c.fd)
		c.fd = -1
		c.drop()
	}
}

// reset closes the connection with a TCP reset, like a machine that is back after a loss of power.
func (c *conn) reset() {
	if c.fd >= 0 {
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	c.close()
}

func (c *conn) end(err error) {
	c.close()
	c.owner.ended(err)
}

// ready handles the events that the kernel reported.
func (c *conn) ready(events uint32) {
	if c.connecting && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			c.end(fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(code))))
			return
		}
		c.connecting = false
		c.loop.seal(c)
		_ = c.control(unix.EPOLL_CTL_MOD)
	}
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		rest := c.out
		c.out = nil
		c.sendRaw(rest)
		if len(c.out) == 0 {
			_ = c.control(unix.EPOLL_CTL_MOD)
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	n, err := unix.Read(c.fd, c.loop.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
	case err != nil:
		c.end(err)
	case n == 0:
		c.end(io.EOF)
	case c.sealed != nil:
		c.openSealed(c.loop.buf[:n])
	default:
		c.owner.received(c.loop.buf[:n])
	}
}

// turn waits for at most the given time, and handles what there is.
func (l *loop) turn(most time.Duration) error {
	if len(l.timers) > 0 {
		most = min(most, time.Until(l.timers[0].at))
	}
	n, err := unix.EpollWait(l.epoll, l.events, int(max(most+time.Millisecond-1, 0)/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range l.events[:max(n, 0)] {
		if c := l.conns[e.Fd]; c != nil && c.generation == e.Pad {
			c.ready(e.Events)
		}
	}
	for now := time.Now(); len(l.timers) > 0 && !l.timers[0].at.After(now); {
		heap.Pop(&l.timers).(*timer).do()
	}
	return nil
}

// until runs turns until done returns true. Reaching the limit is an error.
func (l *loop) until(ctx context.Context, limit time.Duration, goal string, done func() bool) error {
	deadline := time.Now().Add(limit)
	for !done() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", goal, limit)
		}
		if err := l.turn(20 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// sleep runs turns for a duration.
func (l *loop) sleep(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return l.until(ctx, d+time.Hour, "sleep", func() bool { return !time.Now().Before(end) })
}

// during runs f, which may block, on a goroutine of its own, and runs turns until f returns.
func (l *loop) during(f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }() // waited for below
	for {
		select {
		case err := <-result:
			return err
		default:
		}
		if err := l.turn(2 * time.Millisecond); err != nil {
			return errors.Join(err, <-result)
		}
	}
}

// after makes a turn call f once d has passed.
func (l *loop) after(d time.Duration, f func()) {
	heap.Push(&l.timers, &timer{at: time.Now().Add(d), do: f})
}

type timer struct {
	at time.Time
	do func()
}

// timers are a heap with the next one first.
type timers []*timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(*timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}
