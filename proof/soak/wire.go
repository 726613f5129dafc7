package soak

import (
	"encoding/binary"
	"fmt"
)

// The message types and flags of docs/protocol.md that are used here.
const (
	typeWelcome    = 1
	typeLogin      = 2
	typeLoginReply = 3
	typePing       = 4
	typePong       = 5
	typeGoodbye    = 6
	typeReject     = 7
	typeOrder      = 16
	typeExecution  = 17
	typeHoldings   = 18
	typeHeld       = 19
	typeHistory    = 20
	typeHistoric   = 21
	typeSubscribe  = 24
	typeSubscribed = 25
	typeEvent      = 32
	typeQuotes     = 33
	typePresence   = 34

	flagReply  = 1
	flagReplay = 2
)

const (
	headerBytes = 16
	frameMax    = 64 << 10 // the length field of a frame to a client
)

// frame is one message from the server.
type frame struct {
	kind, flags uint16
	id          uint64
	payload     []byte // a part of the read buffer
}

// cut takes the first frame off b. It returns n = 0 if b does not yet hold a whole one.
func cut(b []byte) (f frame, n int, err error) {
	if len(b) < headerBytes {
		return frame{}, 0, nil
	}
	length := int(binary.BigEndian.Uint32(b))
	if length < headerBytes-4 || length > frameMax {
		return frame{}, 0, fmt.Errorf("a frame's length is %d; it is %d to %d", length, headerBytes-4, frameMax)
	}
	if n = 4 + length; len(b) < n {
		return frame{}, 0, nil
	}
	return frame{
		kind: binary.BigEndian.Uint16(b[4:]), flags: binary.BigEndian.Uint16(b[6:]), id: binary.BigEndian.Uint64(b[8:]),
		payload: b[headerBytes:n],
	}, n, nil
}

// message is a generated message.
type message interface {
	MarshalVT() ([]byte, error)
}

// appendFrame appends a frame.
func appendFrame(dst []byte, kind, flags uint16, id uint64, m message) []byte {
	payload, err := m.MarshalVT()
	if err != nil {
		panic(err) // cannot happen: these messages have only valid strings
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(headerBytes-4+len(payload)))
	dst = binary.BigEndian.AppendUint16(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, id)
	return append(dst, payload...)
}
