package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// inspection is what a look at a journal's directory found, before Pebble opens the database.
type inspection struct {
	exists bool       // whether there is a database
	clean  *cleanMark // nil: the last run did not end cleanly
	backup bool
	torn   []tornLog // logs whose end Pebble will cut off

	unflushed uint64 // about how many bytes in the logs a start has to write into tables
}

// inspect looks at the directory before Pebble opens it, which would cut torn logs.
func (s *store) inspect() (*inspection, error) {
	f := new(inspection)
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

// inspectLogs refuses logs that Pebble would cut although what is behind the cut was
// acknowledged.
func (s *store) inspectLogs(f *inspection) error {
	logs, err := scanLogs(s.disk, s.dir)
	if err != nil {
		return fmt.Errorf("the journal in %s cannot be read: %w", s.dir, err)
	}
	for i, l := range logs {
		if l.evidence != "" {
			return s.damage("the log "+l.name, errors.New(l.evidence))
		}
		if l.block > 0 {
			if err := s.inspectCut(l); err != nil {
				return err
			}
		}
		switch newest := i == len(logs)-1; {
		case newest && l.torn > 0:
			f.torn = append(f.torn, l)
		case !newest && l.spoiltHead: // Pebble itself reports torn ones, unless it no longer needs them
			return s.damage("the log "+l.name, fmt.Errorf("what was written at byte %d is spoilt", l.stopsAt))
		}
	}
	return nil
}

// inspectCut checks the journal as it would be after the cut. The sync offsets in Pebble's log
// lag behind its syncs; the block numbers in ours do not.
func (s *store) inspectCut(l tornLog) error {
	return s.withReadOnlyDB(func(cut *store) error {
		head, err := cut.readHead(new(inspection))
		if err == nil && head.last.number < l.block {
			err = s.damage("the log "+l.name, fmt.Errorf(
				"commit %d is not whole at byte %d, although commit %d was on the disk by then",
				head.last.number+1, l.stopsAt, l.block))
		}
		return err
	})
}

// readBeforeOpening reads a journal whose last run did not end cleanly, before it is opened for
// writing. Pebble changes a database as soon as it opens it, even another program's; and if
// there is too little room for what is in the logs, opening it would fill up the disk.
func (s *store) readBeforeOpening(f *inspection) error {
	return s.withReadOnlyDB(func(as *store) error {
		f.unflushed = as.db.Metrics().MemTable.Size
		_, err := as.readHead(f)
		return err
	})
}

// withReadOnlyDB calls f with the database opened for reading only.
func (s *store) withReadOnlyDB(f func(as *store) error) error {
	disk := readOnlyFS{s.disk}
	db, err := openPebble(disk, s.dir, s.lock, true, new(Options), quietEvents())
	if err != nil {
		return err
	}
	return errors.Join(f(&store{disk: disk, dir: s.dir, db: db, universe: s.universe}), db.Close())
}
