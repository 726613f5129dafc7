package conformance

import (
	"encoding/binary"
	"fmt"
	"io"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// kind is a frame's message type.
type kind uint16

const (
	kWelcome          kind = 1
	kLogin            kind = 2
	kLoginReply       kind = 3
	kPing             kind = 4
	kPong             kind = 5
	kGoodbye          kind = 6
	kReject           kind = 7
	kOrder            kind = 16
	kExecution        kind = 17
	kHoldings         kind = 18
	kHoldingsReply    kind = 19
	kHistory          kind = 20
	kHistoryReply     kind = 21
	kInstruments      kind = 22
	kInstrumentsReply kind = 23
	kSubscribe        kind = 24
	kSubscribed       kind = 25
	kEvent            kind = 32
	kQuotes           kind = 33
	kPresence         kind = 34
)

const (
	flagReply  = 1
	flagReplay = 2

	headerBytes   = 16
	minLength     = 12       // of the length field: a header without payload
	loginLength   = 512      // largest length to the server before login
	requestLength = 4096     // largest length to the server after login
	answerLength  = 64 << 10 // largest length to a client
)

// answerTo has the reply to each request. Any request may be answered by REJECT instead.
var answerTo = map[kind]kind{
	kLogin:       kLoginReply,
	kPing:        kPong,
	kOrder:       kExecution,
	kHoldings:    kHoldingsReply,
	kHistory:     kHistoryReply,
	kInstruments: kInstrumentsReply,
	kSubscribe:   kSubscribed,
}

// payloadOf returns an empty message of the type that a server's frame of kind k carries, or nil if
// a server sends no such frame.
func payloadOf(k kind) proto.Message {
	switch k {
	case kWelcome:
		return new(pb.Welcome)
	case kLoginReply:
		return new(pb.LoginReply)
	case kPing:
		return new(pb.Ping)
	case kPong:
		return new(pb.Pong)
	case kGoodbye:
		return new(pb.Goodbye)
	case kReject:
		return new(pb.Reject)
	case kExecution, kEvent:
		return new(pb.AccountEvent)
	case kHoldingsReply:
		return new(pb.Holdings)
	case kHistoryReply:
		return new(pb.History)
	case kInstrumentsReply:
		return new(pb.Instruments)
	case kSubscribed:
		return new(pb.Subscribed)
	case kQuotes:
		return new(pb.Quotes)
	case kPresence:
		return new(pb.Presence)
	}
	return nil
}

// frame is one frame from the server, with its payload parsed.
type frame struct {
	kind  kind
	flags uint16
	id    uint64
	body  proto.Message
}

func (f frame) reply() bool  { return f.flags&flagReply != 0 }
func (f frame) replay() bool { return f.flags&flagReplay != 0 }

func (f frame) String() string {
	return fmt.Sprintf("frame type %d flags %#x id %d {%v}", f.kind, f.flags, f.id, f.body)
}

// appendFrame appends a frame with the given payload to dst.
func appendFrame(dst []byte, k kind, flags uint16, id uint64, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(minLength+len(payload)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(k))
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, id)
	return append(dst, payload...)
}

// encode returns the payload of m.
func encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // every message of this package is valid
	}
	return b
}

// readFrame reads one frame from a server. io.EOF means that the stream ended between two frames.
func readFrame(r io.Reader) (frame, error) {
	var head [headerBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(head[0:])
	if length < minLength || length > answerLength {
		return frame{}, &badFrameError{fmt.Sprintf("length %d, want %d to %d", length, minLength, answerLength)}
	}
	f := frame{
		kind:  kind(binary.BigEndian.Uint16(head[4:])),
		flags: binary.BigEndian.Uint16(head[6:]),
		id:    binary.BigEndian.Uint64(head[8:]),
	}
	if f.body = payloadOf(f.kind); f.body == nil {
		return frame{}, &badFrameError{fmt.Sprintf("type %d, which no server sends", f.kind)}
	}
	payload := make([]byte, length-minLength)
	if _, err := io.ReadFull(r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	if err := proto.Unmarshal(payload, f.body); err != nil {
		return frame{}, &badFrameError{fmt.Sprintf("type %d: its payload does not parse: %v", f.kind, err)}
	}
	return f, nil
}

// badFrameError reports a frame that breaks the protocol, as opposed to a connection that ended.
type badFrameError struct{ text string }

func (e *badFrameError) Error() string { return "the server sent a frame of " + e.text }
