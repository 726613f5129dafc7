package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const (
	bustsMax     = 64   // requests to take a trade back under way, those that wait included
	foldRestMax  = 1024 // events that a drainer adds to a fold, about a tenth of a millisecond
	foldRoundMax = 4    // after so many rounds it adds what there is: an account that trades so fast is caught up with at last
)

var errTooManyBusts = fmt.Errorf("%d busts and corrections are under way already: %w", bustsMax, ErrBusy)

// BustRefusedError says why a request to take a trade back was refused. Nothing has changed.
type BustRefusedError struct {
	Outcome positions.BustOutcome
	text    string
}

// Error says in a sentence what was wrong and what would be right.
func (e *BustRefusedError) Error() string { return e.text }

// Bust takes a trade back, or corrects it, as r says, and returns the event that did it, once that is durable. repeated: the
// same had been asked for before under this id, and ev is what was done then. A refusal is a *BustRefusedError; other errors are
// ErrReadOnly, ErrBusy, ErrStopped, that of ctx, and those of reading the history. None of them has changed anything.
//
// The account's history is read outside the drainer, up to an event; what came since is added by the drainer, which decides.
// One request of an account is worked on at a time, the next one waits here. Where ctx ends, the request may be carried out all
// the same: whoever asks again under its id is told.
func (e *Engine) Bust(ctx context.Context, r *positions.BustRequest) (ev positions.Event, repeated bool, err error) {
	if o := r.Check(); o.Reason != positions.NoBustRefusal {
		return ev, false, refusedBust(o, r, e.cfg.Universe)
	}
	if err := e.busts.take(ctx, e.stopping, r.Account); err != nil {
		return ev, false, err
	}
	asked := *r // the drainer's from here on, also when nobody waits any more
	b := &bust{ctx: ctx, request: &asked, result: make(chan bustResult, 1)}
	b.fold = positions.NewFold(e.cfg.Universe, &asked)
	e.shardOf(r.Account).post(bustItem{b})
	var result bustResult
	select {
	case result = <-b.result:
	case <-ctx.Done():
		return ev, false, ctx.Err()
	case <-e.stopping:
		return ev, false, ErrStopped
	}
	switch outcome := &result.outcome; {
	case result.err != nil:
		return ev, false, result.err
	case outcome.Reason != positions.NoBustRefusal:
		return ev, false, refusedBust(*outcome, &asked, e.cfg.Universe)
	case outcome.Repeats != 0:
		ev, err = e.event(ctx, r.Account, outcome.Repeats)
		return ev, err == nil, err
	}
	return result.event, false, nil
}

func refusedBust(o positions.BustOutcome, r *positions.BustRequest, u *market.Universe) error {
	return &BustRefusedError{Outcome: o, text: o.Sentence(r, u)}
}

// event is one event of an account.
func (e *Engine) event(ctx context.Context, account, seq uint64) (ev positions.Event, err error) {
	page, _, err := e.History(ctx, account, seq+1, 1)
	if err != nil {
		return ev, err
	}
	if len(page) == 0 || page[0].Seq != seq {
		return ev, fmt.Errorf("event %d of account %d did this before, and is older than the history kept", seq, account)
	}
	return page[0], nil
}

// bust is a request to take a trade back on its way. The drainer has it, but while a reader folds.
type bust struct {
	ctx     context.Context // of whoever waits
	request *positions.BustRequest
	fold    *positions.Fold
	runs    [][]positions.Event // what the tail has, for the reader: events in chunks are never written again
	rounds  int                 // of reading
	damaged bool                // the history contradicts itself
	result  chan bustResult     // holds one, so the drainer never waits
}

// bustResult is what became of a request to take a trade back.
type bustResult struct {
	err     error
	outcome positions.BustOutcome // where err is nil: refused, or done before
	event   positions.Event       // where it is neither
}

// add folds the next event. It returns false where that contradicts those before it: then there is nothing more to fold, and the
// book says so when it is asked.
func (b *bust) add(ev *positions.Event) bool {
	b.damaged = b.fold.Add(ev) != nil
	return !b.damaged
}

// bustItem has a reader fold the history for a request.
type bustItem struct{ bust *bust }

func (bustItem) decide(*shard, *action) {}

func (i bustItem) publish(s *shard, _ *action) { s.foldHistory(i.bust) }

// foldedItem brings a request whose history has been folded, up to what the tail held then.
type foldedItem struct {
	bust   *bust
	slot   *readSlot
	result bustResult
	behind bool // too much came since: another round
}

// decide adds what came since the reader had the tail, decides, and applies the event.
func (f *foldedItem) decide(s *shard, act *action) {
	if f.result.err == nil {
		f.behind = !s.foldUp(f.bust)
	}
	if f.result.err == nil && !f.behind {
		f.result = s.decideBust(f.bust, act)
	}
}

