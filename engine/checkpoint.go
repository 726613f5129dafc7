package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// AccountState is the state of an account as a checkpoint stores it, and as Load takes it.
type AccountState struct {
	Account uint64
	Seq     uint64
	Cash    positions.Cash
	Rows    []positions.Row // all its rows, by instrument

	// Runs are the records of the events since the account's last checkpoint, without a gap and
	// ending at Seq. Each run is whole records. Empty in a state that is loaded.
	Runs  [][]byte
	Count uint64 // of the records

	// IDs are the order ids remembered since the last checkpoint. In a state that is loaded they
	// are all the remembered ids, oldest first.
	IDs []OrderIDRecord
	// Forgotten are the order ids that an earlier checkpoint stored and that are no longer
	// remembered. After a checkpoint that was abandoned, some of them may never have been stored.
	Forgotten []OrderIDRecord
}

// OrderIDRecord is what is remembered of an executed order with a client order id: a hash of the
// id, a hash of the content of the order, and the sequence of the event.
type OrderIDRecord struct {
	ID           record.IDHash
	Content, Seq uint64
}

// sliceSize bounds the work that a drainer does for a checkpoint at the end of a step. A slice of
// this size takes about a millisecond, and is about what a store takes at a time. A slice ends as
// soon as it reaches one of the bounds.
//
// An account is never split. The last account of a slice may have up to 512 rows, and all the
// events of the shard that are not checkpointed yet, at most the shard's share of
// Config.UncheckpointedBytesMax. These events cost the drainer one pointer per chunk.
type sliceSize struct{ accounts, rows, events int }

// releaseSize bounds how much is unpinned at the end of one step.
type releaseSize struct{ accounts, chunks int }

var (
	defaultSlice   = sliceSize{accounts: 256, rows: 16 << 10, events: 4 << 10}
	defaultRelease = releaseSize{accounts: 1024, chunks: 4096}
)

// Checkpoint passes everything that has changed since the last checkpoint to store, account by
// account, and returns the mark: the number of a commit (Journal.Committed). What was stored and
// the commits after the mark are together the complete state. The caller may make the mark durable
// once everything passed to store is durable. If that succeeds, it calls Checkpointed; otherwise it
// calls Checkpoint again, which then passes the same and more. store is called outside the
// drainers, with whole accounts, and may not keep any of them. If store fails, or ctx ends, there
// is no mark.
//
// There is no common cut. At the end of a step each shard notes the number of the newest commit,
// and only then copies its accounts, in slices: one slice at the end of a step, with orders between
// them. The mark is the lowest number noted.
//
// Invariant: when an account is copied, its book and its tail have every event of the shard's
// commits up to the number noted. This holds at the end of a step, since the shard then has no
// commit under way and has published all of its own. It would not hold between commit and
// publication: Committed may already count the commit of the step while its events are not in the
// tail. The copy would miss them, and the commit, which alone has them, would be dropped with all
// those up to the mark. Nor would it hold if the number were noted after copying, since it would
// count commits made meanwhile. Copies that are newer than the mark do no harm: events are
// absolute, and recovery skips those that the account already has.
func (e *Engine) Checkpoint(ctx context.Context, store func([]AccountState) error) (mark uint64, err error) {
	e.checkpoints.Lock()
	defer e.checkpoints.Unlock()
	e.checkpointed = false
	e.checkpointUnderway.Store(true)
	select { // this checkpoint satisfies any request for one
	case <-e.checkpointWanted:
	default:
	}
	mark = math.MaxUint64
	var sl slice
	sl.holder.Take()
	for _, s := range e.shards {
		sl.begin = true
		for more := true; more; more = sl.more {
			if err := e.serve(ctx, s, (*shard).copySlice, &sl); err != nil {
				return 0, e.giveUp(err)
			}
			if sl.begin {
				mark = min(mark, sl.noted)
			}
			sl.begin = false
			if len(sl.accounts) == 0 {
				continue
			}
			if err := store(sl.states()); err != nil {
				return 0, e.giveUp(err)
			}
		}
	}
	e.checkpointed = true
	return mark, nil
}

