package engine

import "context"

// queriesMax is how many questions of the process itself may be pending at a time. The next one
// waits.
const queriesMax = 64

// question is a query that the process itself, for example the console, puts to a shard through the
// control lane. The item that carries it answers it exactly once, after the commit of its step.
type question[A any] struct {
	answers chan answered[A] // has a buffer of one, so the drainer never blocks
	slots   chan struct{}    // the question keeps its slot until it is answered, even if the caller has given up
}

// answered is an answer, or the error that took its place.
type answered[A any] struct {
	answer A
	err    error
}

func newQuestion[A any](slots chan struct{}) question[A] {
	return question[A]{answers: make(chan answered[A], 1), slots: slots}
}

// answer delivers the answer and frees the slot of the question.
func (q question[A]) answer(a A, err error) {
	q.answers <- answered[A]{a, err}
	<-q.slots
}

// ask sends a question to the shard of an account, carried by the item that newItem returns, and
// waits for the answer. At most queriesMax questions are pending at a time; the next one waits.
func ask[A any](ctx context.Context, e *Engine, account uint64, newItem func(question[A]) item) (A, error) {
	var none A
	select {
	case e.queries <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.stopping:
		return none, ErrStopped
	}
	q := newQuestion[A](e.queries)
	e.shardOf(account).post(newItem(q))
	select {
	case r := <-q.answers:
		return r.answer, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-e.stopping:
		return none, ErrStopped
	}
}
