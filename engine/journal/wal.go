package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// Pebble reads its newest log up to the first chunk that does not hold together and takes that for the end: of a log
// that a crash has torn, or of one that was recycled. It looks for the contrary, a later chunk that says that the log
// was on the disk beyond this place, only in the 32 KiB blocks that follow, and not at all where the broken chunk has
// come to look like a trailer, for which one bit is enough. What was damaged there would be lost in silence, replies
// and all. So before Pebble opens a log, and cuts it, it is read here, to its last byte.
//
// A log is 32 KiB blocks of chunks. No chunk crosses a block; a record is one full chunk, or a first, middles and a
// last:
//
//	4 bytes checksum of what follows the length, 2 bytes length, 1 byte type, 4 bytes number of the log,
//	8 bytes offset up to which the log was on the disk when the chunk was made, payload; all little-endian
//
// A log that was closed ends with a trailer: checksum and length 0, type 5, and the number of the log plus one.
const (
	logBlockBytes = 32 << 10
	chunkHead     = 19
	chunkFull     = 9
	chunkFirst    = 10
	chunkLast     = 12

	trailerKind = 5 // a full chunk of the format before, which has no offset
)

// tornLog is what the reading of a log found.
type tornLog struct {
	name string
	stop int64  // offset where Pebble stops
	torn int64  // bytes behind it that were written to this log, at least; 0: it ends there
	fact string // why what is behind must have been whole once; else empty
	bent bool   // what is there is whole but for its head, which no crash makes

	// block is the highest number of a block that, as a later block has it, was on the disk before that one was made.
	block uint64
}

// scanLogs reads all logs in dir, in order.
func scanLogs(disk vfs.FS, dir string) ([]tornLog, error) {
	logs, err := wal.Scan(wal.Dir{FS: disk, Dirname: dir})
	if err != nil {
		return nil, err
	}
	var found []tornLog
	for _, l := range logs {
		for i := range l.NumSegments() {
			fs, path := l.SegmentLocation(i)
			s := logScan{number: uint32(l.Num)}
			s.log.name = fs.PathBase(path)
			if err := s.file(fs, path); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			found = append(found, s.log)
		}
	}
	return found, nil
}

type logScan struct {
	number  uint32
	log     tornLog
	stopped bool
	head    []byte // the beginning of the record that is being read, as far as it is of interest
	holed   bool   // head lacks what came before, or something in between
}

