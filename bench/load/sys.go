package load

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// read and write never block, so they skip the notice to Go's scheduler, which is most of
// the extra cost of a system call in Go compared to C.
func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// poll waits for events, at most for patience. It uses epoll_pwait2 with nanoseconds, since
// an open loop of many thousand requests per second needs better than the milliseconds of
// epoll_wait.
func poll(epoll int, events []unix.EpollEvent, patience time.Duration) (int, error) {
	var timeout unix.Timespec
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == 0 && n == 0 && patience > 0 {
		timeout = unix.NsecToTimespec(int64(patience))
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	}
	switch {
	case errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	}
	return int(n), nil
}

// dial starts to connect, from one of the source addresses. EPOLLOUT reports completion.
func dial(to *unix.SockaddrInet4, source int, stalled bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && stalled {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stalledBufferBytes)
	}
	if err == nil && source > 0 {
		from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(source >> 8), byte(source)}}
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err == nil {
			err = unix.Bind(fd, from)
		}
	}
	if err == nil {
		if err = unix.Connect(fd, to); errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// stalledBufferBytes is small, so that the server soon notices that nobody reads.
const stalledBufferBytes = 4096

// threadTimes returns the processor time that the calling thread used, and how long it
// waited for a processor.
func threadTimes() (cpu, waited time.Duration) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &r) == nil {
		cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	if stat, err := os.ReadFile("/proc/thread-self/schedstat"); err == nil {
		if f := strings.Fields(string(stat)); len(f) > 1 {
			ns, _ := strconv.ParseInt(f[1], 10, 64)
			waited = time.Duration(ns)
		}
	}
	return cpu, waited
}
