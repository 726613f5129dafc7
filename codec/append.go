package codec

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A field's tag consists of its number and wire type. All field numbers of the contract are
// below 16, so a tag is one byte.
const (
	wireVarint  = byte(protowire.VarintType)
	wireFixed64 = byte(protowire.Fixed64Type)
	wireBytes   = byte(protowire.BytesType)
)

// appendUint appends a varint field. As in proto3, this and the functions below omit zero
// values.
func appendUint(dst []byte, num byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return appendVarint(append(dst, num<<3|wireVarint), v)
}

// appendInt appends an int64 or enum field.
func appendInt(dst []byte, num byte, v int64) []byte { return appendUint(dst, num, uint64(v)) }

func appendBool(dst []byte, num byte, v bool) []byte {
	if !v {
		return dst
	}
	return append(dst, num<<3|wireVarint, 1)
}

func appendFixed64(dst []byte, num byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(append(dst, num<<3|wireFixed64), v)
}

// appendText appends a string or bytes field. A string must be valid UTF-8, see validText.
func appendText[T string | []byte](dst []byte, num byte, s T) []byte {
	if len(s) == 0 {
		return dst
	}
	dst = append(dst, num<<3|wireBytes)
	dst = appendVarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendVarint is protowire.AppendVarint, but a little faster for short numbers, which most
// are.
func appendVarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// openMessage appends the tag of a message field and one byte for its length, which is
// usually enough. The caller appends the fields of the message and then calls closeMessage
// with at, which sets the length.
func openMessage(dst []byte, num byte) (opened []byte, at int) {
	return append(dst, num<<3|wireBytes, 0), len(dst) + 2
}

// closeMessage sets the length of the message that starts at at and ends at the end of dst.
// It moves a message of 128 bytes or more, so that the length is always encoded in as few
// bytes as possible.
func closeMessage(dst []byte, at int) []byte {
	n := len(dst) - at
	if n < 0x80 {
		dst[at-1] = byte(n)
		return dst
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		dst = append(dst, 0)
	}
	copy(dst[at+more:], dst[at:at+n])
	binary.PutUvarint(dst[at-1:], uint64(n))
	return dst
}

// validText returns s as valid UTF-8, which strings on the wire must be: most receivers
// refuse a message that contains anything else.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// maxTextBytes bounds the sentences of REJECT and GOODBYE.
const maxTextBytes = 1024

// sentence returns text as it may be sent: valid UTF-8 of at most maxTextBytes.
func sentence(text string) string {
	text = validText(text)
	if len(text) <= maxTextBytes {
		return text
	}
	const ellipsis = "…"
	end := maxTextBytes - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// milliseconds returns d rounded up to whole milliseconds, limited to 0 to math.MaxUint32.
func milliseconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	whole := uint64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		whole++
	}
	return min(whole, math.MaxUint32)
}
