package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

const (
	bustsMax    = 64   // bust requests under way, including those that wait for their turn
	foldRestMax = 1024 // events that a drainer may add to a fold: about a tenth of a millisecond of work

	foldCopyMax = 1 << 20 // bytes of records that a drainer copies for a reader at a time: as long

	// foldRoundMax is how many rounds a reader gets. After them the drainer adds all the remaining
	// events, so that even an account that trades without a pause is caught up with.
	foldRoundMax = 4
)

var errTooManyBusts = fmt.Errorf("%d busts and corrections are under way already: %w", bustsMax, ErrBusy)

// BustRefusedError says why a bust request was refused. Nothing has changed.
type BustRefusedError struct {
	Outcome positions.BustOutcome
	text    string
}

// Error returns a sentence that says what was wrong and what would be right.
func (e *BustRefusedError) Error() string { return e.text }

// Bust busts or corrects a trade, as r says, and returns the resulting event once it is durable. If
// repeated is set, the same request was made before under this id, and ev is the event that it
// caused then. A refusal is a *BustRefusedError. Other errors are ErrReadOnly, ErrBusy, ErrStopped,
// the error of ctx, and errors of reading the history. After an error nothing has changed, except
// that a request may still be carried out after ctx has ended; asking again under the same id
// tells.
//
// A reader folds the account's history outside the drainer, up to some event. The drainer adds the
// events that came since, and decides. Only one request of an account is worked on at a time; the
// next one waits in this method.
func (e *Engine) Bust(ctx context.Context, r *positions.BustRequest) (ev positions.Event, repeated bool, err error) {
	asked := *r // a copy for the drainer, which may still use it after the caller has given up
	result, err := e.takeBack(ctx, &bust{ctx: ctx, request: &asked})
	switch {
	case err != nil:
		return ev, false, err
	case result.outcome.Repeats != 0:
		ev, err = e.event(ctx, r.Account, result.outcome.Repeats)
		return ev, err == nil, err
	}
	return result.event, false, nil
}

// BustPreview is what a bust or a correction would do.
type BustPreview struct {
	Event  positions.Event    // the event that would be made
	Before positions.Holdings // the account before it, at the same prices
}

// PreviewBust decides what Bust would do, and does nothing. Its errors are those of Bust, apart from
// ErrReadOnly. A request that was carried out before, under its id, is a preview of nothing: its event
// has sequence 0.
func (e *Engine) PreviewBust(ctx context.Context, r *positions.BustRequest) (BustPreview, error) {
	asked := *r
	result, err := e.takeBack(ctx, &bust{ctx: ctx, request: &asked, preview: true})
	return BustPreview{result.event, result.before}, err
}

// takeBack has the drainer decide a request. A refusal is an error.
func (e *Engine) takeBack(ctx context.Context, b *bust) (result bustResult, err error) {
	r := b.request
	if o := r.Check(); o.Reason != positions.NoBustRefusal {
		return result, refusedBust(o, r, e.cfg.Universe)
	}
	if err := e.busts.acquire(ctx, e.stopping, r.Account); err != nil {
		return result, err
	}
	b.result, b.fold = make(chan bustResult, 1), positions.NewFold(e.cfg.Universe, r)
	e.shardOf(r.Account).post(bustItem{b})
	select {
	case result = <-b.result:
	case <-ctx.Done():
		return result, ctx.Err()
	case <-e.stopping:
		return result, ErrStopped
	}
	if result.err == nil && result.outcome.Reason != positions.NoBustRefusal {
		result.err = refusedBust(result.outcome, r, e.cfg.Universe)
	}
	return result, result.err
}

func refusedBust(o positions.BustOutcome, r *positions.BustRequest, u *market.Universe) error {
	return &BustRefusedError{Outcome: o, text: o.Sentence(r, u)}
}

// event returns one event of an account.
func (e *Engine) event(ctx context.Context, account, seq uint64) (ev positions.Event, err error) {
	page, _, err := e.History(ctx, account, seq+1, 1)
	if err != nil {
		return ev, err
	}
	if len(page) == 0 || page[0].Seq != seq {
		return ev, fmt.Errorf("event %d of account %d did this before, and is older than the history kept", seq,
			account)
	}
	return page[0], nil
}

