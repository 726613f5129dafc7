package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/positions"
)

// AccountState is an account on its way into a checkpoint, or out of one.
type AccountState struct {
	Account uint64
	Seq     uint64
	Cash    positions.Cash
	Rows    []positions.Row // all that it holds, by instrument

	// Events is the run of events since the account's last checkpoint, contiguous and ending at Seq. Not when it is loaded.
	Events []positions.Event

	// IDs are the order ids remembered since the last checkpoint; when it is loaded all of them, oldest first.
	IDs []OrderIDRecord
	// Forgotten are the order ids that an earlier checkpoint stored and that are no longer remembered. After a checkpoint that
	// was given up, there may be some among them that no checkpoint stored.
	Forgotten []OrderIDRecord
}

// OrderIDRecord is what is remembered of an executed order with a client order id: hashes of the id and of what was ordered,
// and the sequence of its event.
type OrderIDRecord struct{ ID, Content, Seq uint64 }

// sliceSize bounds what a drainer does for a checkpoint at the end of a step: it takes about a millisecond, and what it copies
// is about what a store takes at a time. A slice ends as soon as it holds one of them.
//
// An account is never split. The last of a slice may have up to 512 rows and all the events of the shard that are not
// checkpointed, at most its share of Config.UncheckpointedBytesMax. They cost the drainer a pointer for each chunk of up to 64;
// only outside of it are they put into one piece.
type sliceSize struct{ accounts, rows, events int }

// releaseSize bounds how much is unpinned at a time.
type releaseSize struct{ accounts, chunks int }

var (
	defaultSlice   = sliceSize{accounts: 256, rows: 16 << 10, events: 4 << 10}
	defaultRelease = releaseSize{accounts: 1024, chunks: 4096}
)

// Checkpoint hands everything that changed since the last one to store, account by account, and returns the number of a
// commit (Journal.Committed): what was stored, and the commits after that one, are together all there is. The mark may be made
// durable after all that store was given. If that succeeds, call Checkpointed; else call Checkpoint again, which then hands
// over the same and more. store is called outside the drainers, with whole accounts, and may keep nothing of them. After an
// error of store, or the end of ctx, there is no mark.
//
// There is no common cut. Each shard notes the number of the newest commit at the end of a step and only then copies its
// accounts, in slices, one slice at the end of a step, with orders between them. The mark is the lowest number noted.
//
// Invariant: every event of the shard in a commit up to the number noted is in an account's book and tail when the account is
// copied. At the end of a step it holds, since the shard has no commit under way and has published all of its own. Noted
// between commit and publication it would not: Committed may already count the step's own commit while its events are in no
// tail, the copy would miss them, and the commit that alone has them would be dropped with all those up to the mark. Nor if it
// were noted after the copying, which would count what was committed meanwhile. Copies newer than the mark do no harm: events
// are absolute, and recovery skips those that the account has.
func (e *Engine) Checkpoint(ctx context.Context, store func([]AccountState) error) (mark uint64, err error) {
	e.checkpoints.Lock()
	defer e.checkpoints.Unlock()
	e.checkpointed = false
	e.underway.Store(true)
	select { // whoever wanted one has this one
	case <-e.wanted:
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

// giveUp ends a checkpoint that failed. The shards find out when the next one begins.
func (e *Engine) giveUp(err error) error {
	e.underway.Store(false)
	return fmt.Errorf("engine: checkpoint: %w", err)
}

// Checkpointed says that all that the last Checkpoint handed over, and its mark, are durable: the journal's Read gives those
// events from now on, and memory may drop them. It returns when the shards know.
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
				return // stopped: nothing will be dropped any more
			}
		}
	}
	e.underway.Store(false)
}

// CheckpointWanted gives a value when the events that are not checkpointed have passed half of what they may come to. It holds
// one, and another Checkpoint takes it away.
func (e *Engine) CheckpointWanted() <-chan struct{} { return e.wanted }

// serve has the drainer of s do its part of the checkpoint with sl, and waits for it.
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
		return ctx.Err() // sl is the drainer's: nobody may use it again
	case <-e.stopping:
		return ErrStopped
	}
}

// sliceItem has a drainer do a part of a checkpoint. Its place is the end of the step, when all of it has been
// published: see Engine.Checkpoint.
type sliceItem struct {
	slice *slice
	part  func(*shard, *slice) // copySlice or releaseSlice
}

