package codec_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/positions"
)

// rawFrame builds a frame with the given length field, without using the package.
func rawFrame(length uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint16(b, 16)
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint64(b, 0x0102030405060708)
	return append(b, payload...)
}

func TestCutByteByByte(t *testing.T) {
	payload := []byte("payload of this frame")
	whole := rawFrame(uint32(12+len(payload)), payload)
	more := append(bytes.Clone(whole), "the next"...)
	for n := range whole {
		if f, took, err := codec.Cut(more[:n], codec.LimitBeforeLogin); took != 0 || err != nil || f.Payload != nil {
			t.Fatalf("of %d bytes: %d, %v, %v", n, took, f, err)
		}
	}
	f, n, err := codec.Cut(more, codec.LimitBeforeLogin)
	if err != nil || n != len(whole) {
		t.Fatalf("Cut = %d, %v", n, err)
	}
	if f.Type != codec.TypeOrder || f.Flags != codec.FlagReply|codec.FlagReplay || f.ID != 0x0102030405060708 {
		t.Errorf("header %v %d %#x", f.Type, f.Flags, f.ID)
	}
	if !bytes.Equal(f.Payload, payload) || &f.Payload[0] != &more[codec.HeaderBytes] {
		t.Errorf("payload %q, want the bytes of the input", f.Payload)
	}
	if cap(f.Payload) != len(payload) {
		t.Errorf("an append to the payload would overwrite the next frame")
	}
}

func TestCutGlued(t *testing.T) {
	var glued []byte
	for id := range uint64(50) {
		glued = codec.AppendPing(glued, id+1, id*id*id)
	}
	rest := glued
	for id := range uint64(50) {
		f, n, err := codec.Cut(rest, codec.LimitAfterLogin)
		if err != nil || n == 0 || f.Type != codec.TypePing || f.ID != id+1 {
			t.Fatalf("frame %d: %v, %d, %v", id, f, n, err)
		}
		if head, err := codec.DecodePing(f.Payload); head != id*id*id || err != nil {
			t.Fatalf("frame %d: head %d, %v", id, head, err)
		}
		rest = rest[n:]
	}
	if len(rest) != 0 {
		t.Fatalf("%d bytes left", len(rest))
	}
}

func TestCutLimits(t *testing.T) {
	for _, test := range []struct {
		length uint32
		limit  int
		code   papertapev1.RejectCode
	}{
		{512, codec.LimitBeforeLogin, 0},
		{513, codec.LimitBeforeLogin, tooLarge},
		{4096, codec.LimitAfterLogin, 0},
		{4097, codec.LimitAfterLogin, tooLarge},
		{65536, codec.LimitToClient, 0},
		{65537, codec.LimitToClient, tooLarge},
		{1<<32 - 1, codec.LimitToClient, tooLarge},
		{1 << 31, codec.LimitAfterLogin, tooLarge},
		{12, codec.LimitBeforeLogin, 0},
		{11, codec.LimitBeforeLogin, malformed},
		{0, codec.LimitBeforeLogin, malformed},
	} {
		if test.code == 0 {
			frame := rawFrame(test.length, make([]byte, test.length-12))
			if _, n, err := codec.Cut(frame, test.limit); n != len(frame) || err != nil {
				t.Errorf("length %d at limit %d: %d, %v", test.length, test.limit, n, err)
			}
			continue
		}
		whole := rawFrame(test.length, nil)
		if _, n, err := codec.Cut(whole[:3], test.limit); n != 0 || err != nil {
			t.Errorf("length %d judged before it was there: %d, %v", test.length, n, err)
		}
		for _, have := range []int{4, 5, 16} {
			_, n, err := codec.Cut(whole[:have], test.limit)
			checkRefused(t, err, test.code, true)
			if n != 0 {
				t.Errorf("length %d took %d bytes", test.length, n)
			}
		}
	}
}

func TestCutAnyChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 10).Draw(t, "payloads")
		var stream []byte
		for _, p := range payloads {
			stream = append(stream, rawFrame(uint32(12+len(p)), p)...)
		}
		var have []byte
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "chunk")
			have, stream = append(have, stream[:n]...), stream[n:]
			for {
				f, n, err := codec.Cut(have, codec.LimitBeforeLogin)
				if err != nil {
					t.Fatalf("Cut: %v", err)
				}
				if n == 0 {
					break
				}
				if !bytes.Equal(f.Payload, payloads[0]) {
					t.Fatalf("payload %x, want %x", f.Payload, payloads[0])
				}
				have, payloads = have[n:], payloads[1:]
			}
		}
		if len(payloads) > 0 || len(have) > 0 {
			t.Fatalf("%d frames and %d bytes left over", len(payloads), len(have))
		}
	})
}

func TestPutHeader(t *testing.T) {
	ev := sampleEvent(t)
	frame := codec.AppendEvent([]byte("before"), codec.TypeEvent, 0, 0, ev, universe)
	codec.PutHeader(frame[len("before"):], codec.TypeExecution, codec.FlagReply, 1<<63|9)
	want := codec.AppendEvent([]byte("before"), codec.TypeExecution, codec.FlagReply, 1<<63|9, ev, universe)
	if !bytes.Equal(frame, want) {
		t.Errorf("got  %x\nwant %x", frame, want)
	}
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[codec.Type]string{
		codec.TypeLogin: "LOGIN", codec.TypeLoginReply: "LOGIN reply", codec.TypePresence: "PRESENCE",
		0: "type 0x0000", codec.TypeEmbedder + 5: "type 0x8005",
	} {
		if got := typ.String(); got != want {
			t.Errorf("String of %d = %q, want %q", uint16(typ), got, want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	// The names of reason and code are the same, except for the one reason without a code
	// of its own.
	r := positions.UnknownAccount
	for ; !strings.HasPrefix(r.String(), "Reason("); r++ {
		want := strings.ReplaceAll(strings.TrimPrefix(codec.CodeOf(r).String(), "REJECT_CODE_"), "_", "")
		if r == positions.TooManyRows {
			want = "TOOMANYROWS"
			if got := codec.CodeOf(r); got != papertapev1.RejectCode_REJECT_CODE_BAD_QUANTITY {
				t.Errorf("CodeOf(TooManyRows) = %v", got)
			}
		}
		if got := strings.ToUpper(r.String()); got != want {
			t.Errorf("CodeOf(%v) = %v", r, codec.CodeOf(r))
		}
	}
	if got := codec.CodeOf(positions.NoRefusal); got != 0 {
		t.Errorf("CodeOf(NoRefusal) = %v", got)
	}
	if got := codec.CodeOf(r); got != papertapev1.RejectCode_REJECT_CODE_INTERNAL {
		t.Errorf("CodeOf of no reason = %v", got)
	}
}
