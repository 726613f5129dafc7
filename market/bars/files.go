package bars

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/papertape/papertape/market"
)

// A file begins with a magic and a block of names: market and code of each instrument, by which entries
// mean it. Blocks with entries follow. A block is its length and its CRC-32C, four bytes each, little-endian,
// and then its bytes. An entry has an instrument's number, 0 or, of a bar under way, 1 and the time of its
// last trade, the number of rows, and the rows, of which the first follows the zero row. A row whose key is
// not above those before it replaces them from there on.
const (
	magic       = "PTBARS1\n"
	blockHead   = 8
	blockMax    = 1 << 20 // bytes
	finished    = 0
	underWay    = 1
	privateDir  = 0o700
	privateFile = 0o600
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// periodNames begin the names of files.
var periodNames = [periods]string{minutes: "minute", days: "day"}

func fileName(p period, n int) string { return fmt.Sprintf("%s-%06d.bars", periodNames[p], n) }

// appendBlock appends a block with its head.
func appendBlock(dst, payload []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload))) //nolint:gosec // at most blockMax
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	return append(dst, payload...)
}

// namesOf returns the block of names of a universe.
func namesOf(u *market.Universe) []byte {
	var names []byte
	for n := range u.Len() {
		name := u.At(market.ID(n)).String() //nolint:gosec // an index
		names = append(binary.AppendUvarint(names, uint64(len(name))), name...)
	}
	return names
}

var errDamaged = errors.New("it is damaged")

// readNames reads a block of names. What the universe does not have is at -1.
func readNames(text []byte, known map[string]int) (ids []int, err error) {
	r := reader{rest: text}
	for len(r.rest) > 0 {
		length := r.uvarint()
		if r.bad || length > uint64(len(r.rest)) {
			return nil, errDamaged
		}
		id, ok := known[string(r.rest[:length])]
		if !ok {
			id = -1
		}
		ids, r.rest = append(ids, id), r.rest[length:]
	}
	return ids, nil
}

// entry is a row in a file.
type entry struct {
	row  row
	id   int   // -1: not in the universe
	last int64 // when it was traded last; MaxInt64: the row is finished
}

// readEntries calls see for each row of a block.
func readEntries(text []byte, ids []int, see func(*entry)) error {
	r := reader{rest: text}
	for len(r.rest) > 0 {
		number, kind := r.uvarint(), r.uvarint()
		e := entry{last: math.MaxInt64}
		if kind == underWay {
			e.last = r.varint()
		}
		count := r.uvarint()
		if r.bad || number >= uint64(len(ids)) || kind > underWay || count > uint64(len(r.rest)) {
			return errDamaged
		}
		e.id = ids[number]
		for range count {
			if e.row = r.row(&e.row); r.bad || !e.row.valid() {
				return errDamaged
			}
			if e.id >= 0 {
				see(&e)
			}
		}
	}
	return nil
}

// readBlock reads the next block into buffer. The error is io.EOF after the last.
func readBlock(in io.Reader, buffer []byte) ([]byte, error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > blockMax {
		return nil, errDamaged
	}
	buffer = slices.Grow(buffer[:0], int(length))[:length]
	if _, err := io.ReadFull(in, buffer); err != nil {
		return nil, fmt.Errorf("%w: its last block was not written whole", errDamaged)
	}
	if crc32.Checksum(buffer, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errDamaged
	}
	return buffer, nil
}

// readFile calls see for each row of a file, and returns its names, and how many bytes of it are whole.
func readFile(in io.Reader, known map[string]int, see func(*entry)) (names []byte, good int64, err error) {
	var begin [len(magic)]byte
	if _, err := io.ReadFull(in, begin[:]); err != nil || string(begin[:]) != magic {
		return nil, 0, errDamaged
	}
	names, err = readBlock(in, nil)
	if err != nil {
		return nil, 0, errDamaged
	}
	ids, err := readNames(names, known)
	if err != nil {
		return nil, 0, err
	}
	good = int64(len(magic) + blockHead + len(names))
	var block []byte
	for {
		block, err = readBlock(in, block)
		if errors.Is(err, io.EOF) {
			return names, good, nil
		}
		if err == nil {
			err = readEntries(block, ids, see)
		}
		if err != nil {
			return names, good, err
		}
		good += int64(blockHead + len(block))
	}
}