// bust is a bust request under way. The drainer owns it, except while a reader folds.
type bust struct {
	ctx     context.Context // of the caller
	request *positions.BustRequest
	fold    *positions.Fold
	records []byte          // of the tail, copied for the reader
	before  uint64          // the sequence after the last of records
	rounds  int             // rounds of reading up to what was the newest event, so far
	damaged bool            // the history contradicts itself
	preview bool            // decide it, and do nothing
	result  chan bustResult // has a buffer of one, so the drainer never blocks
}

// bustResult is the outcome of a bust request.
type bustResult struct {
	err     error
	outcome positions.BustOutcome // if err is nil: a refusal or a repetition, if it is one
	event   positions.Event       // if it is neither
	before  positions.Holdings    // of a preview: the account before the event
}

// add folds the next event. It returns false if the event contradicts the ones before it. Then
// there is nothing more to fold, and the book refuses the request when it is asked.
func (b *bust) add(ev *positions.Event) bool {
	b.damaged = b.fold.Add(ev) != nil
	return !b.damaged
}

// bustItem starts a bust request: a reader folds the account's history.
type bustItem struct{ bust *bust }

func (bustItem) decide(*shard, *action) {}

func (i bustItem) publish(s *shard, _ *action) { s.foldHistory(i.bust) }

// foldedItem returns a request to the drainer when its history has been folded, up to the events
// that the tail held when the reader began.
type foldedItem struct {
	bust   *bust
	slot   *readSlot
	result bustResult
	behind bool // too many events came since: another round is needed
}

// decide adds the events that came since the reader took the tail, decides, and applies the event.
func (f *foldedItem) decide(s *shard, act *action) {
	if f.result.err == nil {
		f.behind = !s.foldUp(f.bust)
	}
	if f.result.err == nil && !f.behind {
		f.result = s.decideBust(f.bust, act)
	}
}

// publish sends the event, if there is one, to the account's sessions, and the result to the
// caller.
func (f *foldedItem) publish(s *shard, act *action) {
	s.eng.reads.release(f.slot)
	if f.behind {
		s.foldHistory(f.bust)
		return
	}
	if act.events.count > 0 {
		f.result.event = act.events.in(s.step.events)[0]
	}
	s.publishEvents(act.events, nil)
	s.answerBust(f.bust, f.result)
}

// answerBust sends the result to the caller, and lets the account's next request begin.
func (s *shard) answerBust(b *bust, result bustResult) {
	b.result <- result
	s.eng.busts.release(b.request.Account)
}

// foldHistory has a reader fold the committed history of the account.
func (s *shard) foldHistory(b *bust) {
	a := s.find(b.request.Account)
	if a == nil {
		s.answerBust(b, bustResult{outcome: positions.BustOutcome{Reason: positions.BustUnknownAccount}})
		return
	}
	firstInTail := a.tail.head + 1
	b.records, b.before = b.records[:0], firstInTail
	if a.tail.oldest != 0 && b.fold.Seq() < a.tail.head {
		firstInTail = max(a.tail.oldest, b.fold.Seq()+1)
		b.records, b.before = a.tail.copyFrom(b.records, firstInTail, foldCopyMax)
	}
	if b.before > a.tail.head {
		b.rounds++
	}
	s.eng.reads.enqueue(&read{fetch: func(slot *readSlot) {
		err := s.foldRead(b, slot, firstInTail)
		s.post(&foldedItem{bust: b, slot: slot, result: bustResult{err: err}})
	}})
}

// foldRead folds, on a reader, the events below firstInTail from the journal, and then those that
// the tail held.
func (s *shard) foldRead(b *bust, slot *readSlot, firstInTail uint64) error {
	for next := b.fold.Seq() + 1; s.keeps && next < firstInTail; next = b.fold.Seq() + 1 {
		if err := s.eng.abandoned(b.ctx); err != nil {
			return err
		}
		err := s.eng.read(slot, b.request.Account, next, int(min(walkEvents, firstInTail-next)))
		if err == nil && len(slot.events) == 0 {
			err = errors.New("it is not there")
		}
		if err != nil {
			s.eng.cfg.Log.Error().Err(err).Uint64("account", b.request.Account).Uint64("seq", next).
				Msg("history could not be read")
			return fmt.Errorf("account %d, event %d: history could not be read: %w", b.request.Account, next, err)
		}
		for i := range slot.events {
			if !b.add(&slot.events[i]) {
				return nil
			}
		}
	}
	var ev positions.Event
	for rest := b.records; len(rest) > 0; {
		n := record.Size(rest)
		if s.decode(rest[:n], &ev); !b.add(&ev) {
			return nil
		}
		rest = rest[n:]
	}
	return nil
}

