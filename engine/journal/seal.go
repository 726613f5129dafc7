package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A value is 4 bytes of checksum (CRC-32C of the key and of everything after the checksum), 1
// byte of version, and the body.
const (
	sumBytes     = 4
	valueHead    = sumBytes + 1
	valueVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errSum     = errors.New("its checksum does not match")
	errVersion = errors.New("it is of a version that is not known here")
)

// newValue begins a value in b. The caller appends the body and calls sealValue.
func newValue(b []byte) []byte { return append(b[:0], 0, 0, 0, 0, valueVersion) }

func sealValue(key, value []byte) {
	binary.LittleEndian.PutUint32(value, sumOf(key, value))
}

func sumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[sumBytes:])
}

// openValue checks a value and returns its body.
func openValue(key, value []byte) ([]byte, error) {
	switch {
	case len(value) < valueHead:
		return nil, errShort
	case binary.LittleEndian.Uint32(value) != sumOf(key, value):
		return nil, errSum
	case value[sumBytes] != valueVersion:
		return nil, errVersion
	}
	return value[valueHead:], nil
}
