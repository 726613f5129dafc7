package codec

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// fields walks the fields of a protobuf message by the rules of the encoding: fields come
// in any order, a later value replaces an earlier one, unknown fields are skipped. One rule
// is stricter than in most libraries. A known field with the wrong wire type is an error,
// not an unknown field, because otherwise something that the sender meant would be lost.
//
//	f := fields{rest: payload}
//	for f.next() {
//		switch f.num {
//		case 1:
//			account = f.varint()
//		}
//	}
//	return f.check("LOGIN")
type fields struct {
	rest  []byte
	num   protowire.Number // of the current field
	typ   protowire.Type
	value uint64 // for a varint, fixed32 or fixed64 field
	data  []byte // for a length-delimited field: a slice of the message
	fault fault
}

// fault says why a walk stopped before the end of the message.
type fault uint8

const (
	noFault fault = iota
	badEncoding
	badWireType
	badText
)

// next advances to the next field. It returns false at the end of the message and after a
// fault.
func (f *fields) next() bool {
	if f.fault != noFault || len(f.rest) == 0 {
		return false
	}
	var n int
	if tag := f.rest[0]; tag >= 1<<3 && tag < 0x80 {
		f.num, f.typ, n = protowire.Number(tag>>3), protowire.Type(tag&7), 1
	} else if f.num, f.typ, n = protowire.ConsumeTag(f.rest); n < 0 || !f.num.IsValid() {
		return f.fail(badEncoding)
	}
	f.rest = f.rest[n:]
	switch f.typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.data, n = protowire.ConsumeBytes(f.rest)
	case protowire.Fixed64Type:
		f.value, n = protowire.ConsumeFixed64(f.rest)
	default:
		n = protowire.ConsumeFieldValue(f.num, f.typ, f.rest)
	}
	if n < 0 {
		return f.fail(badEncoding)
	}
	f.rest = f.rest[n:]
	return true
}

func (f *fields) fail(why fault) bool {
	f.fault = why
	return false
}

// varint returns the value of the current field, which may be of any varint type: an
// integer, bool or enum.
func (f *fields) varint() uint64 {
	if f.typ != protowire.VarintType {
		f.fail(badWireType)
		return 0
	}
	return f.value
}

// fixed64 returns the value of the current field.
func (f *fields) fixed64() uint64 {
	if f.typ != protowire.Fixed64Type {
		f.fail(badWireType)
		return 0
	}
	return f.value
}

// bytes returns the value of the current field, a slice of the message.
func (f *fields) bytes() []byte {
	if f.typ != protowire.BytesType {
		f.fail(badWireType)
		return nil
	}
	return f.data
}

// text returns the value of a string field, which must be valid UTF-8.
func (f *fields) text() []byte {
	b := f.bytes()
	if !utf8.Valid(b) {
		f.fail(badText)
		return nil
	}
	return b
}

// check returns the fatal error for a message that did not parse, or nil. f.num is still
// the field at fault.
func (f *fields) check(t Type) error {
	var problem string
	switch f.fault {
	case noFault:
		return nil
	case badWireType:
		problem = fmt.Sprintf("field %d cannot have wire type %d", f.num, f.typ)
	case badText:
		problem = fmt.Sprintf("the string in field %d is not valid UTF-8", f.num)
	default:
		problem = fmt.Sprintf("%d bytes before its end something is cut short or is not protobuf", len(f.rest))
	}
	return &Error{
		Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED,
		Text: fmt.Sprintf("the payload of %s does not parse: %s; it must be the protobuf message of papertape.proto",
			t, problem),
		Fatal: true,
	}
}
