package record

import (
	"encoding/binary"
	"errors"
)

// What can be wrong with bytes. The caller adds the place.
var (
	ErrShort   = errors.New("it ends too early")
	ErrNumber  = errors.New("a number in it is out of range")
	ErrOrderID = errors.New("an order id in it is not 1 to 64 printable characters")
	ErrLonger  = errors.New("it goes on after its end")
)

// Reader reads values from the front of a byte slice. It keeps its first error; everything read
// after it is 0. It allocates nothing that is larger than the bytes.
type Reader struct {
	B   []byte // what is left
	Err error
}

// Fail keeps err, unless there is an earlier one.
func (r *Reader) Fail(err error) {
	if r.Err == nil {
		r.Err = err
	}
	r.B = nil
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.B) == 0 {
		r.Fail(ErrShort)
		return 0
	}
	c := r.B[0]
	r.B = r.B[1:]
	return c
}

// Fixed reads 8 bytes, little-endian.
func (r *Reader) Fixed() uint64 {
	if len(r.B) < 8 {
		r.Fail(ErrShort)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.B)
	r.B = r.B[8:]
	return v
}

// Unsigned reads an unsigned varint.
func (r *Reader) Unsigned() uint64 {
	if len(r.B) > 0 && r.B[0] < 0x80 {
		v := uint64(r.B[0])
		r.B = r.B[1:]
		return v
	}
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.failVarint(n)
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Signed reads a zigzag varint.
func (r *Reader) Signed() int64 {
	v := r.Unsigned()
	return int64(v>>1) ^ -int64(v&1)
}

// failVarint tells the two failures of binary.Uvarint apart.
func (r *Reader) failVarint(n int) {
	if n == 0 {
		r.Fail(ErrShort)
	} else {
		r.Fail(ErrNumber)
	}
}

// Count reads the number of items that follow, each of at least size bytes.
func (r *Reader) Count(size int) int {
	n := r.Unsigned()
	if n > uint64(len(r.B)/size) {
		r.Fail(ErrShort)
		return 0
	}
	return int(n)
}

// Bytes reads a length and as many bytes, which are not copied.
func (r *Reader) Bytes() []byte {
	n := r.Count(1)
	b := r.B[:n:n]
	r.B = r.B[n:]
	return b
}

// Text reads a length and as many bytes.
func (r *Reader) Text() string { return string(r.Bytes()) }

// End returns the first error, or an error if bytes are left over.
func (r *Reader) End() error {
	if r.Err == nil && len(r.B) > 0 {
		r.Err = ErrLonger
	}
	return r.Err
}

// AppendText appends a text as [Reader.Text] reads it.
func AppendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
