package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
)

// Mode says when Commit returns.
type Mode uint8

// The modes.
const (
	Sync     Mode = 1 // when the events are on the disk: only a failure of the disk itself loses anything
	Interval Mode = 2 // when they are written: a crash, even of the process alone, loses what came since the last sync
)

// String returns the mode as the configuration spells it.
func (m Mode) String() string {
	switch m {
	case Sync:
		return "sync"
	case Interval:
		return "interval"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Options of a journal. Universe and, for Open, Mode and Fatal must be set. Everything else has
// a default.
type Options struct {
	Mode     Mode
	Universe *market.Universe
	FS       vfs.FS         // by default that of the operating system, with files for their owner only
	Log      zerolog.Logger // nothing is logged per event

	SyncInterval       time.Duration // by default 100 ms; mode Interval only
	CheckpointInterval time.Duration // by default 5 s
	CheckpointEvents   uint64        // by default 1,000,000; so many events cause a checkpoint before its time

	// Beside names files in the directory that backups include although they are not the journal's own.
	Beside []string
	// BesideDirs names directories in the directory that are the server's own and may be lost. Backups leave
	// them out, and who owns them has to keep them private.
	BesideDirs []string

	// LowWaterBytes is how much of the disk must be free, by default 256 MiB. With less, the journal
	// is read-only and makes no checkpoints.
	LowWaterBytes uint64
	// FreeBytes returns how much of the disk is free. nil: the file system is asked.
	FreeBytes func() (uint64, error)

	// Fatal is called when a write or a sync has failed, perhaps before Open has returned. It must end
	// the process and not return: nobody may get an answer any more.
	Fatal func(error)

	tune          func(*pebble.Options) // for tests: they make everything small, so that everything happens
	watchInterval time.Duration         // for tests
}

const (
	defaultSyncInterval       = 100 * time.Millisecond
	defaultCheckpointInterval = 5 * time.Second
	defaultCheckpointEvents   = 1_000_000
	defaultLowWaterBytes      = 256 << 20
)

func (o *Options) setDefaults() error {
	if o.Universe == nil {
		return errors.New("journal: Options.Universe is not set")
	}
	if o.FS == nil {
		o.FS = privateFS{vfs.Default}
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = defaultSyncInterval
	}
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = defaultCheckpointInterval
	}
	if o.CheckpointEvents == 0 {
		o.CheckpointEvents = defaultCheckpointEvents
	}
	if o.LowWaterBytes == 0 {
		o.LowWaterBytes = defaultLowWaterBytes
	}
	if o.watchInterval <= 0 {
		o.watchInterval = watchInterval
	}
	return nil
}
