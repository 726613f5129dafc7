// Package peers is what Papertape is held against beside the old design: bare echo servers, which do nothing but send back what
// they are sent, on gnet, on nbio, on a loop of epoll written here, on zinx, and on pairs of goroutines; and the order service
// on zinx. All are sent the frames of the protocol.
//
// Gnet, Nbio and Epoll send back the bytes of a read in one write, whatever frames are in them: they are the limit of what a
// server of that kind can do. Pair and Zinx cut frames and hand each through a worker, as the old design does; zinx cuts by a
// decoder of the protocol's length field, instead of by its own framing, so that the bytes on the wire are the same for all.
//
//	err := peers.Gnet(ctx, address, loops, listening) // until ctx ends
//
// Each function serves until ctx ends, and calls listening once with the address that it has got.
package peers

import (
	"errors"
	"net"
)

const (
	// readBytes is what a loop reads at once.
	readBytes = 64 << 10
	// backlogBytesMax bounds what waits for a client that does not read. More: its connection is closed.
	backlogBytesMax = 4 << 20
)

var errStopped = errors.New("the loops stopped by themselves")

// freeAddress is the address with a port that is free at the moment, for libraries that do not say which they have got, or that
// share the port of another server without a word.
func freeAddress(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
