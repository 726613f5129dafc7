package engine

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/papertape/papertape/positions"
)

// Journal makes events durable, and reads back those that a shard's memory tail no longer holds.
//
// Any number of shards call it at the same time. Sequences of one account come to Commit in order and without a hole.
type Journal interface {
	// Epoch names the history behind the sequences. It is never 0 and does not change while the journal is open.
	Epoch() uint64

	// Keeps says whether Read gives every event that a checkpoint stored (Engine.Checkpoint). If not, the memory tail is all the
	// history there is.
	Keeps() bool

	// Commit returns once events are as durable as the journal makes them: together, or none of them. It keeps nothing of the
	// slice. After an error nothing may be answered any more: the engine ends the process.
	Commit(events []positions.Event) error

	// Committed is the number of the newest commit that has returned: commits are numbered 1, 2, 3, … without a hole. Where
	// nothing is kept it is 0.
	Committed() uint64

	// Read appends to dst the events of account with sequences from, from+1, …, at most limit of them, and fewer where what
	// checkpoints have stored ends. It is called outside the drainers.
	Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error)
}

// MemoryJournal is the journal of `durability: none`: nothing is kept but the shards' memory tails, so every start is a new
// history with a new epoch.
type MemoryJournal struct {
	epoch uint64
}

// NewMemoryJournal returns a journal with an epoch of its own.
func NewMemoryJournal() *MemoryJournal {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &MemoryJournal{epoch: binary.BigEndian.Uint64(b[:]) | 1}
}

// Epoch returns the epoch taken when the journal was made.
func (j *MemoryJournal) Epoch() uint64 { return j.epoch }

// Keeps returns false: what the memory tails drop is gone.
func (j *MemoryJournal) Keeps() bool { return false }

// Commit has nothing to do.
func (j *MemoryJournal) Commit([]positions.Event) error { return nil }

// Committed returns 0: commits leave nothing behind.
func (j *MemoryJournal) Committed() uint64 { return 0 }

// Read finds nothing.
func (j *MemoryJournal) Read(dst []positions.Event, _, _ uint64, _ int) ([]positions.Event, error) {
	return dst, nil
}
