package journal

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watchInterval is how often the disk is looked at.
const watchInterval = time.Second

// watch keeps ReadOnly up to date until the journal is closed.
func (j *Journal) watch() {
	defer j.workers.Done()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-tick.C:
			failing = j.watchOnce(failing)
		case <-j.stop:
			return
		}
	}
}

// watchOnce looks once. Where the file system does not say, it stays as it was; failing says that this has been logged.
func (j *Journal) watchOnce(failing bool) bool {
	free, err := j.freeBytes()
	if err != nil {
		if !failing && !errors.Is(err, vfs.ErrUnsupported) {
			j.o.Log.Warn().Err(err).Str("dir", j.dir).Msg("the file system does not say how much is free")
		}
		return true
	}
	low := free < j.o.LowWaterBytes
	if low == j.readOnly.Swap(low) {
		return false
	}
	log := j.o.Log.With().Str("dir", j.dir).Uint64("free_bytes", free).Uint64("low_water_bytes", j.o.LowWaterBytes).Logger()
	if low {
		log.Error().Msg("the disk is nearly full: no orders are taken until there is room again")
	} else {
		log.Info().Msg("there is room on the disk again: orders are taken")
	}
	return false
}

func (j *Journal) freeBytes() (uint64, error) {
	if j.o.FreeBytes != nil {
		return j.o.FreeBytes()
	}
	usage, err := j.disk.GetDiskUsage(j.dir)
	return usage.AvailBytes, err
}