// foldUp adds the events that came since the reader took the tail. It returns false if they are too
// many for a drainer.
func (s *shard) foldUp(b *bust) bool {
	if b.damaged {
		return true
	}
	a := s.find(b.request.Account)
	if a.tail.head >= b.before+foldRestMax && b.rounds < foldRoundMax {
		return false
	}
	return s.foldRest(b, a)
}

// decideBust decides a request whose history is folded up to the newest event, and applies the
// resulting event.
func (s *shard) decideBust(b *bust, act *action) (result bustResult) {
	s.drainer.Check()
	account := b.request.Account
	if seq, _ := s.book.Seq(account); !b.damaged && b.fold.Seq() < seq { // no events are kept, not even the newest
		result.outcome = positions.BustOutcome{Reason: positions.BustNotKept, Seq: seq + 1}
		return result
	}
	n := len(s.step.events)
	ev := s.step.nextEvent()
	outcome, ok := s.tryDecideBust(b, ev)
	result.outcome = outcome
	switch {
	case !ok:
		result.err = fmt.Errorf("account %d: a defect of the server kept it from deciding; its log says which, "+
			"and nothing has changed", account)
	case outcome.Reason != positions.NoBustRefusal || outcome.Repeats != 0:
	case b.preview:
		result.event = *ev
		result.before, _, _ = s.book.Holdings(account, s.step.prices, nil)
	case s.step.readOnly:
		result.err = ErrReadOnly
		s.stats.readOnly.Add(1)
	case s.uncheckpointedFull():
		result.err = errUncheckpointed
		s.stats.busy.Add(1)
	default:
		s.accept(act)
		return result
	}
	s.step.events = s.step.events[:n]
	return result
}

// foldRest adds the events after the folded ones: those of the tail, and those of this step. The
// tail may have dropped some of them meanwhile. If the journal has them, foldRest returns false. If
// it does not, the fold starts again with the events that are kept, and will report the gap.
func (s *shard) foldRest(b *bust, a *account) bool {
	from := b.fold.Seq() + 1
	if from <= a.tail.head && !a.tail.has(from) {
		if s.keeps {
			return false
		}
		b.fold = positions.NewFold(s.eng.cfg.Universe, b.request)
		if from = a.tail.oldest; from == 0 {
			from = a.tail.head + 1
		}
	}
	if from <= a.tail.head {
		var ev positions.Event
		r := a.tail.reader(from)
		for seq := from; seq <= a.tail.head; seq++ {
			if s.decode(r.next(), &ev); !b.add(&ev) {
				return true
			}
		}
	}
	for i := range s.step.events {
		if ev := &s.step.events[i]; ev.Account == a.number && !b.add(ev) {
			return true
		}
	}
	return true
}

// tryDecideBust recovers from a panic of the decision: the book has not been touched at that point.
func (s *shard) tryDecideBust(b *bust, ev *positions.Event) (outcome positions.BustOutcome, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.recordPanic("bust", b.request.Account, p)
		}
	}()
	return s.book.DecideBust(b.fold, s.step.prices, s.step.now, ev), true
}

// bustTurns serialises the bust requests of an account.
type bustTurns struct {
	mu      sync.Mutex
	current map[uint64]chan struct{} // by account; closed when the current request is done
	count   int                      // requests that have their turn or wait for it
}

// acquire waits for the account's turn. release gives it back.
func (t *bustTurns) acquire(ctx context.Context, stopping <-chan struct{}, account uint64) error {
	t.mu.Lock()
	if t.count == bustsMax {
		t.mu.Unlock()
		return errTooManyBusts
	}
	t.count++
	for {
		through, taken := t.current[account]
		if !taken {
			t.current[account] = make(chan struct{})
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		var err error
		select {
		case <-through:
		case <-ctx.Done():
			err = ctx.Err()
		case <-stopping:
			err = ErrStopped
		}
		t.mu.Lock()
		if err != nil {
			t.count--
			t.mu.Unlock()
			return err
		}
	}
}

func (t *bustTurns) release(account uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.current[account])
	delete(t.current, account)
	t.count--
}