// publish tells the account's sessions of the event, if there is one, and whoever asked of what became of it.
func (f *foldedItem) publish(s *shard, act *action) {
	s.eng.reads.used(f.slot)
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

// answerBust has whoever waits go on, and the account's next request begin.
func (s *shard) answerBust(b *bust, result bustResult) {
	b.result <- result
	s.eng.busts.end(b.request.Account)
}

// foldHistory has a reader fold what is committed of the account's history.
func (s *shard) foldHistory(b *bust) {
	a := s.find(b.request.Account)
	if a == nil {
		s.answerBust(b, bustResult{outcome: positions.BustOutcome{Reason: positions.BustUnknownAccount}})
		return
	}
	b.rounds++
	tailed := a.tail.head + 1
	if a.tail.oldest != 0 {
		tailed = max(a.tail.oldest, b.fold.Seq()+1)
		b.runs = a.tail.appendFrom(b.runs[:0], tailed)
	}
	s.eng.reads.inTurn(&read{run: func(slot *readSlot) {
		err := s.foldRead(b, slot, tailed)
		s.post(&foldedItem{bust: b, slot: slot, result: bustResult{err: err}})
	}})
}

// foldRead folds, on a reader, the events below tailed that the journal has, and then those that the tail had.
func (s *shard) foldRead(b *bust, slot *readSlot, tailed uint64) error {
	for next := b.fold.Seq() + 1; s.keeps && next < tailed; next = b.fold.Seq() + 1 {
		if err := s.eng.given(b.ctx); err != nil {
			return err
		}
		err := s.eng.read(slot, b.request.Account, next, int(min(walkEvents, tailed-next)))
		if err == nil && len(slot.events) == 0 {
			err = errors.New("it is not there")
		}
		if err != nil {
			s.eng.cfg.Log.Error().Err(err).Uint64("account", b.request.Account).Uint64("seq", next).Msg("history could not be read")
			return fmt.Errorf("account %d, event %d: history could not be read: %w", b.request.Account, next, err)
		}
		for i := range slot.events {
			if !b.add(&slot.events[i]) {
				return nil
			}
		}
	}
	for _, run := range b.runs {
		for i := range run {
			if !b.add(&run[i]) {
				return nil
			}
		}
	}
	return nil
}

// foldUp adds what came since the reader had the tail. It returns false where that is too much for a drainer.
func (s *shard) foldUp(b *bust) bool {
	if b.damaged {
		return true
	}
	a := s.find(b.request.Account)
	if a.tail.head-b.fold.Seq() > foldRestMax && b.rounds < foldRoundMax {
		return false
	}
	return s.foldRest(b, a)
}

// decideBust decides a request whose history is folded up to the newest event, and applies the event.
func (s *shard) decideBust(b *bust, act *action) (result bustResult) {
	s.drainer.Check()
	account := b.request.Account
	if seq, _ := s.book.Seq(account); !b.damaged && b.fold.Seq() < seq { // nothing is kept, not even the newest
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
	case s.step.readOnly:
		result.err = ErrReadOnly
		s.stats.readOnly.Add(1)
	case s.full():
		result.err = errUncheckpointed
		s.stats.busy.Add(1)
	default:
		s.book.Apply(ev)
		act.events.add(n)
		return result
	}
	s.step.events = s.step.events[:n]
	return result
}

// foldRest adds the events since those that are folded: of the tail, and of this step. Where the tail has dropped some of them
// meanwhile, it returns false if the journal has them; if nothing has, the fold begins anew with what is kept, and will say so.
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
	for seq := from; seq <= a.tail.head; seq++ {
		if !b.add(a.tail.at(seq)) {
			return true
		}
	}
	for i := range s.step.events {
		if ev := &s.step.events[i]; ev.Account == a.number && !b.add(ev) {
			return true
		}
	}
	return true
}

// tryDecideBust contains a panic of the decision: the book was not touched yet.
func (s *shard) tryDecideBust(b *bust, ev *positions.Event) (outcome positions.BustOutcome, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.contained("bust", b.request.Account, p)
		}
	}()
	return s.book.DecideBust(b.fold, s.step.prices, s.step.now, ev), true
}

// turns has requests that rest on all of an account's history come one after the other, each account's.
type turns struct {
	mu    sync.Mutex
	under map[uint64]chan struct{} // by account: closed when the request that has its turn is through
	all   int                      // that have a turn or wait for one
}

// take waits for the account's turn, which end gives back.
func (t *turns) take(ctx context.Context, stopping <-chan struct{}, account uint64) error {
	t.mu.Lock()
	if t.all == bustsMax {
		t.mu.Unlock()
		return errTooManyBusts
	}
	t.all++
	for {
		through, taken := t.under[account]
		if !taken {
			t.under[account] = make(chan struct{})
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
			t.all--
			t.mu.Unlock()
			return err
		}
	}
}

func (t *turns) end(account uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.under[account])
	delete(t.under, account)
	t.all--
}
