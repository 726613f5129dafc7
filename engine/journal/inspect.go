package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
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
