package journal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watchInterval is how often the disk is looked at, and how often what waits for room is tried again.
const watchInterval = time.Second

// startBytes is what a start writes beside what it has to flush, and more.
const startBytes = 1 << 20

// ErrNoRoom says that the disk has no room for a checkpoint. Nothing is lost by it, and the next one does the work of
// both.
var ErrNoRoom = errors.New("the disk has too little room for a checkpoint: it is put off until there is room")

// isNoRoom says that a file system, or a quota, has no room left.
func isNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// watch keeps ReadOnly up to date until the journal is closed.
func (j *Journal) watch() {
	defer j.workers.Done()
	tick := time.NewTicker(j.o.watchInterval)
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
	j.note(free)
	return false
}

// note takes note of how much is free, and says whether that is too little.
func (j *Journal) note(free uint64) (low bool) {
	low = free < j.o.LowWaterBytes
	if low == j.low.Swap(low) {
		return low
	}
	log := j.o.Log.With().Str("dir", j.dir).
		Uint64("free_bytes", free).Uint64("low_water_bytes", j.o.LowWaterBytes).Logger()
	if low {
		log.Error().Msg("the disk is nearly full: no orders are taken until there is room again")
	} else {
		log.Info().Msg("there is room on the disk again: orders are taken")
	}
	return low
}

func (j *Journal) freeBytes() (uint64, error) {
	if j.o.FreeBytes != nil {
		return j.o.FreeBytes()
	}
	usage, err := j.disk.GetDiskUsage(j.dir)
	return usage.AvailBytes, err
}

// hasRoom says whether there is room now for what can be put off.
func (j *Journal) hasRoom() bool {
	free, err := j.freeBytes()
	return j.waiting.Load() == 0 && (err != nil || !j.note(free))
}

// roomToStart refuses a start that would fail half way, and fill the disk up by that.
func (j *Journal) roomToStart(found *found) error {
	free, err := j.freeBytes()
	if need := startBytes + found.unflushed; err == nil && free < need {
		return fmt.Errorf("the journal in %s cannot be started, as its disk has no room: %d bytes are free, and %d are needed; "+
			"nothing was changed: make room, and start again (%w)", j.dir, free, need, syscall.ENOSPC)
	}
	return nil
}

// again tries what has failed until it does not fail for lack of room, and returns how it failed in the end. No orders
// are taken meanwhile. It does not wait before there is somebody to serve, nor when the end of the run has come, nor
// with a commit.
func (j *Journal) again(ofLog bool, err error, try func() error) error {
	if !isNoRoom(err) || !j.mayWait(ofLog) {
		return err
	}
	j.startWaiting(err)
	defer j.endWaiting()
	tick := time.NewTicker(j.o.watchInterval)
	defer tick.Stop()
	for isNoRoom(err) && j.mayWait(ofLog) {
		select {
		case <-tick.C:
		case <-j.leaving:
		}
		err = try()
	}
	return err
}

func (j *Journal) mayWait(ofLog bool) bool {
	select {
	case <-j.leaving:
		return false
	default:
		return j.serving.Load() && (!ofLog || !j.committing.Load())
	}
}

func (j *Journal) startWaiting(err error) {
	if j.waiting.Add(1) == 1 {
		j.o.Log.Error().Err(err).Str("dir", j.dir).
			Msg("the disk is full: no orders are taken until there is room again")
	}
}

func (j *Journal) endWaiting() {
	if j.waiting.Add(-1) == 0 {
		j.o.Log.Info().Str("dir", j.dir).Msg("what waited for room on the disk is done with")
	}
}

// leave ends the waiting for room: the run is at its end.
func (j *Journal) leave() {
	j.left.Do(func() { close(j.leaving) })
}
