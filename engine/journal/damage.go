package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// DamageError says that what is on the disk is not what was written there. Where is the place as a person names it.
type DamageError struct {
	Dir   string
	Where string
	Err   error
}

func (e *DamageError) Error() string {
	why, _, _ := strings.Cut(fmt.Sprint(e.Err), "\n") // Pebble goes on with what is of use to its authors
	return fmt.Sprintf("the journal in %s is damaged: %s: %s; restore a backup", e.Dir, e.Where, why)
}

func (e *DamageError) Unwrap() error { return e.Err }

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

// place says where something was wrong with what was read. That somebody has given up is not.
func (s *store) place(where string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.damage(where, err)
}
