package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/papertape/papertape/record"
)

// A value is 4 bytes of checksum (CRC-32C of the key and of everything after the checksum), 1
// byte of version, and the body.
const (
	sumBytes  = 4
	valueHead = sumBytes + 1
)

// Versions of values. Version 1 is read for ever. Version 2 is what is written now, apart from the
// record of the run: an older program must be able to read the number of the format there.
const (
	valueVersion1 = 1
	valueVersion2 = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errSum     = errors.New("its checksum does not match")
	errVersion = errors.New("it is of a version that is not known here")
)

// newValue begins a value in b. The caller appends the body and calls sealValue.
func newValue(b []byte) []byte { return append(b[:0], 0, 0, 0, 0, valueVersion2) }

func sealValue(key, value []byte) {
	binary.LittleEndian.PutUint32(value, sumOf(key, value))
}

func sumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[sumBytes:])
}

// openValue checks a value, and returns its body and the version of that.
func openValue(key, value []byte) (body []byte, version byte, err error) {
	switch {
	case len(value) < valueHead:
		return nil, 0, record.ErrShort
	case binary.LittleEndian.Uint32(value) != sumOf(key, value):
		return nil, 0, errSum
	}
	if version = value[sumBytes]; version != valueVersion1 && version != valueVersion2 {
		return nil, 0, errVersion
	}
	return value[valueHead:], version, nil
}
