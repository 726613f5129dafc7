package engine

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/papertape/papertape/positions"
)

// Journal makes events durable, and reads back the events that a shard's memory tail no longer
// holds.
//
// Its methods are called concurrently by any number of shards. The sequences of an account reach
// Commit in order and without a gap.
type Journal interface {
	// Epoch identifies the history that the sequences belong to. It is never 0 and does not change
	// while the journal is open.
	Epoch() uint64

	// Keeps reports whether Read returns every event that a checkpoint has stored
	// (Engine.Checkpoint). If not, the memory tail is all the history there is.
	Keeps() bool

	// Commit returns once events are as durable as the journal makes them: either all of them or
	// none. records are the records of count events, one behind the other. It does not keep the
	// slice. After an error nothing may be answered any more, so the engine ends the process.
	Commit(records []byte, count int) error

	// Committed returns the number of the newest commit that has returned. Commits are numbered 1,
	// 2, 3, … without a gap. A journal that keeps nothing returns 0.
	Committed() uint64

	// Read appends up to limit events of account to dst, with sequences from, from+1, …. It appends
	// fewer if it reaches the end of what checkpoints have stored. It is called outside the
	// drainers.
	Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error)
}

// MemoryJournal is the journal of `durability: none`. Nothing is kept except the shards' memory
// tails, so every start is a new history with a new epoch.
type MemoryJournal struct {
	epoch uint64
}

// NewMemoryJournal returns a journal with a new random epoch.
func NewMemoryJournal() *MemoryJournal {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &MemoryJournal{epoch: binary.BigEndian.Uint64(b[:]) | 1}
}

// Epoch returns the epoch chosen when the journal was made.
func (j *MemoryJournal) Epoch() uint64 { return j.epoch }

// Keeps returns false: events that the memory tails drop are gone.
func (j *MemoryJournal) Keeps() bool { return false }

// Commit does nothing.
func (j *MemoryJournal) Commit([]byte, int) error { return nil }

// Committed returns 0, since no commit is kept.
func (j *MemoryJournal) Committed() uint64 { return 0 }

// Read returns no events.
func (j *MemoryJournal) Read(dst []positions.Event, _, _ uint64, _ int) ([]positions.Event, error) {
	return dst, nil
}
