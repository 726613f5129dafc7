package journal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

const (
	metaRun  = "run"
	metaMark = "mark"
)

// found is what lies in the directory beside the database, and in its logs.
type found struct {
	exists bool       // there is a database
	clean  *cleanMark // nil: the run before did not end cleanly
	backup bool
	torn   []tornLog // logs whose end is cut back

	unflushed uint64 // bytes in the logs that a start has to write into tables, about
}

// inspect looks at the directory before Pebble does, which would cut its logs.
func (s *store) inspect() (*found, error) {
	f := new(found)
	text, ok, err := readFile(s.disk, s.dir, cleanFile)
	if err != nil {
		return nil, fmt.Errorf("the journal in %s cannot be read: %w", s.dir, err)
	}
	if ok {
		clean, err := parseCleanMark(text)
		if err != nil {
			return nil, s.damage("the file "+cleanFile, err)
		}
		f.clean = &clean
	}
	if _, f.backup, err = readFile(s.disk, s.dir, backupFile); err != nil {
		return nil, fmt.Errorf("the journal in %s cannot be read: %w", s.dir, err)
	}
	peek, err := pebble.Peek(s.dir, s.disk)
	if err != nil {
		return nil, openError(s.dir, err)
	}
	if f.exists = peek.Exists; !f.exists {
		if f.clean != nil || f.backup {
			return nil, s.damage("the database", errors.New("it is gone"))
		}
		return f, nil
	}
	return f, s.inspectLogs(f)
}

// inspectLogs refuses logs that Pebble would cut back although what is behind must be there.
func (s *store) inspectLogs(f *found) error {
	logs, err := scanLogs(s.disk, s.dir)
	if err != nil {
		return fmt.Errorf("the journal in %s cannot be read: %w", s.dir, err)
	}
	for i, l := range logs {
		if l.fact != "" {
			return s.damage("the log "+l.name, errors.New(l.fact))
		}
		if l.block > 0 {
			if err := s.inspectCut(l); err != nil {
				return err
			}
		}
		switch newest := i == len(logs)-1; {
		case newest && l.torn > 0:
			f.torn = append(f.torn, l)
		case !newest && l.bent: // of those that are torn Pebble says so itself; what it has read already may be torn
			return s.damage("the log "+l.name, fmt.Errorf("what was written at byte %d is spoilt", l.stop))
		}
	}
	return nil
}

// inspectCut looks at the journal as it would be after the cut. Pebble's own marks in the log lag behind its syncs;
// ours do not.
func (s *store) inspectCut(l tornLog) error {
	return s.peek(func(cut *store) error {
		head, err := cut.readHead(new(found))
		if err == nil && head.last.number < l.block {
			err = s.damage("the log "+l.name, fmt.Errorf("commit %d is not whole at byte %d, although commit %d was on the disk by then",
				head.last.number+1, l.stop, l.block))
		}
		return err
	})
}

// survey looks at a journal that nothing says of how it ended. Pebble would change the database of another program as
// soon as it opened it; and what it has to write where there is too little room fills the disk up.
func (s *store) survey(f *found) error {
	return s.peek(func(as *store) error {
		f.unflushed = as.db.Metrics().MemTable.Size
		_, err := as.readHead(f)
		return err
	})
}

// peek opens the database and changes nothing.
func (s *store) peek(f func(as *store) error) error {
	disk := readDisk{s.disk}
	db, err := openPebble(disk, s.dir, s.lock, true, new(Options), quietEvents())
	if err != nil {
		return err
	}
	return errors.Join(f(&store{disk: disk, dir: s.dir, db: db, l: s.l}), db.Close())
}

// head is where a journal stands.
type head struct {
	record runRecord
	mark   markRecord
	last   place // the newest block
}

