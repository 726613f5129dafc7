package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrListen says that the address could not be listened on.
var ErrListen = errors.New("listen on")

// hold takes the address for this server alone. gnet's listeners share their port (SO_REUSEPORT), so they would share
// it with those of another server too, without a word. Therefore the address is first listened on by a socket that
// shares it with nobody, which fails where anybody listens on it, or on one that covers it. Only then does that
// socket let others in beside it. It is to be closed when gnet listens: from the first socket to the last there is no
// moment at which another server could have the address.
//
// It returns the address for gnet, with its real port.
func hold(ctx context.Context, address string) (held net.Listener, real string, err error) {
	held, err = new(net.ListenConfig).Listen(ctx, family(address), address)
	if err == nil {
		if err = share(held.(*net.TCPListener)); err == nil {
			return held, asGnetReads(held.Addr().(*net.TCPAddr)), nil
		}
		_ = held.Close() // nothing was accepted
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the address is said already
	}
	return nil, "", fmt.Errorf("%w %s: %w (is another server running there? name another address with --listen)",
		ErrListen, address, err)
}

// family is the network to listen on. An IPv4 address means IPv4 alone, 0.0.0.0 too, which to net would mean IPv6 as
// well.
func family(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
			return "tcp4"
		}
	}
	return "tcp"
}

// share lets sockets of the same user that ask for it listen beside ln from now on.
func share(ln *net.TCPListener) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, failed)
}

// asGnetReads writes an address so that gnet listens on just that. "::" means to gnet IPv6 alone, and no host both
// families.
func asGnetReads(a *net.TCPAddr) string {
	if a.IP.IsUnspecified() && a.IP.To4() == nil {
		return net.JoinHostPort("", strconv.Itoa(a.Port))
	}
	return a.String()
}
