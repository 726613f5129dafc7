package engine

import "context"

// queriesMax is how many questions of the process itself are under way; the next one waits.
const queriesMax = 64

// question is what somebody in the process, the console for one, asks of a shard through the control lane. The item
// that carries it answers it once, after the commit of its step.
type question[A any] struct {
	answers chan answered[A] // holds one, so the drainer never waits
	slots   chan struct{}    // the question holds a slot until it is answered, also if nobody waits any more
}

// answered is an answer, or why there is none.
type answered[A any] struct {
	answer A
	err    error
}

func newQuestion[A any](slots chan struct{}) question[A] {
	return question[A]{answers: make(chan answered[A], 1), slots: slots}
}

// answer has whoever asked go on.
func (q question[A]) answer(a A, err error) {
	q.answers <- answered[A]{a, err}
	<-q.slots
}

// ask puts a question to the shard of an account, by the item that about makes of it, and waits for the answer. At most
// queriesMax questions are under way; the next one waits.
func ask[A any](ctx context.Context, e *Engine, account uint64, about func(question[A]) item) (A, error) {
	var none A
	select {
	case e.queries <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.stopping:
		return none, ErrStopped
	}
	q := newQuestion[A](e.queries)
	e.shardOf(account).post(about(q))
	select {
	case r := <-q.answers:
		return r.answer, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.stopping:
		return none, ErrStopped
	}
}
