package engine

import (
	"context"
	"sync"

	"github.com/papertape/papertape/positions"
)

// surveySlice is how many accounts a drainer looks at before it serves others: some 100 microseconds.
const surveySlice = 256

// survey has visit look at every account, each shard's by one goroutine of its own after the other: a
// slice of accounts at a time on the drainer, with orders between the slices. So the accounts are of
// no one moment, and one that is opened meanwhile may be missing. The visitor of a shard runs on that
// shard's drainer; when survey has returned without an error, nobody uses the visitors any more.
func (e *Engine) survey(ctx context.Context, visitor func(shard int) func(*shard, positions.View)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(e.shards))
	var asking sync.WaitGroup
	for i := range e.shards {
		visit := visitor(i)
		asking.Go(func() { // ends with ctx at the latest
			if errs[i] = e.surveyShard(ctx, i, visit); errs[i] != nil {
				cancel()
			}
		})
	}
	asking.Wait()
	return firstCause(errs)
}

// firstCause returns the first error that is not only that another shard failed.
func firstCause(errs []error) (first error) {
	for _, err := range errs {
		if err != nil && (first == nil || first == context.Canceled) { //nolint:errorlint // as ask returns it
			first = err
		}
	}
	return first
}

func (e *Engine) surveyShard(ctx context.Context, shard int, visit func(*shard, positions.View)) error {
	for next, more := 0, true; more; next += surveySlice {
		var err error
		// Account number i belongs to shard i, whether or not the account exists.
		more, err = ask(ctx, e, uint64(shard), func(q question[bool]) item { //nolint:gosec // an index
			return &surveyItem{question: q, from: next, visit: visit}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// surveyItem looks at a slice of a shard's accounts. Its answer is whether there are more.
type surveyItem struct {
	question[bool]
	from  int
	visit func(*shard, positions.View)
	more  bool
}

func (i *surveyItem) decide(s *shard, _ *action) {
	s.drainer.Check()
	to := min(i.from+surveySlice, s.book.Len())
	for at := i.from; at < to; at++ {
		i.visit(s, s.book.At(at))
	}
	i.more = to < s.book.Len()
}

func (i *surveyItem) publish(*shard, *action) { i.answer(i.more, nil) }