func (*sliceItem) decide(*shard, *action) {}

func (i *sliceItem) publish(s *shard, _ *action) { s.step.slices = append(s.step.slices, i) }

// end does it, and has the checkpoint go on.
func (i *sliceItem) end(s *shard) {
	i.slice.holder.Take()
	i.part(s, i.slice)
	i.slice.holder.Release()
	close(i.slice.served)
}

// slice is a part of a checkpoint on its way from a drainer to the store.
//
// The goroutine of the checkpoint owns it, but while a drainer serves it.
type slice struct {
	holder owner.Goroutine

	begin  bool // asks for the first of the shard
	served chan struct{}

	// Set by the drainer.
	more     bool
	noted    uint64 // of the first
	accounts []sliced
	rows     []positions.Row
	runs     [][]positions.Event // of all accounts, as they lie in the chunks
	events   int

	// Outside the drainer.
	scratch []AccountState
	joined  []positions.Event
}

// sliced is an account in a slice.
type sliced struct {
	state AccountState // without events
	runs  int          // where its runs end; they begin where those of the account before it end
}

func (sl *slice) reset() {
	sl.holder.Check()
	clear(sl.runs)
	sl.accounts, sl.rows, sl.runs, sl.events = sl.accounts[:0], sl.rows[:0], sl.runs[:0], 0
}

func (sl *slice) full(size sliceSize) bool {
	return len(sl.accounts) >= size.accounts || len(sl.rows) >= size.rows || sl.events >= size.events
}

// states are the accounts with their events in one piece each. They are copied only where they lie in several chunks.
func (sl *slice) states() []AccountState {
	sl.holder.Check()
	sl.scratch, sl.joined = sl.scratch[:0], sl.joined[:0]
	from := 0
	for _, a := range sl.accounts {
		st, runs := a.state, sl.runs[from:a.runs]
		if len(runs) == 1 {
			st.Events = runs[0]
		} else {
			n := len(sl.joined)
			for _, run := range runs {
				sl.joined = append(sl.joined, run...) // where that makes room elsewhere, those before keep theirs
			}
			st.Events = sl.joined[n:len(sl.joined):len(sl.joined)]
		}
		sl.scratch = append(sl.scratch, st)
		from = a.runs
	}
	return sl.scratch
}

// --- what a shard keeps for checkpoints; the drainer's

// dirty is which accounts of a shard have events that no checkpoint has stored.
type dirty struct {
	accounts []*account // with events since they were last copied
	// Of the checkpoint under way: todo[:copied] were copied, and of those todo[:released] unpinned.
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

// begin makes all that is dirty the work of a new checkpoint. What an earlier one that was given up had to do is dirty again.
func (d *dirty) begin() {
	for _, a := range d.todo[:d.copied] {
		d.add(a)
	}
	d.accounts = append(d.accounts, d.todo[d.copied:]...) // these are marked as dirty
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
	sl.events += int(a.tail.head - a.tail.stored)
	if a.ids != nil {
		st.IDs, st.Forgotten = a.ids.offer(a.tail.stored, a.copied)
	}
	a.copied, a.dirty = a.tail.head, false
	sl.accounts = append(sl.accounts, sliced{state: st, runs: len(sl.runs)})
}

// releaseSlice unpins what was copied.
func (s *shard) releaseSlice(sl *slice) {
	s.drainer.Check()
	sl.holder.Check()
	d := &s.dirty
	size, chunks := s.eng.releaseSize, 0
	for end := min(d.copied, d.released+size.accounts); d.released < end && chunks < size.chunks; d.released++ {
		a := d.todo[d.released]
		chunks += s.memory.store(a, a.copied)
		if a.ids != nil {
			a.ids.cut(a.ids.offered)
		}
	}
	if sl.more = d.released < d.copied; sl.more {
		return
	}
	d.todo, d.copied, d.released = d.todo[:0], 0, 0
	if s.pressed() {
		s.eng.want()
	}
}

// full says whether the shard may decide no more events before a checkpoint has taken some off its hands.
func (s *shard) full() bool {
	return s.keeps && s.memory.unstored+int64(len(s.step.events)) >= s.unstoredMax
}

// pressed says whether a checkpoint is wanted.
func (s *shard) pressed() bool { return s.keeps && 2*s.memory.unstored >= s.unstoredMax }

func (e *Engine) want() {
	select {
	case e.wanted <- struct{}{}:
	default:
	}
}