func (s *logScan) file(disk vfs.FS, path string) error {
	f, err := disk.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	buf := make([]byte, logBlockBytes)
	for offset := int64(0); err == nil; offset += logBlockBytes {
		var n int
		n, err = io.ReadFull(f, buf)
		s.block(buf[:n], offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// block reads one block of the log, which is at offset.
func (s *logScan) block(b []byte, offset int64) {
	pos := 0
	for !s.stopped {
		if len(b)-pos < chunkHead && len(bytes.Trim(b[pos:], "\x00")) == 0 {
			s.log.stop = offset + int64(pos) // so far
			return                           // what is left at the end of a block is zero
		}
		c, ok := s.chunk(b[pos:])
		if !ok {
			s.stop(b[pos:], offset+int64(pos))
			break
		}
		pos += c.size
	}
	for pos < len(b) {
		c, ok := s.chunk(b[pos:])
		if !ok {
			s.holed = true
			pos++
			continue
		}
		s.behind(c, offset+int64(pos+c.size))
		pos += c.size
	}
}

type logChunk struct {
	size    int
	kind    byte
	synced  uint64
	payload []byte
}

// chunk reads a chunk of this log off the front of b; ok is false if there is none, or none whole.
func (s *logScan) chunk(b []byte) (c logChunk, ok bool) {
	if !s.meant(b) {
		return c, false
	}
	c.size = chunkHead + int(binary.LittleEndian.Uint16(b[4:]))
	if c.size > len(b) || binary.LittleEndian.Uint32(b) != chunkSum(b[6:c.size]) {
		return c, false
	}
	c.kind, c.synced, c.payload = b[6], binary.LittleEndian.Uint64(b[11:]), b[chunkHead:c.size]
	return c, true
}

// meant says whether b begins with what may be the head of a chunk of this log.
func (s *logScan) meant(b []byte) bool {
	return len(b) >= chunkHead && b[6] >= chunkFull && b[6] <= chunkLast && binary.LittleEndian.Uint32(b[7:]) == s.number
}

// chunkSum is a checksum as Pebble stores it.
func chunkSum(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// stop notes where Pebble stops, and whether what is there was meant for this log.
func (s *logScan) stop(b []byte, offset int64) {
	s.stopped = true
	s.log.stop = offset
	if s.isTrailer(b) || len(b) < chunkHead {
		return
	}
	size := min(len(b), chunkHead+int(binary.LittleEndian.Uint16(b[4:])))
	switch {
	case s.meant(b):
		s.log.torn = int64(size)
	case s.isBent(b[:size]):
		s.log.torn, s.log.bent = int64(size), true
	}
}

// isTrailer says whether b begins with what Pebble ends a log with when it closes it. It has no checksum, and what a
// recycled log had before may follow it, so that a mended checksum could match by chance; no chunk of a record looks
// like it, as none is empty.
func (s *logScan) isTrailer(b []byte) bool {
	const size = 11
	return len(b) >= size && binary.LittleEndian.Uint32(b) == 0 && binary.LittleEndian.Uint16(b[4:]) == 0 &&
		b[6] == trailerKind && binary.LittleEndian.Uint32(b[7:]) == s.number+1
}

// isBent says whether b is a chunk of this log but for its kind, or for its number: then the checksum holds with the
// right one. Both are not tried together. A chunk that a recycled log had before differs in its number by at most 32
// bits in a row, which a CRC-32C never misses; with another kind too that could be, and what is there by chance would
// match more often.
func (s *logScan) isBent(b []byte) bool {
	mended := bytes.Clone(b)
	if b[6] >= chunkFull && b[6] <= chunkLast {
		binary.LittleEndian.PutUint32(mended[7:], s.number)
		return binary.LittleEndian.Uint32(b) == chunkSum(mended[6:])
	}
	if binary.LittleEndian.Uint32(b[7:]) != s.number {
		return false
	}
	for mended[6] = chunkFull; mended[6] <= chunkLast; mended[6]++ {
		if binary.LittleEndian.Uint32(b) == chunkSum(mended[6:]) {
			return true
		}
	}
	return false
}

// behind takes note of a chunk that is whole, and ends at end, behind the place where Pebble stops.
func (s *logScan) behind(c logChunk, end int64) {
	s.log.torn = end - s.log.stop
	if c.synced > uint64(s.log.stop) && s.log.fact == "" {
		s.log.fact = fmt.Sprintf("byte %d of the log %s was on the disk when a later part of it was written, and is not whole any more",
			s.log.stop, s.log.name)
	}
	if c.kind == chunkFull || c.kind == chunkFirst {
		s.head, s.holed = s.head[:0], false
	}
	s.head = append(s.head, c.payload[:min(len(c.payload), recordHead-len(s.head))]...)
	if b, ok := blockOfRecord(s.head); ok && !s.holed {
		s.log.block = max(s.log.block, b.synced)
	}
}

// recordHead is enough of a record to have the head of a block: a batch's head, kind and key, and the value's length
// and head.
const recordHead = 12 + 2 + blockKeyBytes + binary.MaxVarintLen32 + blockHeadMax

// blockOfRecord reads the head of a block off the beginning of a record, where the record is of one.
func blockOfRecord(head []byte) (b block, ok bool) {
	const key = 12 + 2
	if len(head) < key+blockKeyBytes+1 || head[12] != 1 || head[13] != blockKeyBytes || head[key] != keyBlock {
		return b, false
	}
	d := decoder{b: head[key+blockKeyBytes:]}
	if size := d.unsigned(); size < valueHead || len(d.b) < valueHead || d.b[sumBytes] != valueVersion {
		return b, false
	}
	d.b = d.b[valueHead:]
	b.before, b.synced = d.fixed(), d.unsigned()
	return b, d.err == nil
}