// readHead reads the records, finds the newest block, and holds them against what the run before left in writing.
func (s *store) readHead(f *found) (h head, err error) {
	defer s.contain("the database", &err)
	has, err := s.get(metaKey(metaRun), func(d *decoder) { d.run(&h.record) })
	if err != nil {
		return h, err
	}
	if !has {
		return h, s.mustBeEmpty(f)
	}
	if h.record.format != formatNumber {
		return h, fmt.Errorf("the journal in %s is of format %d, and this papertape knows format %d: use a newer papertape",
			s.dir, h.record.format, formatNumber)
	}
	if _, err = s.get(metaKey(metaMark), func(d *decoder) { d.mark(&h.mark) }); err != nil {
		return h, err
	}
	if h.last, err = s.lastBlock(h.mark.place); err != nil {
		return h, err
	}
	if c := f.clean; c != nil && (c.last != h.last || c.mark != h.mark.number || c.epoch != h.record.epoch) {
		return h, s.damage(fmt.Sprintf("the end, commit %d", h.last.number), fmt.Errorf(
			"the last run ended cleanly with commit %d (hash %016x) and checkpoint %d, and here are commit %d (%016x) and checkpoint %d",
			c.last.number, c.last.hash, c.mark, h.last.number, h.last.hash, h.mark.number))
	}
	return h, nil
}

// mustBeEmpty is for a database that no run has written to: it was being made when the process ended.
func (s *store) mustBeEmpty(f *found) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return s.damage("the database", err)
	}
	some := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return s.damage("the database", err)
	}
	if some || f.clean != nil || f.backup {
		return s.damage("the record of the last run", errors.New("it is missing, or the database is another program's"))
	}
	return nil
}

// lastBlock is the newest block there is, or the mark.
func (s *store) lastBlock(mark place) (last place, err error) {
	it, err := s.iterate(keyBlock)
	if err != nil {
		return last, err
	}
	last = mark
	if it.Last() {
		number, value := numberOf(it.Key(), 0), it.Value()
		if _, err := openValue(it.Key(), value); err != nil {
			return last, errors.Join(s.damage(nameKey(it.Key()), err), it.Close())
		}
		last = place{number, blockHash(number, value)}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return last, s.damage("the commits", err)
	}
	if last.number < mark.number {
		return last, s.damage(fmt.Sprintf("commit %d", last.number), fmt.Errorf("it should be gone since checkpoint %d", mark.number))
	}
	return last, nil
}

// get decodes the value of a key; ok is false where there is none.
func (s *store) get(key []byte, decode func(*decoder)) (ok bool, err error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, s.damage(nameKey(key), err)
	}
	body, err := openValue(key, value)
	if err == nil {
		d := decoder{l: s.l, b: body}
		decode(&d)
		err = d.end()
	}
	if err = errors.Join(err, closer.Close()); err != nil {
		return false, s.damage(nameKey(key), err)
	}
	return true, nil
}

// iterate is over all keys that begin with one byte.
func (s *store) iterate(what byte) (*pebble.Iterator, error) {
	return s.iterateRange([]byte{what}, []byte{what + 1})
}

func (s *store) iterateRange(from, before []byte) (*pebble.Iterator, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: before})
	if err != nil {
		return nil, s.damage("the database", err)
	}
	return it, nil
}

// damage names a place. What the operating system has refused is no damage.
func (s *store) damage(where string, err error) error {
	var already *DamageError
	var unlisted unlistedError
	switch {
	case errors.As(err, &already):
		return err
	case errors.As(err, &unlisted):
		return fmt.Errorf("the journal in %s: %s: %w", s.dir, where, err)
	case isFault(err):
		return fmt.Errorf("the journal in %s cannot be read: %s: %w", s.dir, where, err)
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		err = &fileError{info.Path, err}
	}
	return &DamageError{s.dir, where, err}
}

// fileError is damage of one of Pebble's files.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string {
	text, _, _ := strings.Cut(e.err.Error(), "\n") // behind it is what an error carries for programs
	return e.path + ": " + text
}

func (e *fileError) Unwrap() error { return e.err }

// contain turns a panic over damaged bytes into an error.
func (s *store) contain(where string, err *error) {
	if p := recover(); p != nil {
		*err = s.damage(where, fmt.Errorf("%v", p))
	}
}

func (s *store) closeDB() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return db.Close()
}

// unlock closes the database, if it is open, and lets go of the directory.
func (s *store) unlock() error {
	err := s.closeDB()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// shareDir is the lock of a reader on a journal's directory, which must be there.
func shareDir(disk readDisk, dir string) (*pebble.Lock, error) {
	if err := mayRead(disk, dir); err != nil {
		return nil, err
	}
	return lockDir(disk, dir)
}
