package simulator

import (
	"container/heap"
	"context"

	"github.com/papertape/papertape/engine"
)

// TapeExchange is what a script acts on that is played in the time of a tape: it waits where others are
// refused. An engine is one, beside a feed.
type TapeExchange interface {
	Exchange
	Deliver(ctx context.Context, account uint64, requests []engine.Request) error
	AwaitRoom(ctx context.Context, account uint64) error
	Settle(ctx context.Context) error
}

// TapeScript plays a script in the time of a tape: its steps in the order of their times, and those of one
// time in the order in which they are written. It takes the place of Runner.Run. One goroutine owns it.
type TapeScript struct {
	r       *Runner
	x       TapeExchange
	due     dueSteps
	waiting []int // steps that wait for a login
}

// OnTape returns the script on a tape that begins at start, in nanoseconds since the Unix epoch. End must be
// called in the end.
func (r *Runner) OnTape(x TapeExchange, start int64) *TapeScript {
	t := &TapeScript{r: r, x: x}
	for i := range r.script.steps {
		if r.script.steps[i].On == "" {
			t.begin(i, start)
		} else {
			t.waiting = append(t.waiting, i)
		}
	}
	r.running.Store(true)
	return t
}

// End says that no more of the script will be played.
func (t *TapeScript) End() { t.r.running.Store(false) }

// begin schedules the step with the given index, whose times count from now.
func (t *TapeScript) begin(index int, now int64) {
	s := &t.r.script.steps[index]
	heap.Push(&t.due, dueStep{at: now + int64(s.wait), index: index, left: s.Times})
}

// Next returns when the next step is due, if one is.
func (t *TapeScript) Next() (at int64, ok bool) {
	if len(t.due) == 0 {
		return 0, false
	}
	return t.due[0].at, true
}

// Play plays the steps that are due at now.
func (t *TapeScript) Play(ctx context.Context, now int64) error {
	t.noteLogins(now)
	for len(t.due) > 0 && t.due[0].at <= now {
		next := &t.due[0]
		s := &t.r.script.steps[next.index]
		if err := t.play(ctx, s); err != nil {
			return err
		}
		if next.left--; next.left == 0 {
			heap.Pop(&t.due)
			t.r.ended.Add(1)
			continue
		}
		next.at += int64(s.every)
		heap.Fix(&t.due, 0)
	}
	return nil
}

// noteLogins begins the steps whose login has come.
func (t *TapeScript) noteLogins(now int64) {
	waiting := t.waiting[:0]
	for _, i := range t.waiting {
		s := &t.r.script.steps[i]
		select {
		case <-t.r.logins[s.Account].nth[int64(s.LoginNth)]:
			t.begin(i, now)
		default:
			waiting = append(waiting, i)
		}
	}
	t.waiting = waiting
}

// play plays a step once. What it does to an account comes after all that was done to it before.
func (t *TapeScript) play(ctx context.Context, s *step) error {
	if s.quote != nil {
		if err := t.x.Settle(ctx); err != nil { // what was asked before is decided at the quotes before
			return err
		}
		t.r.setQuote(t.x, s)
		return nil
	}
	if s.bust == nil {
		return t.x.Deliver(ctx, s.Account, []engine.Request{t.r.fill(s)})
	}
	if err := t.x.Settle(ctx); err != nil { // a bust would overtake the fills before it
		return err
	}
	if err := t.x.AwaitRoom(ctx, s.Account); err != nil {
		return err
	}
	t.r.takeBack(ctx, t.x, s)
	return ctx.Err()
}

// dueStep is a step that has begun.
type dueStep struct {
	at    int64 // when it is due next
	index int   // in the script
	left  int   // how often it is still to be played
}

// dueSteps is a heap, by time and then by index.
type dueSteps []dueStep

func (d dueSteps) Len() int { return len(d) }

func (d dueSteps) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].index < d[j].index
}
func (d dueSteps) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *dueSteps) Push(x any)   { *d = append(*d, x.(dueStep)) }
func (d *dueSteps) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