// giveUp ends a checkpoint that failed. The shards notice when the next one begins.
func (e *Engine) giveUp(err error) error {
	e.checkpointUnderway.Store(false)
	return fmt.Errorf("engine: checkpoint: %w", err)
}

// Checkpointed says that everything the last Checkpoint passed on, and its mark, are durable: from
// now on the journal's Read returns those events, and memory may drop them. It returns once all
// shards have been told.
func (e *Engine) Checkpointed() {
	e.checkpoints.Lock()
	defer e.checkpoints.Unlock()
	if !e.checkpointed {
		panic("engine: Checkpointed without a Checkpoint that succeeded")
	}
	e.checkpointed = false
	var sl slice
	sl.holder.Take()
	for _, s := range e.shards {
		for more := true; more; more = sl.more {
			if e.serve(context.Background(), s, (*shard).releaseSlice, &sl) != nil {
				return // the engine has stopped: nothing will be dropped any more
			}
		}
	}
	e.checkpointUnderway.Store(false)
}

// CheckpointWanted receives a value when the events that are not checkpointed have passed half of
// their limit. The channel holds one value, which the next Checkpoint takes away.
func (e *Engine) CheckpointWanted() <-chan struct{} { return e.checkpointWanted }

// serve lets the drainer of s do part of the checkpoint with sl, and waits for it.
func (e *Engine) serve(ctx context.Context, s *shard, part func(*shard, *slice), sl *slice) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	served := make(chan struct{})
	sl.served = served
	sl.holder.Release()
	s.post(&sliceItem{slice: sl, part: part})
	select {
	case <-served:
		sl.holder.Take()
		return nil
	case <-ctx.Done():
		return ctx.Err() // sl still belongs to the drainer, so the caller may not use it again
	case <-e.stopping:
		return ErrStopped
	}
}

// sliceItem is part of a checkpoint for a drainer. It runs at the end of the step, when everything
// has been published: see Engine.Checkpoint.
type sliceItem struct {
	slice *slice
	part  func(*shard, *slice) // copySlice or releaseSlice
}

func (*sliceItem) decide(*shard, *action) {}

func (i *sliceItem) publish(s *shard, _ *action) { s.step.slices = append(s.step.slices, i) }

// end does the part of the checkpoint, and lets the checkpoint continue.
func (i *sliceItem) end(s *shard) {
	i.slice.holder.Take()
	i.part(s, i.slice)
	i.slice.holder.Release()
	close(i.slice.served)
}

// slice carries part of a checkpoint from a drainer to the store.
//
// The goroutine of the checkpoint owns it, except while a drainer works on it.
type slice struct {
	holder owner.Goroutine

	begin  bool // requests the first slice of the shard
	served chan struct{}

	// Set by the drainer.
	more     bool
	noted    uint64 // the newest commit, set with the first slice
	accounts []copiedAccount
	rows     []positions.Row
	runs     [][]byte // records of all the accounts, as they lie in the chunks
	events   int

	scratch []AccountState // used outside the drainer
}

// copiedAccount is an account in a slice.
type copiedAccount struct {
	state AccountState // without runs
	runs  int          // end of its runs in slice.runs; they start where those of the previous account end
}

func (sl *slice) reset() {
	sl.holder.Check()
	clear(sl.runs)
	sl.accounts, sl.rows, sl.runs, sl.events = sl.accounts[:0], sl.rows[:0], sl.runs[:0], 0
}

func (sl *slice) full(size sliceSize) bool {
	return len(sl.accounts) >= size.accounts || len(sl.rows) >= size.rows || sl.events >= size.events
}

// states returns the accounts, each with its runs.
func (sl *slice) states() []AccountState {
	sl.holder.Check()
	sl.scratch = sl.scratch[:0]
	from := 0
	for _, a := range sl.accounts {
		st := a.state
		st.Runs = sl.runs[from:a.runs:a.runs]
		sl.scratch = append(sl.scratch, st)
		from = a.runs
	}
	return sl.scratch
}

