package codec_test

import (
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// addGolden seeds a fuzz target with the payloads of the golden messages.
func addGolden(f *testing.F, add func(payload []byte)) {
	for _, c := range goldenCases(f) {
		add(c.frame[codec.HeaderBytes:])
	}
}

// FuzzCut compares Cut with the three lines that describe it, for the data and all its
// prefixes.
func FuzzCut(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(append(c.frame, c.frame...), uint16(codec.LimitBeforeLogin))
	}
	f.Add(rawFrame(513, make([]byte, 501)), uint16(codec.LimitBeforeLogin))
	f.Add(rawFrame(11, nil), uint16(codec.LimitAfterLogin))
	f.Fuzz(func(t *testing.T, data []byte, limit uint16) {
		for have := range min(len(data), 64) {
			checkCut(t, data[:have], int(limit))
		}
		for rest := data; ; {
			n := checkCut(t, rest, int(limit))
			if n == 0 {
				break
			}
			rest = rest[n:]
		}
	})
}

func checkCut(t *testing.T, b []byte, limit int) int {
	f, n, err := codec.Cut(b, limit)
	length := -1
	if len(b) >= 4 {
		length = int(binary.BigEndian.Uint32(b))
	}
	switch {
	case length > limit:
		checkRefused(t, err, tooLarge, true)
	case length >= 0 && length < 12:
		checkRefused(t, err, malformed, true)
	case err != nil:
		t.Fatalf("Cut of %x at limit %d: %v", b, limit, err)
	case length < 0 || len(b) < 4+length:
		if n != 0 {
			t.Fatalf("Cut of %x took %d bytes", b, n)
		}
	default:
		// Encoding the frame again gives the same bytes.
		again := rawFrame(uint32(length), f.Payload)
		codec.PutHeader(again, f.Type, f.Flags, f.ID)
		if n != 4+length || string(again) != string(b[:n]) {
			t.Fatalf("Cut of %x took %d: %+v", b, n, f)
		}
	}
	return n
}

// FuzzDecodeOrder: DecodeOrder accepts exactly the payloads that parse and are in range,
// with the same values.
func FuzzDecodeOrder(f *testing.F) {
	addGolden(f, func(payload []byte) { f.Add(payload) })
	f.Add([]byte{0x08, 0x81, 0x80, 0x80, 0x80, 0x10, 0x12, 0x02, 'S', 'H', 0x1a, 0x06, '6', '0', '0', '5', '1', '9'})
	f.Fuzz(func(t *testing.T, payload []byte) { checkOrder(t, payload) })
}

// FuzzDecodeLogin is like FuzzDecodeOrder, for LOGIN.
func FuzzDecodeLogin(f *testing.F) {
	addGolden(f, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) { checkLogin(t, payload) })
}

// FuzzDecodeRequests is like FuzzDecodeOrder, for the other requests, each with the same
// payload.
func FuzzDecodeRequests(f *testing.F) {
	addGolden(f, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, r := range requests {
			if r.typ != codec.TypeOrder && r.typ != codec.TypeLogin {
				r.check(t, payload)
			}
		}
	})
}

// FuzzEventRoundTrip uses the data in two ways. As an event's payload from an untrusted
// server it must not cause a panic, and if it decodes, it must encode to the same event. As
// input of the event generator it produces events that must survive a round trip.
func FuzzEventRoundTrip(f *testing.F) {
	addGolden(f, func(payload []byte) { f.Add(payload) })
	generated := rapid.MakeFuzz(eventRoundTrip)
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev, again papertapev1.AccountEvent
		if codec.Unmarshal(data, &ev) == nil {
			b := codec.Append(nil, codec.TypeEvent, 0, 0, &ev)
			if err := codec.Unmarshal(b[codec.HeaderBytes:], &again); err != nil || !proto.Equal(&ev, &again) {
				t.Fatalf("%v\ngot  %v\nwant %v", err, &again, &ev)
			}
		}
		generated(t, data)
	})
}
