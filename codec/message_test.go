package codec_test

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// generated is implemented by every generated message.
type generated interface {
	unmarshaler
	codec.Message
}

// newMessage returns an empty message of the contract, by name.
func newMessage(t testing.TB, name protoreflect.FullName) generated {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return typ.New().Interface().(generated)
}

// TestUnmarshalRefusesBrokenText sets every string of every message, nested ones included,
// first to valid text and then to invalid UTF-8. It finds strings that validStrings does
// not check.
func TestUnmarshalRefusesBrokenText(t *testing.T) {
	messages := papertapev1.File_papertape_v1_papertape_proto.Messages()
	strings := 0
	for n := range messages.Len() {
		m := newMessage(t, messages.Get(n).FullName())
		eachString(m.ProtoReflect(), string(messages.Get(n).Name()), func(path string, set func(text string)) {
			strings++
			again := newMessage(t, messages.Get(n).FullName())
			set("茅台")
			payload := onlyFrame(t, codec.Append(nil, codec.TypeEmbedder, 0, 0, m), codec.TypeEmbedder, 0, 0)
			if err := codec.Unmarshal(payload, again); err != nil || !proto.Equal(m, again) {
				t.Errorf("%s: %v, got %v, want %v", path, err, again, m)
			}
			set("\xff")
			payload = onlyFrame(t, codec.Append(nil, codec.TypeEmbedder, 0, 0, m), codec.TypeEmbedder, 0, 0)
			if err := codec.Unmarshal(payload, again); err == nil {
				t.Errorf("%s: broken text was taken", path)
			} else {
				checkRefused(t, err, malformed, true)
			}
		})
	}
	if strings < 50 {
		t.Errorf("only %d strings were looked at", strings)
	}
}

// eachString visits every string field in and below m, each with all its parent messages
// present.
func eachString(m protoreflect.Message, path string, visit func(path string, set func(text string))) {
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		f := fields.Get(n)
		at := path + "." + string(f.Name())
		switch {
		case f.Kind() == protoreflect.StringKind && f.IsList():
			list := m.Mutable(f).List()
			list.Append(protoreflect.ValueOfString("before"))
			list.Append(protoreflect.ValueOfString(""))
			visit(at, func(text string) { list.Set(1, protoreflect.ValueOfString(text)) })
		case f.Kind() == protoreflect.StringKind:
			visit(at, func(text string) { m.Set(f, protoreflect.ValueOfString(text)) })
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			list := m.Mutable(f).List()
			list.Append(list.NewElement())
			last := list.NewElement()
			list.Append(last)
			eachString(last.Message(), at, visit)
		case f.Kind() == protoreflect.MessageKind:
			eachString(m.Mutable(f).Message(), at, visit)
		}
		m.Clear(f)
	}
}

func TestUnmarshalStartsAfresh(t *testing.T) {
	quotes := &papertapev1.Quotes{Quotes: []*papertapev1.Quote{{Code: "old"}}}
	want := &papertapev1.Quotes{Quotes: []*papertapev1.Quote{{Market: "SH", Code: "600519", Price: 1}}}
	payload := marshal(t, want)
	if err := codec.Unmarshal(payload, quotes); err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if !proto.Equal(quotes, want) {
		t.Errorf("got %v, want %v", quotes, want)
	}
	checkRefused(t, codec.Unmarshal([]byte{0x0a, 0x05, 0x00}, quotes), malformed, true)
}

func TestAppendAddsToWhatIsThere(t *testing.T) {
	order := sampleOrder()
	b := codec.Append([]byte("before"), codec.TypeOrder, 0, math.MaxUint64, order)
	if !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("got %x", b)
	}
	checkPayload(t, onlyFrame(t, b[len("before"):], codec.TypeOrder, 0, math.MaxUint64), order)
	frame := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		frame = codec.Append(frame[:0], codec.TypeOrder, 0, 1, order)
	}); n != 0 {
		t.Errorf("Append with room: %v allocations, want 0", n)
	}
}
