package journal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watchInterval is how often the free space is checked, and how often a write that waits for
// room is tried again.
const watchInterval = time.Second

// startBytes is more than a start writes, apart from the events that it has to flush.
const startBytes = 1 << 20

// ErrNoRoom says that the disk has too little room for a checkpoint. Nothing is lost: the next
// checkpoint covers this one too.
var ErrNoRoom = errors.New("the disk has too little room for a checkpoint: it is put off until there is room")

// isNoRoom reports whether an error says that a file system, or a quota, is full.
func isNoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// watchDisk keeps ReadOnly up to date until the journal is closed.
func (j *Journal) watchDisk() {
	defer j.workers.Done()
	tick := time.NewTicker(j.o.watchInterval)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-tick.C:
			failing = j.checkDisk(failing)
		case <-j.stop:
			return
		}
	}
}

// checkDisk looks once at how much is free. If the file system does not say, the state stays as
// it was. failing says that this has been logged already; the result is the next call's
// failing.
func (j *Journal) checkDisk(failing bool) bool {
	free, err := j.freeBytes()
	if err != nil {
		if !failing && !errors.Is(err, vfs.ErrUnsupported) {
			j.o.Log.Warn().Err(err).Str("dir", j.dir).Msg("the file system does not say how much is free")
		}
		return true
	}
	j.noteFree(free)
	return false
}

// noteFree records how many bytes are free, and returns whether that is too little.
func (j *Journal) noteFree(free uint64) (low bool) {
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

// FreeBytes returns how much of the disk is free, as far as the file system says.
func (j *Journal) FreeBytes() (uint64, error) { return j.freeBytes() }

func (j *Journal) freeBytes() (uint64, error) {
	if j.o.FreeBytes != nil {
		return j.o.FreeBytes()
	}
	usage, err := j.disk.GetDiskUsage(j.dir)
	return usage.AvailBytes, err
}

// hasRoom reports whether there is room now for work that can be put off.
func (j *Journal) hasRoom() bool {
	free, err := j.freeBytes()
	return j.waiting.Load() == 0 && (err != nil || !j.noteFree(free))
}

// roomToStart refuses a start that would fail half way for lack of room, and would fill up the
// disk by that.
func (j *Journal) roomToStart(found *inspection) error {
	free, err := j.freeBytes()
	if need := startBytes + found.unflushed; err == nil && free < need {
		return fmt.Errorf("the journal in %s cannot be started, as its disk has no room: "+
			"%d bytes are free, and %d are needed; nothing was changed: make room, and start again (%w)",
			j.dir, free, need, syscall.ENOSPC)
	}
	return nil
}

// retryWhileFull is called with the error of a failed write. While the disk is full it repeats
// try, and it returns the last error. No orders are taken meanwhile. It does not wait before
// the journal serves, nor after the end of the run has come, nor for a commit that somebody
// waits for (ofLog says that the write is to Pebble's log).
func (j *Journal) retryWhileFull(ofLog bool, err error, try func() error) error {
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
		case <-j.ending:
		}
		err = try()
	}
	return err
}

func (j *Journal) mayWait(ofLog bool) bool {
	select {
	case <-j.ending:
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

// stopWaitingForRoom ends all waiting for room: the run is about to end.
func (j *Journal) stopWaitingForRoom() {
	j.endOnce.Do(func() { close(j.ending) })
}
