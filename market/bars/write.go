package bars

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
)

const (
	writeEvery  = 5 * time.Second
	pieceMax    = 64        // instruments whose bars are taken at a time
	pieceBytes  = 128 << 10 // after which no further instrument is taken
	pieceRows   = 512       // of a series
	segmentsMin = 16        // that the files may be
)

// writer writes files.
type writer struct {
	dir     string
	bound   int64 // bytes of all files
	names   []byte
	log     zerolog.Logger
	parts   [periods]segments
	pending [periods][]byte // blocks that are not written yet
	failing bool
}

func newWriter(dir string, bound int64, u *market.Universe, log zerolog.Logger) writer {
	return writer{dir: dir, bound: bound, names: namesOf(u), log: log}
}

// Run writes bars that are finished to the directory every few seconds until ctx ends, and then those
// under way too. Nothing may be observed any more when ctx ends. It is called once.
func (s *Store) Run(ctx context.Context) {
	if s.dir == "" {
		<-ctx.Done()
		return
	}
	defer s.writer.close()
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.writeFinished()
			s.writeUnderWay()
			return
		case <-ticker.C:
			s.writeFinished()
		}
	}
}

// writeFinished writes what is finished, unless the disk does not take it.
func (s *Store) writeFinished() {
	for s.writer.flush() {
		if !s.takeFinished() {
			return
		}
	}
}

// takeFinished takes a piece of what is finished. It returns false if there is nothing.
func (s *Store) takeFinished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken int
	for taken < pieceMax && len(s.dirty) > 0 && s.writer.waiting() < pieceBytes {
		id := s.dirty[len(s.dirty)-1]
		s.dirty = s.dirty[:len(s.dirty)-1]
		s.instruments[id].dirty = false
		for p := range periods {
			s.takeRows(id, p)
		}
		taken++
	}
	return taken > 0
}

// takeRows takes those finished rows of a series that no file has. If there are too many for now, the
// instrument is noted again.
func (s *Store) takeRows(id market.ID, p period) {
	n := place(id, p)
	se := s.at(n)
	var before row
	var count uint64
	var rows []byte
	s.each(n, s.from(n, se.written+1), func(r *row) bool {
		switch {
		case r == &se.cur || r.key <= se.written:
			return true
		case count == pieceRows:
			s.note(n)
			return false
		}
		rows = appendRow(rows, &before, r)
		before, count = *r, count+1
		return true
	})
	if count > 0 {
		s.writer.add(id, p, finished, 0, count, rows)
		se.written = before.key
	}
}

// writeUnderWay writes the bars under way of what was traded since the start.
func (s *Store) writeUnderWay() {
	for n := range s.instruments {
		if !s.writer.flushAbove(pieceBytes) {
			return
		}
		s.mu.RLock()
		if in := &s.instruments[n]; !in.loaded {
			for p := range periods {
				id := market.ID(n) //nolint:gosec // an index
				s.writer.add(id, p, underWay, in.last, 1, appendRow(nil, new(row), &in.series[p].cur))
			}
		}
		s.mu.RUnlock()
	}
	s.writer.flush()
}

// note notes that an instrument has finished bars. mu must be held.
func (s *Store) note(n int32) {
	id := n / int32(periods)
	if in := &s.instruments[id]; !in.dirty && s.dir != "" {
		in.dirty = true
		s.dirty = append(s.dirty, market.ID(id)) //nolint:gosec // an index
	}
}

// add adds an entry to what is to be written.
func (w *writer) add(id market.ID, p period, kind uint64, last int64, count uint64, rows []byte) {
	b := binary.AppendUvarint(w.pending[p], uint64(id))
	if b = binary.AppendUvarint(b, kind); kind == underWay {
		b = binary.AppendVarint(b, last)
	}
	w.pending[p] = append(binary.AppendUvarint(b, count), rows...)
}

func (w *writer) waiting() (bytes int) {
	for p := range periods {
		bytes = max(bytes, len(w.pending[p]))
	}
	return bytes
}

func (w *writer) flushAbove(bytes int) bool { return w.waiting() < bytes || w.flush() }

// flush writes what is pending. It returns false if the disk does not take it; then it stays pending.
func (w *writer) flush() bool {
	for p := range periods {
		if len(w.pending[p]) == 0 {
			continue
		}
		if err := w.write(p, appendBlock(nil, w.pending[p])); err != nil {
			if !w.failing {
				w.log.Warn().Err(err).Msg("bars cannot be written; it is tried again, and nothing else is affected")
			}
			w.failing = true
			return false
		}
		w.pending[p] = w.pending[p][:0]
	}
	w.failing = false
	return true
}

// write appends a block to the newest file of a period, or begins another. A file is never longer than
// it was before a write that failed.
func (w *writer) write(p period, block []byte) error {
	g := &w.parts[p]
	if g.file == nil || g.list[len(g.list)-1].bytes+int64(len(block)) > w.bound/segmentsMin {
		if err := w.next(p); err != nil {
			return err
		}
	}
	last := &g.list[len(g.list)-1]
	if _, err := g.file.Write(block); err != nil {
		err = errors.Join(err, g.file.Truncate(last.bytes), g.file.Close())
		g.file = nil
		return err
	}
	last.bytes += int64(len(block))
	w.prune()
	return nil
}

// next begins another file of a period.
func (w *writer) next(p period) error {
	g := &w.parts[p]
	if g.file != nil {
		_ = g.file.Close() // what was lost by it is found when it is read
		g.file = nil
	}
	g.newest++
	path := filepath.Join(w.dir, fileName(p, g.newest))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateFile)
	if err != nil {
		return err
	}
	begin := appendBlock([]byte(magic), w.names)
	if _, err := f.Write(begin); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	g.file, g.list = f, append(g.list, segment{g.newest, int64(len(begin))})
	return nil
}

// prune removes the oldest files while all together are too large: those of minutes before those of days,
// and none that is written to.
func (w *writer) prune() {
	for p := minutes; p < periods && w.bytes() > w.bound; {
		g := &w.parts[p]
		if len(g.list) < 2 {
			p++
			continue
		}
		err := os.Remove(filepath.Join(w.dir, fileName(p, g.list[0].number)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log.Warn().Err(err).Msg("an old file of bars cannot be removed; it is tried again after the next start")
		}
		g.list = g.list[1:]
	}
}

func (w *writer) bytes() (all int64) {
	for p := range w.parts {
		for _, one := range w.parts[p].list {
			all += one.bytes
		}
	}
	return all
}

func (w *writer) close() {
	for p := range w.parts {
		if f := w.parts[p].file; f != nil {
			_ = f.Close() // what was lost by it is found when it is read
		}
	}
}
