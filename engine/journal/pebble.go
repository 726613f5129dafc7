package journal

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// What Pebble may use.
const (
	openFilesMax   = 256
	memTableBytes  = 32 << 20
	memTablesMax   = 4 // beyond, writes wait for a flush
	cacheBytes     = 64 << 20
	tableBlock     = 32 << 10 // bytes; about the size of a run of events
	levelZeroFiles = 40       // beyond, writes wait for a compaction
)

// openPebble opens the database, for writing or for reading only. Whatever Pebble does with
// damaged bytes, even a panic, becomes an error.
func openPebble(disk vfs.FS, dir string, lock *pebble.Lock, readOnly bool, o *Options, events *pebbleEvents) (
	db *pebble.DB, err error,
) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, openError(dir, panicError(p))
		}
	}()
	peek, err := pebble.Peek(dir, disk)
	if err != nil {
		return nil, openError(dir, err)
	}
	opts := pebbleOptions(newGuardedFS(disk, dir, events), lock, readOnly, events)
	if o.tune != nil {
		o.tune(opts)
	}
	db, err = pebble.Open(dir, opts)
	if err == nil && !readOnly && peek.FormatMajorVersion < pebble.FormatNewest {
		// The log was begun in the old format, which cannot tell a torn end from damage. A second open
		// begins a log in the new one.
		if err = db.Close(); err == nil {
			db, err = pebble.Open(dir, opts)
		}
	}
	if err != nil {
		return nil, openError(dir, err)
	}
	return db, nil
}

func pebbleOptions(disk vfs.FS, lock *pebble.Lock, readOnly bool, events *pebbleEvents) *pebble.Options {
	opts := &pebble.Options{
		FS: disk, Lock: lock, ReadOnly: readOnly, ErrorIfNotExists: readOnly,
		FormatMajorVersion:          pebble.FormatNewest,
		MaxOpenFiles:                openFilesMax,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTablesMax,
		CacheSize:                   cacheBytes,
		L0StopWritesThreshold:       levelZeroFiles,
		Logger:                      events,
		EventListener: &pebble.EventListener{
			BackgroundError: events.background, DataCorruption: events.corruption,
			DiskSlow: events.diskSlow, WriteStallBegin: events.stalled,
		},
	}
	opts.Experimental.FileCacheShards = 1
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = tableBlock
	}
	return opts
}

// openError explains why Pebble cannot open a database, and what to do about it.
func openError(dir string, err error) error {
	switch {
	case strings.Contains(err.Error(), "unknown format major version"):
		return fmt.Errorf("the journal in %s was written by a newer papertape: use that one (%w)", dir, err)
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("there is no journal in %s", dir)
	case isFault(err):
		return fmt.Errorf("the journal in %s cannot be opened: %w", dir, err)
	}
	return &DamageError{dir, "the database", err}
}

// isFault reports whether the operating system has refused something, which is not damage.
func isFault(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != syscall.ENOENT
}

// pebbleEvents receives what Pebble reports.
type pebbleEvents struct {
	log        zerolog.Logger
	fail       func(error) // ends the process
	background func(error)

	// waitForRoom is called when a write has failed, and repeats try while the disk is full.
	// nil: no write is repeated.
	waitForRoom func(ofLog bool, err error, try func() error) error
}

// quietEvents is for a read-only Pebble: all problems come back as errors of reading.
func quietEvents() *pebbleEvents {
	return &pebbleEvents{log: zerolog.Nop(), fail: func(err error) { panic(err) }, background: func(error) {}}
}

// Infof is part of pebble.Logger.
func (e *pebbleEvents) Infof(format string, args ...any) { e.log.Debug().Msgf(format, args...) }

// Errorf is part of pebble.Logger.
func (e *pebbleEvents) Errorf(format string, args ...any) { e.log.Warn().Msgf(format, args...) }

// Fatalf is part of pebble.Logger. Pebble calls it after a failed write or sync, and relies on
// it not to return.
func (e *pebbleEvents) Fatalf(format string, args ...any) { e.fail(fmt.Errorf(format, args...)) }

// corruption only logs: whoever reads the damaged file gets an error as well.
func (e *pebbleEvents) corruption(info pebble.DataCorruptionInfo) {
	e.log.Error().Str("file", info.Path).Err(info.Details).Msg("the journal's database is damaged")
}

func (e *pebbleEvents) diskSlow(info pebble.DiskSlowInfo) {
	e.log.Warn().Str("file", info.Path).Dur("so_far", info.Duration).
		Msg("the disk is slow: nothing is acknowledged until it has written")
}

func (e *pebbleEvents) stalled(info pebble.WriteStallBeginInfo) {
	e.log.Warn().Str("because", info.Reason).Msg("commits wait for the database to write its tables")
}
