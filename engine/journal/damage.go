package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/record"
)

// DamageError says that what is on the disk is not what was written there. Where names the
// place for people.
type DamageError struct {
	Dir   string
	Where string
	Err   error
}

func (e *DamageError) Error() string {
	why, _, _ := strings.Cut(fmt.Sprint(e.Err), "\n") // Pebble's further lines are for its developers
	return fmt.Sprintf("the journal in %s is damaged: %s: %s; restore a backup", e.Dir, e.Where, why)
}

func (e *DamageError) Unwrap() error { return e.Err }

// damage makes a DamageError that names the place. An error of the operating system is not damage,
// and stays what it is. Nor is it damage if the universe lacks an instrument, or if a newer program
// has written what this one does not know.
func (s *store) damage(where string, err error) error {
	var already *DamageError
	var unlisted record.UnlistedError
	var newer *record.NewerError
	switch {
	case errors.As(err, &already):
		return err
	case errors.As(err, &unlisted), errors.As(err, &newer):
		return fmt.Errorf("the journal in %s: %s: %w", s.dir, where, err)
	case isFault(err):
		return fmt.Errorf("the journal in %s cannot be read: %s: %w", s.dir, where, err)
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		err = &fileError{info.Path, err}
	}
	return &DamageError{s.dir, where, err}
}

// fileError is damage in one of Pebble's files.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string {
	text, _, _ := strings.Cut(e.err.Error(), "\n") // the further lines are details for programs
	return e.path + ": " + text
}

func (e *fileError) Unwrap() error { return e.err }

// contain turns a panic over damaged bytes into an error. It is deferred.
func (s *store) contain(where string, err *error) {
	if p := recover(); p != nil {
		*err = s.damage(where, fmt.Errorf("%v", p))
	}
}

// panicError returns what a panic was over as an error.
func panicError(p any) error {
	if err, ok := p.(error); ok {
		return err
	}
	return fmt.Errorf("%v", p)
}

// damageUnlessCanceled names the place of an error, unless it only says that a context ended.
func (s *store) damageUnlessCanceled(where string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.damage(where, err)
}