// --- what a shard keeps for checkpoints; owned by the drainer

// dirty tracks the accounts of a shard that have events no checkpoint has stored.
type dirty struct {
	accounts []*account // have events newer than their last copy
	// The work of the checkpoint under way: todo[:copied] have been copied, and todo[:released] of
	// those unpinned.
	todo             []*account
	copied, released int
}

// add notes that the account has a new event.
func (d *dirty) add(a *account) {
	if !a.dirty {
		a.dirty = true
		d.accounts = append(d.accounts, a)
	}
}

// begin turns all dirty accounts into the work of a new checkpoint. The work of an earlier
// checkpoint that was abandoned is dirty again.
func (d *dirty) begin() {
	for _, a := range d.todo[:d.copied] {
		d.add(a)
	}
	d.accounts = append(d.accounts, d.todo[d.copied:]...) // their dirty flags are still set
	d.todo, d.accounts = d.accounts, d.todo[:0]
	d.copied, d.released = 0, 0
}

func (s *shard) copySlice(sl *slice) {
	if sl.begin {
		sl.noted = s.eng.cfg.Journal.Committed() // before anything is copied
		s.dirty.begin()
	}
	sl.reset()
	s.drainer.Check()
	d := &s.dirty
	for d.copied < len(d.todo) && !sl.full(s.eng.sliceSize) {
		s.copyAccount(d.todo[d.copied], sl)
		d.copied++
	}
	sl.more = d.copied < len(d.todo)
}

func (s *shard) copyAccount(a *account, sl *slice) {
	v, ok := s.book.View(a.number)
	if !ok || v.Seq() != a.tail.head {
		panic(fmt.Sprintf("account %d: the tail ends with event %d, the book is another", a.number, a.tail.head))
	}
	st := AccountState{Account: a.number, Seq: v.Seq(), Cash: v.Cash()}
	n := len(sl.rows)
	sl.rows = v.AppendRows(sl.rows)
	st.Rows = sl.rows[n:len(sl.rows):len(sl.rows)]
	sl.runs = a.tail.appendUnstored(sl.runs)
	st.Count = a.tail.head - a.tail.stored
	sl.events += int(st.Count)
	if a.ids != nil {
		st.IDs, st.Forgotten = a.ids.offer(a.tail.stored, a.copied)
	}
	a.copied, a.dirty = a.tail.head, false
	sl.accounts = append(sl.accounts, copiedAccount{state: st, runs: len(sl.runs)})
}

// releaseSlice unpins the events that were copied.
func (s *shard) releaseSlice(sl *slice) {
	s.drainer.Check()
	sl.holder.Check()
	d := &s.dirty
	size, chunks := s.eng.releaseSize, 0
	for end := min(d.copied, d.released+size.accounts); d.released < end && chunks < size.chunks; d.released++ {
		a := d.todo[d.released]
		chunks += s.memory.markStored(a, a.copied)
		if a.ids != nil {
			a.ids.cut(a.ids.offered)
		}
	}
	if sl.more = d.released < d.copied; sl.more {
		return
	}
	d.todo, d.copied, d.released = d.todo[:0], 0, 0
	if s.wantsCheckpoint() {
		s.eng.requestCheckpoint()
	}
}

// uncheckpointedFull reports whether the shard has as many events without a checkpoint as it may.
// It decides no more events until a checkpoint has stored some.
func (s *shard) uncheckpointedFull() bool {
	return s.keeps && s.memory.unstored+int64(len(s.step.records)) >= s.unstoredMax
}

// wantsCheckpoint reports whether half of that limit is reached.
func (s *shard) wantsCheckpoint() bool { return s.keeps && 2*s.memory.unstored >= s.unstoredMax }

func (e *Engine) requestCheckpoint() {
	select {
	case e.checkpointWanted <- struct{}{}:
	default:
	}
}
