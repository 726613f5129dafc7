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

	"github.com/papertape/papertape/record"
)

// Pebble reads its newest log up to the first invalid chunk and takes that for the end: a crash
// may have torn the log, or the file may have been recycled and have older data behind it. It
// does look for evidence to the contrary, a later chunk which says that the log was on the disk
// beyond this offset. But it looks only in the following 32 KiB blocks, and not at all if the
// invalid chunk has come to look like a trailer, for which one flipped bit is enough. Damage
// there would silently lose what was acknowledged. So before Pebble opens a log, and cuts it,
// the log is read here to its last byte.
//
// A log consists of 32 KiB blocks of chunks. No chunk crosses a block. A record is one full
// chunk, or a first chunk, middle chunks and a last chunk:
//
//	4 bytes checksum of what follows the length, 2 bytes length, 1 byte type, 4 bytes number of the log,
//	8 bytes offset up to which the log was on the disk when the chunk was made, payload; all little-endian
//
// A log that was closed ends with a trailer: checksum and length 0, type 5, and the number of
// the log plus one.
const (
	logBlockBytes = 32 << 10
	chunkHead     = 19
	chunkFull     = 9
	chunkFirst    = 10
	chunkLast     = 12

	trailerKind = 5 // a full chunk in the previous format, which has no offset
)

// tornLog is what reading a log found.
type tornLog struct {
	name       string
	stopsAt    int64  // offset at which Pebble stops reading
	torn       int64  // at least so many bytes behind it were written to this log; 0: it ends there
	evidence   string // why the log must have been whole beyond this offset once; empty: nothing says so
	spoiltHead bool   // only the head of the chunk there is wrong, which is not the effect of a crash

	// block is the highest block number that was on the disk according to blocks behind stopsAt.
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
	number     uint32
	log        tornLog
	stopped    bool
	head       []byte // the beginning of the current record, up to recordHead bytes
	incomplete bool   // whether head lacks its beginning or something in between
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
			s.log.stopsAt = offset + int64(pos) // so far
			return                              // what is left at the end of a block is zero
		}
		c, ok := s.chunk(b[pos:])
		if !ok {
			s.stopAt(b[pos:], offset+int64(pos))
			break
		}
		pos += c.size
	}
	for pos < len(b) {
		c, ok := s.chunk(b[pos:])
		if !ok {
			s.incomplete = true
			pos++
			continue
		}
		s.noteChunkBehind(c, offset+int64(pos+c.size))
		pos += c.size
	}
}

type logChunk struct {
	size    int
	kind    byte
	synced  uint64
	payload []byte
}

// chunk reads a chunk of this log from the front of b. ok is false if there is no valid one.
func (s *logScan) chunk(b []byte) (c logChunk, ok bool) {
	if !s.mayBeChunk(b) {
		return c, false
	}
	c.size = chunkHead + int(binary.LittleEndian.Uint16(b[4:]))
	if c.size > len(b) || binary.LittleEndian.Uint32(b) != chunkSum(b[6:c.size]) {
		return c, false
	}
	c.kind, c.synced, c.payload = b[6], binary.LittleEndian.Uint64(b[11:]), b[chunkHead:c.size]
	return c, true
}

// mayBeChunk reports whether b begins with what may be the head of a chunk of this log.
func (s *logScan) mayBeChunk(b []byte) bool {
	return len(b) >= chunkHead && b[6] >= chunkFull && b[6] <= chunkLast &&
		binary.LittleEndian.Uint32(b[7:]) == s.number
}

// chunkSum is a checksum as Pebble stores it: a masked CRC-32C.
func chunkSum(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// stopAt records where Pebble stops reading, and whether what is there was written to this log.
func (s *logScan) stopAt(b []byte, offset int64) {
	s.stopped = true
	s.log.stopsAt = offset
	if s.isTrailer(b) || len(b) < chunkHead {
		return
	}
	size := min(len(b), chunkHead+int(binary.LittleEndian.Uint16(b[4:])))
	switch {
	case s.mayBeChunk(b):
		s.log.torn = int64(size)
	case s.isSpoiltHead(b[:size]):
		s.log.torn, s.log.spoiltHead = int64(size), true
	}
}

// isTrailer reports whether b begins with the trailer that Pebble writes when it closes a log.
// A trailer has no checksum, and in a recycled log older data may follow it, so that a repaired
// checksum could match by chance. No chunk of a record looks like a trailer, because none is
// empty.
func (s *logScan) isTrailer(b []byte) bool {
	const size = 11
	return len(b) >= size && binary.LittleEndian.Uint32(b) == 0 && binary.LittleEndian.Uint16(b[4:]) == 0 &&
		b[6] == trailerKind && binary.LittleEndian.Uint32(b[7:]) == s.number+1
}

// isSpoiltHead reports whether b is a chunk of this log apart from its type or its number, so
// that the checksum matches with the right one. It does not try both together. An older chunk
// in a recycled log differs in its number by at most 32 consecutive bits, which a CRC-32C
// always detects. With another type as well it might not, and chance matches would be more
// frequent.
func (s *logScan) isSpoiltHead(b []byte) bool {
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

// noteChunkBehind records a valid chunk behind the offset at which Pebble stops reading. It
// ends at end.
func (s *logScan) noteChunkBehind(c logChunk, end int64) {
	s.log.torn = end - s.log.stopsAt
	if c.synced > uint64(s.log.stopsAt) && s.log.evidence == "" {
		s.log.evidence = fmt.Sprintf(
			"byte %d of the log %s was on the disk when a later part of it was written, and is not whole any more",
			s.log.stopsAt, s.log.name)
	}
	if c.kind == chunkFull || c.kind == chunkFirst {
		s.head, s.incomplete = s.head[:0], false
	}
	s.head = append(s.head, c.payload[:min(len(c.payload), recordHead-len(s.head))]...)
	if b, ok := blockOfRecord(s.head); ok && !s.incomplete {
		s.log.block = max(s.log.block, b.synced)
	}
}

// recordHead is how much of a record contains the head of a block: the batch's head, kind and
// key, and the value's length and head.
const recordHead = 12 + 2 + blockKeyBytes + binary.MaxVarintLen32 + blockHeadMax

// blockOfRecord reads the head of a block from the beginning of a record. ok is false if the
// record is not a block.
func blockOfRecord(head []byte) (b block, ok bool) {
	const key = 12 + 2
	if len(head) < key+blockKeyBytes+1 || head[12] != 1 || head[13] != blockKeyBytes || head[key] != keyBlock {
		return b, false
	}
	r := record.Reader{B: head[key+blockKeyBytes:]}
	if size := r.Unsigned(); size < valueHead || len(r.B) < valueHead ||
		r.B[sumBytes] != valueVersion1 && r.B[sumBytes] != valueVersion2 {
		return b, false
	}
	r.B = r.B[valueHead:]
	b.before, b.synced = r.Fixed(), r.Unsigned()
	return b, r.Err == nil
}
