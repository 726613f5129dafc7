package journal

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// forge returns four bytes that, appended to head, give it the wanted checksum of Pebble.
func forge(head []byte, want uint32) []byte {
	state := ^unrotated(want) // the state of the CRC at the end
	for range 4 {
		for i, entry := range castagnoli {
			if entry>>24 == state>>24 {
				state = (state^entry)<<8 | uint32(i)
				break
			}
		}
	}
	return binary.LittleEndian.AppendUint32(nil, state^^crc32.Checksum(head, castagnoli))
}

// TestTrailerByChance: in a recycled log, older data may follow the trailer in such a way that
// trailer and data have the checksum of a chunk of some type. It is still the end of the log,
// whether or not there is a newer log.
func TestTrailerByChance(t *testing.T) {
	for _, kind := range []byte{chunkFull, chunkFirst, chunkLast - 1, chunkLast} {
		s := logScan{number: 7}
		looks := append([]byte{kind}, binary.LittleEndian.AppendUint32(nil, s.number)...)
		looks = append(looks, "any."...)
		looks = append(looks, forge(looks, 0)...)
		if chunkSum(looks) != 0 {
			t.Fatalf("the checksum is %08x", chunkSum(looks))
		}
		trailer := append(make([]byte, 6), trailerKind)
		trailer = binary.LittleEndian.AppendUint32(trailer, s.number+1)
		log := make([]byte, logBlockBytes)
		copy(log[copy(log, trailer):], looks[5:])
		s.block(log, 0)
		if s.log.stopsAt != 0 || s.log.torn != 0 || s.log.spoiltHead || s.log.evidence != "" {
			t.Errorf("kind %d: %+v", kind, s.log)
		}
	}
}

// TestPebblesTrailer checks the trailer that Pebble writes when it closes a log. Every log but
// the newest ends with it.
func TestPebblesTrailer(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	newWorld(2, 5, 3).run(t, j, 60, 5)
	mustClose(t, j)
	logs, err := scanLogs(disk, "data")
	if err != nil || len(logs) == 0 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	for _, l := range logs {
		text, err := disk.UnsafeGetFileDataBuffer("data/" + l.name)
		must(t, err)
		n, err := strconv.ParseUint(strings.TrimSuffix(l.name, ".log"), 10, 32)
		must(t, err)
		if s := (logScan{number: uint32(n)}); !s.isTrailer(text[l.stopsAt:]) || l.torn != 0 || l.spoiltHead {
			t.Errorf("%s ends with % x at byte %d: %+v",
				l.name, text[l.stopsAt:min(int(l.stopsAt)+20, len(text))], l.stopsAt, l)
		}
	}
}

// TestRecycledChunk: a chunk of another log is not taken for one of this log with another type,
// even if the checksum would match.
func TestRecycledChunk(t *testing.T) {
	s := logScan{number: 9}
	body := []byte("the offset, and what was committed in the former life of the log")
	ours := append([]byte{chunkFirst}, binary.LittleEndian.AppendUint32(nil, s.number)...)
	sum := chunkSum(append(ours, body...))
	former := forgeNumber(chunkFull, body, sum) // the log number with which a full chunk has this checksum
	if former == s.number {
		t.Fatal("it is the same log")
	}
	chunk := binary.LittleEndian.AppendUint32(nil, sum)
	chunk = binary.LittleEndian.AppendUint16(chunk, uint16(len(body)-(chunkHead-11)))
	chunk = append(binary.LittleEndian.AppendUint32(append(chunk, chunkFull), former), body...)
	if c, ok := (&logScan{number: former}).chunk(chunk); !ok || c.size != len(chunk) {
		t.Fatal("it is no chunk of the former log")
	}
	s.block(chunk, 0)
	if s.log.spoiltHead || s.log.torn != 0 {
		t.Errorf("%+v", s.log)
	}
}

// forgeNumber returns the number of a log in which a chunk of this type has this checksum.
func forgeNumber(kind byte, body []byte, sum uint32) uint32 {
	// Each bit of the number flips the same bits of the checksum, whatever the other bits are. So the
	// number is found by Gaussian elimination.
	at := func(n uint32) uint32 {
		return unrotated(chunkSum(append(binary.LittleEndian.AppendUint32([]byte{kind}, n), body...)))
	}
	zero, want := at(0), unrotated(sum)
	var basis [32][2]uint32 // by highest bit: a change of the checksum, and the number that causes it
	for bit := range 32 {
		change, number := at(1<<bit)^zero, uint32(1)<<bit
		for change != 0 {
			top := bits.Len32(change) - 1
			if basis[top][0] == 0 {
				basis[top] = [2]uint32{change, number}
				break
			}
			change, number = change^basis[top][0], number^basis[top][1]
		}
	}
	rest, number := want^zero, uint32(0)
	for rest != 0 {
		top := bits.Len32(rest) - 1
		rest, number = rest^basis[top][0], number^basis[top][1]
	}
	return number
}

func unrotated(sum uint32) uint32 {
	sum -= 0xa282ead8
	return sum<<15 | sum>>17
}
