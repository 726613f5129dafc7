package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// store is an open Pebble and what belongs to it. The lock on the directory is held as long as the store is open, and until
// unlock where the files beside Pebble's are still to be written.
type store struct {
	disk vfs.FS
	dir  string
	db   *pebble.DB
	lock *pebble.Lock
	l    *listings
}

// lockDir takes the lock that Pebble has against a second process; on a readDisk it is one that readers share.
func lockDir(disk vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, disk)
	switch {
	case err == nil:
		return lock, nil
	case isTaken(err):
		return nil, fmt.Errorf("the journal in %s is in use: another papertape has it open, or is reading it; stop that one, or use another directory (%w)",
			dir, err)
	}
	return nil, fmt.Errorf("the journal in %s cannot be locked: %w", dir, err)
}

// isTaken says that somebody else has a lock, and not that its file cannot be opened.
func isTaken(err error) bool {
	var file *fs.PathError
	return !errors.As(err, &file) && (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES))
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
