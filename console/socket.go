package console

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// The commands on the server's machine need no token: they come through a unix socket, which is named
// after the address of the console. The kernel says whose the process at the other end is, and both
// sides ask it. Who runs as the server's user, or is root, is an operator.

const (
	socketKey            = "socket" // the key id of who comes through it
	socketConnectionsMax = 64       // open connections to it; see boundedListener
)

// nobodyUID is what the kernel says instead of a user whom it cannot name here, in a namespace of
// users. It is nobody's, also where a server itself runs under it.
const nobodyUID = 65534

// isOurs reports whether a process of user theirs may act for one of user mine.
func isOurs(theirs, mine int) bool {
	return theirs == 0 || theirs == mine && theirs != nobodyUID
}

// socketName returns the name of the socket of the console at an address, and false if none can be
// reached there from this machine.
func socketName(address string) (name string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", false
	}
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if host != "" && host != localhost {
		if ip, err = netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	if ip = ip.Unmap(); ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return "papertape-admin-" + netip.AddrPortFrom(ip, uint16(number)).String(), true
}

// dialLocal connects to the socket of the console at an address, if there is one of the same user, or
// of the user to whom that address belongs if this is root.
func dialLocal(ctx context.Context, address string) (net.Conn, bool) {
	name, ok := socketName(address)
	if !ok {
		return nil, false
	}
	conn, err := dialSocket(ctx, name)
	if err != nil {
		return nil, false
	}
	if !isServer(conn, address) {
		_ = conn.Close()
		return nil, false
	}
	return conn, true
}
