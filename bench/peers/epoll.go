package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Epoll echoes on threads that each have an epoll and a listener of their own: what Go can
// do without a library.
func Epoll(ctx context.Context, address string, loops int, listening func(string)) error {
	address, err := freeAddress(address)
	if err != nil {
		return err
	}
	var all []*epollLoop
	defer func() {
		for _, l := range all {
			l.close()
		}
	}()
	for range loops {
		l, err := newEpollLoop(ctx, address)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	listening(address)
	failed := make(chan error, loops)
	var running sync.WaitGroup
	for _, l := range all {
		running.Go(func() { failed <- l.run() })
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = errors.Join(errStopped, err)
	}
	for _, l := range all {
		_, _ = unix.Write(l.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // increments the counter of an eventfd
	}
	running.Wait()
	return err
}

// epollLoop is one thread.
type epollLoop struct {
	listener *net.TCPListener // keeps accept open
	accept   int
	epoll    int
	stop     int // an eventfd

	// Owned by run.
	in    []byte
	conns map[int]*backlog // by file descriptor
}

// backlog holds what a connection has not accepted yet.
type backlog struct{ unsent []byte }

// newEpollLoop listens on an address that other loops of this process share.
func newEpollLoop(ctx context.Context, address string) (l *epollLoop, err error) {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlled := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET,
				unix.SO_REUSEPORT, 1)
		})
		return errors.Join(controlled, err)
	}}
	listener, err := shared.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l = &epollLoop{listener: listener.(*net.TCPListener), epoll: -1, stop: -1, in: make([]byte, readBytes),
		conns: make(map[int]*backlog)}
	raw, err := l.listener.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { l.accept = int(fd) })
	}
	if err == nil {
		l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	if err == nil {
		l.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = errors.Join(l.watch(unix.EPOLL_CTL_ADD, l.accept, unix.EPOLLIN),
			l.watch(unix.EPOLL_CTL_ADD, l.stop, unix.EPOLLIN))
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return l, nil
}

func (l *epollLoop) close() {
	_ = l.listener.Close()
	for _, fd := range []int{l.epoll, l.stop} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	for fd := range l.conns {
		_ = unix.Close(fd)
	}
}

func (l *epollLoop) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Fd: int32(fd), Events: events})
}

// run handles events until it is stopped.
func (l *epollLoop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			switch fd := int(ev.Fd); fd {
			case l.stop:
				return nil
			case l.accept:
				err = l.open()
			default:
				err = l.serve(fd, ev.Events)
			}
			if err != nil {
				return err
			}
		}
	}
}

// open accepts one connection.
func (l *epollLoop) open() error {
	fd, _, err := unix.Accept4(l.accept, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		return nil
	case err != nil:
		return fmt.Errorf("accepting: %w", err)
	}
	l.conns[fd] = nil
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}

// serve echoes what has arrived. If unsent bytes wait, it first sends them, and reads
// nothing until they are gone.
func (l *epollLoop) serve(fd int, events uint32) error {
	if b := l.conns[fd]; b != nil {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			return l.end(fd)
		}
		return l.send(fd, b.unsent)
	}
	n, err := unix.Read(fd, l.in)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil, n == 0:
		return l.end(fd)
	}
	return l.send(fd, l.in[:n])
}

// send writes out, and keeps what the socket does not accept, which is at most one read.
func (l *epollLoop) send(fd int, out []byte) error {
	n, err := unix.Write(fd, out)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return l.end(fd)
	}
	out = out[max(n, 0):]
	b := l.conns[fd]
	switch {
	case len(out) == 0 && b == nil:
		return nil
	case len(out) == 0:
		l.conns[fd] = nil
		return l.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN)
	case b == nil:
		l.conns[fd] = &backlog{append([]byte(nil), out...)}
		return l.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLOUT)
	}
	b.unsent = out
	return nil
}

func (l *epollLoop) end(fd int) error {
	delete(l.conns, fd)
	return unix.Close(fd)
}
