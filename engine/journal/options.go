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

// The two modes.
const (
	Sync     Mode = 1 // when the events are on the disk: nothing is lost by anything but the disk itself
	Interval Mode = 2 // when they are written: a crash, of the process too, loses what came since the last sync
)

// String is the mode as the configuration spells it.
func (m Mode) String() string {
	switch m {
	case Sync:
		return "sync"
	case Interval:
		return "interval"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Options of a journal. Mode, Universe and, for Open, Fatal must be set; the zero value of all else is its default.
type Options struct {
	Mode     Mode
	Universe *market.Universe
	FS       vfs.FS         // that of the operating system, with what is made in it for its owner alone
	Log      zerolog.Logger // nothing is logged per event

	SyncInterval       time.Duration // 100 ms; mode Interval only
	CheckpointInterval time.Duration // 5 s
	CheckpointEvents   uint64        // 1,000,000: a checkpoint comes after so many at the latest

	// Beside names files in the directory that are not the journal's own and belong to it: backups have them.
	Beside []string

	// LowWaterBytes (256 MiB) is how much of the disk must be free: with less the journal is read-only, and makes no
	// checkpoints.
	LowWaterBytes uint64
	// FreeBytes says how much is free; nil asks the file system.
	FreeBytes func() (uint64, error)

	// Fatal is called when a write or a sync has failed, perhaps before Open has returned. It ends the process and must not return:
	// nobody may be answered.
	Fatal func(error)

	tune          func(*pebble.Options) // tests make everything small, so that all of it happens
	watchInterval time.Duration         // and soon
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
		o.FS = privateDisk{vfs.Default}
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
