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
	memTablesMax   = 4 // then writes wait for a flush
	cacheBytes     = 64 << 20
	tableBlock     = 32 << 10 // about a run of events
	levelZeroFiles = 40       // then writes wait for a compaction
)

// openPebble opens the database for writing, or for reading alone. Whatever Pebble makes of damaged bytes, panics included,
// is an error.
func openPebble(disk vfs.FS, dir string, lock *pebble.Lock, readOnly bool, o *Options, events *pebbleEvents) (
	db *pebble.DB, err error,
) {
	defer func() {
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			db, err = nil, openError(dir, cause)
		}
	}()
	peek, err := pebble.Peek(dir, disk)
	if err != nil {
		return nil, openError(dir, err)
	}
	opts := pebbleOptions(guard(disk, dir, events), lock, readOnly, events)
	if o.tune != nil {
		o.tune(opts)
	}
	db, err = pebble.Open(dir, opts)
	if err == nil && !readOnly && peek.FormatMajorVersion < pebble.FormatNewest {
		// The log was begun before the format was raised, and is of the old one, which cannot tell a torn end from damage.
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

// openError turns what Pebble says about a database that it cannot open into something to act on.
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

// isFault says that the operating system has refused something, so that it is no damage.
func isFault(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != syscall.ENOENT
}

// pebbleEvents is where Pebble reports to.
type pebbleEvents struct {
	log        zerolog.Logger
	fail       func(error) // ends the process
	background func(error)

	// again is called where a write has failed, and may try once more; nil: nothing is tried twice.
	again func(ofLog bool, err error, try func() error) error
}

// quietEvents is for a Pebble that only reads: what goes wrong is in the errors of reading.
func quietEvents() *pebbleEvents {
	return &pebbleEvents{log: zerolog.Nop(), fail: func(err error) { panic(err) }, background: func(error) {}}
}

// Infof is part of pebble.Logger.
func (e *pebbleEvents) Infof(format string, args ...any) { e.log.Debug().Msgf(format, args...) }

// Errorf is part of pebble.Logger.
func (e *pebbleEvents) Errorf(format string, args ...any) { e.log.Warn().Msgf(format, args...) }

// Fatalf is where a write or a sync that failed ends. Pebble relies on it not to return.
func (e *pebbleEvents) Fatalf(format string, args ...any) { e.fail(fmt.Errorf(format, args...)) }

// corruption is reported to whoever reads as well.
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
