// Package codec turns network bytes into values and values into network bytes: it cuts frames off a stream, decodes the
// payloads of requests and encodes whole frames. Everything in it is a pure function: no state, no socket, no clock.
// docs/protocol.md is what it implements.
//
// The loop of a caller, here the server's side of one connection whose bytes so far are in b:
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
// Decoding is done before b is let go of or overwritten: Frame.Payload is part of b, but what a Decode function returns
// keeps nothing of it. Each Append function appends whole frames to a slice, as append does, and returns it; give one
// with room in it and nothing is allocated.
//
// What a server decodes and sends is written by hand here, over the rules of the protobuf encoding; clients, and
// whatever is neither, use the generated messages through Append and Unmarshal. Tests hold the two against each
// other.
package codec

import (
	"encoding/binary"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// Sizes of a frame. The limits are of its length field, which counts what follows the field itself.
const (
	// HeaderBytes is what comes before the payload: length (4), type (2), flags (2), id (8), big-endian.
	HeaderBytes = 16
	// LimitBeforeLogin is for frames to a server from a connection that has not logged in.
	LimitBeforeLogin = 512
	// LimitAfterLogin is for frames to a server.
	LimitAfterLogin = 4096
	// LimitToClient is for frames to a client.
	LimitToClient = 64 << 10

	lengthBytes = 4
	leastLength = HeaderBytes - lengthBytes
)

// Flags are the flags of a frame.
type Flags uint16

// The flags.
const (
	FlagReply  Flags = 1 << 0 // answers the request with the same id
	FlagReplay Flags = 1 << 1 // sent again from history: the client may have seen it
)

// Frame is one message as it was framed. ID is the request's in a request and in its reply, 0 in a push.
type Frame struct {
	Type    Type
	Flags   Flags
	ID      uint64
	Payload []byte // part of the slice that it was cut off
}

// Cut takes the first frame off b: the frame is in b[:n]. With n == 0 and no error b does not hold a whole frame yet.
// limit is of the length field; the length is judged as soon as its four bytes are there. An error is a fatal *Error,
// TOO_LARGE or MALFORMED, and nothing can be cut off b after it.
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

// PutHeader rewrites type, flags and id of a whole frame in place, so that one encoded event serves as the EVENT of
// some connections and as the EXECUTION of another.
func PutHeader(frame []byte, t Type, flags Flags, id uint64) {
	_ = frame[HeaderBytes-1]
	binary.BigEndian.PutUint16(frame[4:], uint16(t))
	binary.BigEndian.PutUint16(frame[6:], uint16(flags))
	binary.BigEndian.PutUint64(frame[8:], id)
}

// AppendFrame appends a frame with a payload that is encoded already: that of an embedder's message.
func AppendFrame(dst []byte, t Type, flags Flags, id uint64, payload []byte) []byte {
	start := len(dst)
	return endFrame(append(beginFrame(dst, t, flags, id), payload...), start)
}

// beginFrame appends a header whose length is still open; endFrame closes it.
func beginFrame(dst []byte, t Type, flags Flags, id uint64) []byte {
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	PutHeader(dst[len(dst)-HeaderBytes:], t, flags, id)
	return dst
}

// endFrame sets the length of the frame that begins at start and reaches to the end of dst.
func endFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-lengthBytes))
	return dst
}
