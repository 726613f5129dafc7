// Package peers holds the servers, besides the old design, that Papertape is compared with.
// Most are bare echo servers, which return what they receive: on gnet, on nbio, on an epoll
// loop written here, on zinx, and on pairs of goroutines. The last is the order service on
// zinx. All of them receive the frames of the protocol.
//
// Gnet, Nbio and Epoll return the bytes of each read in one write, whatever frames they
// contain. They show the limit for servers of their kind. Pair and Zinx cut frames and pass
// each through a worker, as the old design does. Zinx uses a decoder for the protocol's
// length field instead of its own framing, so that all servers see the same bytes.
//
//	err := peers.Gnet(ctx, address, loops, listening) // until ctx ends
//
// Each function serves until ctx ends, and calls listening once with the actual address.
package peers

import (
	"errors"
	"net"
)

const (
	// readBytes is the size of a loop's read buffer.
	readBytes = 64 << 10
	// backlogBytesMax bounds what waits for a client that does not read. Beyond it, the
	// connection is closed.
	backlogBytesMax = 4 << 20
)

var errStopped = errors.New("the loops stopped by themselves")

// freeAddress returns the address with a port that is currently free. It is for libraries
// that do not report their port, or that silently share the port of another server.
func freeAddress(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
