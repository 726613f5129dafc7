// Package codec converts between network bytes and values: it cuts frames off a stream,
// decodes the payloads of requests and encodes whole frames. All of it is pure functions,
// without state, sockets or clocks. It implements docs/protocol.md.
//
// A caller's loop, here for the server's side of a connection that has received b:
//
//	for {
//		frame, n, err := codec.Cut(b, codec.LimitAfterLogin)
//		if err != nil {
//			return refuse(err) // always a fatal *Error: REJECT, GOODBYE PROTOCOL, close
//		}
//		if n == 0 {
//			break // not a whole frame yet: read more
//		}
//		switch frame.Type {
//		case codec.TypeOrder:
//			err = codec.DecodeOrder(frame.Payload, universe, &order)
//			...
//		}
//		b = b[n:]
//	}
//
// Decode a frame before overwriting b: Frame.Payload is a slice of b. The results of the
// Decode functions do not reference b. Each Append function appends whole frames to a slice
// and returns it, as append does, and allocates nothing if the slice has room.
//
// Decoders and encoders for what a server receives and sends are written by hand. Clients,
// and code that is neither, use the generated messages with Append and Unmarshal. Tests
// compare the two.
package codec

import (
	"encoding/binary"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// Sizes of a frame. The limits apply to its length field, which counts the bytes after the
// field itself.
const (
	// HeaderBytes precede the payload: length (4), type (2), flags (2), id (8), big-endian.
	HeaderBytes = 16
	// LimitBeforeLogin is the limit for a client that has not logged in.
	LimitBeforeLogin = 512
	// LimitAfterLogin is the limit for a client that has logged in.
	LimitAfterLogin = 4096
	// LimitToClient is the limit for frames to a client.
	LimitToClient = 64 << 10

	lengthBytes = 4
	leastLength = HeaderBytes - lengthBytes
)

// Flags are the flags of a frame.
type Flags uint16

// The flags.
const (
	FlagReply  Flags = 1 << 0 // answers the request with the same id
	FlagReplay Flags = 1 << 1 // repeated from history: the client may have seen it
)

// Frame is one frame. ID is chosen by the request and repeated in its reply; it is 0 in a
// push.
type Frame struct {
	Type    Type
	Flags   Flags
	ID      uint64
	Payload []byte // part of the slice that the frame was cut off
}

// Cut returns the first frame of b, which is b[:n]. If n is 0 and err is nil, b does not
// hold a whole frame yet. limit applies to the length field, which is checked as soon as
// its four bytes are there. An error is a fatal *Error, TOO_LARGE or MALFORMED; nothing
// more can be cut off b.
func Cut(b []byte, limit int) (f Frame, n int, err error) {
	if len(b) < lengthBytes {
		return Frame{}, 0, nil
	}
	length := int64(binary.BigEndian.Uint32(b))
	if length > int64(limit) {
		return Frame{}, 0, &Error{
			Code:  papertapev1.RejectCode_REJECT_CODE_TOO_LARGE,
			Text:  fmt.Sprintf("the frame's length is %d; it can be at most %d here", length, limit),
			Fatal: true,
		}
	}
	if length < leastLength {
		return Frame{}, 0, &Error{
			Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED,
			Text: fmt.Sprintf("the frame's length is %d; it must be at least %d, which type, flags and id take",
				length, leastLength),
			Fatal: true,
		}
	}
	if int64(len(b)-lengthBytes) < length {
		return Frame{}, 0, nil
	}
	n = lengthBytes + int(length)
	return Frame{
		Type:    Type(binary.BigEndian.Uint16(b[4:])),
		Flags:   Flags(binary.BigEndian.Uint16(b[6:])),
		ID:      binary.BigEndian.Uint64(b[8:]),
		Payload: b[HeaderBytes:n:n],
	}, n, nil
}

// Count returns how many frames b is, which has been encoded here, and so is whole frames.
func Count(b []byte) (n int) {
	for ; len(b) >= lengthBytes; n++ {
		b = b[min(len(b), lengthBytes+int(binary.BigEndian.Uint32(b))):]
	}
	return n
}

// PutHeader overwrites the type, flags and id of a frame, so that one encoded event can
// serve as the EVENT of some connections and the EXECUTION of another.
func PutHeader(frame []byte, t Type, flags Flags, id uint64) {
	_ = frame[HeaderBytes-1]
	binary.BigEndian.PutUint16(frame[4:], uint16(t))
	binary.BigEndian.PutUint16(frame[6:], uint16(flags))
	binary.BigEndian.PutUint64(frame[8:], id)
}

// AppendFrame appends a frame whose payload is already encoded, as for an embedder's
// message.
func AppendFrame(dst []byte, t Type, flags Flags, id uint64, payload []byte) []byte {
	start := len(dst)
	return endFrame(append(beginFrame(dst, t, flags, id), payload...), start)
}

// beginFrame appends a header without its length, which endFrame sets.
func beginFrame(dst []byte, t Type, flags Flags, id uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	PutHeader(dst[len(dst)-HeaderBytes:], t, flags, id)
	return dst
}

// endFrame sets the length of the frame that starts at start and ends at the end of dst.
func endFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-lengthBytes))
	return dst
}
