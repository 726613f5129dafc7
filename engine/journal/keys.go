package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// The first byte of a key says what its value is. Numbers in keys are 8 bytes, big-endian, so that they sort.
const (
	keyAccount = 'A' // account
	keyRun     = 'H' // account, sequence of the first event
	keyOrderID = 'I' // account, sequence
	keyBlock   = 'J' // number
	keyMeta    = 'M' // a name
)

const (
	blockKeyBytes = 9
	pairKeyBytes  = 17
)

func accountKey(account uint64) []byte { return oneKey(keyAccount, account) }

func blockKey(number uint64) []byte { return oneKey(keyBlock, number) }

func runKey(account, first uint64) []byte { return pairKey(keyRun, account, first) }

func orderIDKey(account, seq uint64) []byte { return pairKey(keyOrderID, account, seq) }

func metaKey(name string) []byte { return append([]byte{keyMeta}, name...) }

func oneKey(what byte, n uint64) []byte {
	key := make([]byte, blockKeyBytes)
	key[0] = what
	binary.BigEndian.PutUint64(key[1:], n)
	return key
}

func pairKey(what byte, n, m uint64) []byte {
	key := make([]byte, pairKeyBytes)
	key[0] = what
	binary.BigEndian.PutUint64(key[1:], n)
	binary.BigEndian.PutUint64(key[9:], m)
	return key
}

// numberOf is the i-th number in a key; 0 where there is none.
func numberOf(key []byte, i int) uint64 {
	if len(key) < 9+8*i {
		return 0
	}
	return binary.BigEndian.Uint64(key[1+8*i:])
}

// nameKey is a key as a person reads it.
func nameKey(key []byte) string {
	switch {
	case len(key) == blockKeyBytes && key[0] == keyBlock:
		return fmt.Sprintf("commit %d", numberOf(key, 0))
	case len(key) == blockKeyBytes && key[0] == keyAccount:
		return fmt.Sprintf("account %d", numberOf(key, 0))
	case len(key) == pairKeyBytes && key[0] == keyRun:
		return fmt.Sprintf("the history of account %d from event %d on", numberOf(key, 0), numberOf(key, 1))
	case len(key) == pairKeyBytes && key[0] == keyOrderID:
		return fmt.Sprintf("the order id of event %d of account %d", numberOf(key, 1), numberOf(key, 0))
	case len(key) > 0 && key[0] == keyMeta:
		return fmt.Sprintf("the record %q", key[1:])
	}
	return fmt.Sprintf("the unknown key %x", key)
}

// A value is 4 bytes of checksum (CRC-32C of the key and of what follows), 1 byte of version, and the body.
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

// newValue begins a value in b; the body is appended and sealValue ends it.
func newValue(b []byte) []byte { return append(b[:0], 0, 0, 0, 0, valueVersion) }

func sealValue(key, value []byte) {
	binary.LittleEndian.PutUint32(value, sumOf(key, value))
}

func sumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value[sumBytes:])
}

// openValue is the body of a value.
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

// DamageError says that what is on the disk is not what was written there. Where is the place as a person names it.
type DamageError struct {
	Dir   string
	Where string
	Err   error
}

func (e *DamageError) Error() string {
	why, _, _ := strings.Cut(fmt.Sprint(e.Err), "\n") // Pebble goes on with what is of use to its authors
	return fmt.Sprintf("the journal in %s is damaged: %s: %s; restore a backup", e.Dir, e.Where, why)
}

func (e *DamageError) Unwrap() error { return e.Err }
