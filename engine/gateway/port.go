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

// ErrListen means that the address could not be listened on.
var ErrListen = errors.New("listen on")

// hold takes the address for this server alone. gnet's listeners share their port (SO_REUSEPORT), so they would
// silently share it with those of another server too. Therefore a socket that does not share listens first, which fails
// if anybody listens on the address, or on one that covers it. Only then does it allow others beside it. The caller
// closes it when gnet listens, so at no moment can another server take the address.
//
// hold also returns the address for gnet, with its real port.
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
		err = op.Err // the message has the address already
	}
	return nil, "", fmt.Errorf("%w %s: %w (is another server running there? name another address with --listen)",
		ErrListen, address, err)
}

// family is the network to listen on. An IPv4 address means IPv4 only. That includes 0.0.0.0, which package net would
// take for IPv6 as well.
func family(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
			return "tcp4"
		}
	}
	return "tcp"
}

// share lets other sockets of the same user listen beside ln from now on, if they ask for it.
func share(ln *net.TCPListener) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, failed)
}

// asGnetReads writes an address so that gnet listens on exactly that. To gnet "::" means IPv6 only, and no host means
// both families.
func asGnetReads(a *net.TCPAddr) string {
	if a.IP.IsUnspecified() && a.IP.To4() == nil {
		return net.JoinHostPort("", strconv.Itoa(a.Port))
	}
	return a.String()
}