// load reads the files, and cuts off what is damaged.
func (s *Store) load() {
	w := &s.writer
	if err := w.find(); err != nil {
		s.log.Warn().Err(err).Str("dir", s.dir).
			Msg("bars cannot be kept over a restart: their directory cannot be used")
		s.dir = ""
		return
	}
	known := make(map[string]int, s.universe.Len())
	for n := range s.universe.Len() {
		known[s.universe.At(market.ID(n)).String()] = n //nolint:gosec // an index
	}
	dayEnds := make([]int64, s.universe.Len()) // when the day under way was traded last; 0: there is none
	for p := range periods {
		w.parts[p].load(w, p, known, func(e *entry) {
			s.restore(e, p)
			if p == days {
				dayEnds[e.id] = e.last
			}
		})
	}
	for n := range s.instruments {
		s.settle(market.ID(n), dayEnds[n]) //nolint:gosec // an index
	}
	s.dirty = s.dirty[:0] // the files have it all
}

// restore adds a row from a file.
func (s *Store) restore(e *entry, p period) {
	n := place(market.ID(e.id), p) //nolint:gosec // an index
	if se := s.at(n); se.open && e.row.key <= se.cur.key {
		s.cut(n, e.row.key)
	}
	s.begin(n, e.row)
	if p == minutes {
		s.instruments[e.id].last = e.last
	}
	if e.last == math.MaxInt64 {
		s.at(n).written = e.row.key
	}
}

// settle makes the day under way of its minutes, unless it was written together with them. What was
// under way when it was written is written again once it is finished.
func (s *Store) settle(id market.ID, dayEnd int64) {
	in := &s.instruments[id]
	m, ok := s.lastRow(place(id, minutes))
	switch {
	case !ok:
		in.last = math.MaxInt64
	case in.last != dayEnd || in.last == math.MaxInt64:
		s.rebuild(id, s.day(id, int64(m.key)*minuteNanoseconds))
	}
	in.dirty = false
	for p := range periods {
		if se := &in.series[p]; se.open {
			se.written = min(se.written, se.cur.key-1)
		}
	}
}

// segment is a file.
type segment struct {
	number int
	bytes  int64
}

// segments are the files of a period, by number. The last one is written to.
type segments struct {
	list   []segment
	file   *os.File // nil: the next write begins another
	newest int      // the greatest number that was used
}

// find makes the directory, and lists its files.
func (w *writer) find() error {
	if err := os.MkdirAll(w.dir, privateDir); err != nil {
		return err
	}
	if err := os.Chmod(w.dir, privateDir); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	entries, err := os.ReadDir(w.dir) // sorted
	for _, e := range entries {
		for p := range periods {
			var n int
			_, err := fmt.Sscanf(e.Name(), periodNames[p]+"-%06d.bars", &n)
			if err == nil && e.Name() == fileName(p, n) {
				w.parts[p].list = append(w.parts[p].list, segment{number: n})
				w.parts[p].newest = n
			}
		}
	}
	return err
}

// load reads the files of a period. The last one is gone on with if it has the names of this universe.
func (g *segments) load(w *writer, p period, known map[string]int, see func(*entry)) {
	list := g.list
	g.list = nil
	for i, one := range list {
		path := filepath.Join(w.dir, fileName(p, one.number))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			w.log.Warn().Err(err).Str("file", path).Msg("a file of bars cannot be read, and is left out")
			continue
		}
		names, good, err := readFile(bufio.NewReaderSize(f, 1<<16), known, see)
		one.bytes = good
		if err != nil {
			w.log.Warn().Err(err).Str("file", path).Int64("bytes_whole", good).
				Msg("a file of bars is damaged: what follows the whole bytes is dropped")
			err = f.Truncate(good)
		}
		if good == 0 {
			_, _ = f.Close(), os.Remove(path) // if it stays, it is empty
			continue
		}
		g.list = append(g.list, one)
		_, seekErr := f.Seek(good, io.SeekStart)
		if i == len(list)-1 && err == nil && seekErr == nil && bytes.Equal(names, w.names) {
			g.file = f
			continue
		}
		_ = f.Close() // it was only read
	}
}
