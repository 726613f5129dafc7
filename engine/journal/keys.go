package journal

import (
	"encoding/binary"
	"fmt"
)

// The first byte of a key says what its value is. Numbers in keys are 8 bytes, big-endian, so
// that keys sort by number.
const (
	keyAccount = 'A' // account
	keyRun     = 'H' // account, sequence of the first event in the run
	keyOrderID = 'I' // account, sequence
	keyBlock   = 'J' // number
	keyMeta    = 'M' // a name
	keyListing = 'T' // number of an instrument
)

const (
	blockKeyBytes = 9
	pairKeyBytes  = 17
)

func accountKey(account uint64) []byte { return numberKey(keyAccount, account) }

func blockKey(number uint64) []byte { return numberKey(keyBlock, number) }

func runKey(account, first uint64) []byte { return pairKey(keyRun, account, first) }

func orderIDKey(account, seq uint64) []byte { return pairKey(keyOrderID, account, seq) }

func listingKey(number uint64) []byte { return numberKey(keyListing, number) }

func metaKey(name string) []byte { return append([]byte{keyMeta}, name...) }

func numberKey(what byte, n uint64) []byte {
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

// numberOf returns the i-th number in a key, or 0 if there is none.
func numberOf(key []byte, i int) uint64 {
	if len(key) < 9+8*i {
		return 0
	}
	return binary.BigEndian.Uint64(key[1+8*i:])
}

// nameKey names a key for people.
func nameKey(key []byte) string {
	switch {
	case len(key) == blockKeyBytes && key[0] == keyBlock:
		return fmt.Sprintf("commit %d", numberOf(key, 0))
	case len(key) == blockKeyBytes && key[0] == keyAccount:
		return fmt.Sprintf("account %d", numberOf(key, 0))
	case len(key) == blockKeyBytes && key[0] == keyListing:
		return fmt.Sprintf("instrument %d", numberOf(key, 0))
	case len(key) == pairKeyBytes && key[0] == keyRun:
		return fmt.Sprintf("the history of account %d from event %d on", numberOf(key, 0), numberOf(key, 1))
	case len(key) == pairKeyBytes && key[0] == keyOrderID:
		return fmt.Sprintf("the order id of event %d of account %d", numberOf(key, 1), numberOf(key, 0))
	case len(key) > 0 && key[0] == keyMeta:
		return fmt.Sprintf("the record %q", key[1:])
	}
	return fmt.Sprintf("the unknown key %x", key)
}
