package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/papertape/papertape/market"
)

// store is an open Pebble and what belongs to it. The lock on the directory is held until
// unlock, which is after the database is closed: some files beside it are written last.
type store struct {
	disk vfs.FS
	dir  string
	db   *pebble.DB
	lock *pebble.Lock

	universe    *market.Universe
	reads       bool // an archive: readHead extends the universe by what the ledger has
	instruments      // of the ledger, once its head is read
}

// lockDir takes Pebble's lock against other processes. On a readOnlyFS it is one that readers
// share.
func lockDir(disk vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, disk)
	switch {
	case err == nil:
		return lock, nil
	case isLockTaken(err):
		return nil, fmt.Errorf("the journal in %s is in use: another papertape has it open, or is reading it; "+
			"stop that one, or use another directory (%w)", dir, err)
	}
	return nil, fmt.Errorf("the journal in %s cannot be locked: %w", dir, err)
}

// isLockTaken reports whether somebody else has the lock, as opposed to a lock file that cannot
// be opened.
func isLockTaken(err error) bool {
	var file *fs.PathError
	return !errors.As(err, &file) && (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES))
}

// get decodes the value of a key. ok is false if there is none.
func (s *store) get(key []byte, decode func(*decoder)) (ok bool, err error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, s.damage(nameKey(key), err)
	}
	d, err := s.decode(key, value)
	if err == nil {
		decode(&d)
		err = d.End()
	}
	if err = errors.Join(err, closer.Close()); err != nil {
		return false, s.damage(nameKey(key), err)
	}
	return true, nil
}

// iterate returns an iterator over all keys that begin with a byte.
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

func (s *store) closeDB() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return db.Close()
}

// unlock closes the database, if it is open, and releases the directory.
func (s *store) unlock() error {
	err := s.closeDB()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// shareDir takes a reader's lock on a journal's directory, which must exist.
func shareDir(disk readOnlyFS, dir string) (*pebble.Lock, error) {
	if err := checkMayRead(disk, dir); err != nil {
		return nil, err
	}
	return lockDir(disk, dir)
}
