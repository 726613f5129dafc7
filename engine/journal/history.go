package journal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Read appends to dst the events of account that checkpoints have stored, beginning with
// sequence from: at most limit, and fewer if there are no more. It is safe for concurrent use.
func (j *Journal) Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.state == closed {
		return dst, errClosed
	}
	return j.readHistory(dst, account, from, limit)
}

func (s *store) readHistory(dst []positions.Event, account, from uint64, limit int) (all []positions.Event, err error) {
	defer s.contain(fmt.Sprintf("the history of account %d", account), &err)
	if from == 0 || limit <= 0 {
		return dst, nil
	}
	r, err := s.history(account, from)
	if err != nil {
		return dst, err
	}
	defer func() { err = errors.Join(err, r.it.Close()) }()
	begin := len(dst)
	for len(dst)-begin < limit {
		dst = slices.Grow(dst, 1)[:len(dst)+1]
		if !r.next(&dst[len(dst)-1]) {
			return dst[:len(dst)-1], r.err
		}
	}
	return dst, nil
}

// historyReader reads the stored history of one account in sequence. The history is stored in
// runs of consecutive events.
type historyReader struct {
	s       *store
	account uint64
	it      *pebble.Iterator
	d       decoder // positioned at the next event of the run
	left    int     // events left in the run
	nextSeq uint64  // sequence of the next event to return
	runSeq  uint64  // sequence of the next event in the run
	err     error
}

// history returns a reader that begins at the event with sequence from, or ends at once if
// there is no such event.
func (s *store) history(account, from uint64) (*historyReader, error) {
	it, err := s.iterateRange(runKey(account, 0), append(runKey(account, ^uint64(0)), 0))
	if err != nil {
		return nil, err
	}
	r := &historyReader{s: s, account: account, it: it, nextSeq: from}
	if it.SeekLT(append(runKey(account, from), 0)) { // the run that contains it, if any does
		r.runSeq = numberOf(it.Key(), 1)
		r.openRun()
	} else if err := it.Error(); err != nil {
		r.fail(err)
	} else if it.First() {
		r.fail(fmt.Errorf("event %d is missing", from))
	}
	return r, nil
}

func (r *historyReader) fail(err error) {
	where := fmt.Sprintf("the history of account %d", r.account)
	if r.it.Valid() {
		where = nameKey(r.it.Key())
	}
	r.err = r.s.damage(where, err)
	r.left = 0
}

// openRun opens the run at the iterator, which must begin with the event runSeq.
func (r *historyReader) openRun() {
	d, err := r.s.decode(r.it.Key(), r.it.Value())
	if first := numberOf(r.it.Key(), 1); err == nil && first != r.runSeq {
		err = fmt.Errorf("it should begin with event %d", r.runSeq)
	}
	if err != nil {
		r.fail(err)
		return
	}
	r.d = d
	r.left = r.d.events()
	if r.d.Err != nil {
		r.fail(r.d.Err)
	}
}

// next reads the next event. It returns false at the end and after an error.
func (r *historyReader) next(ev *positions.Event) bool {
	for r.err == nil {
		if r.left == 0 && !r.nextRun() {
			return false
		}
		for r.left > 0 && r.err == nil {
			if r.runSeq < r.nextSeq && r.d.version != valueVersion1 {
				r.skip()
			} else if r.decode(ev); r.err == nil && ev.Seq == r.nextSeq {
				r.nextSeq++
				return true
			}
		}
	}
	return false
}

func (r *historyReader) nextRun() bool {
	if r.it.Valid() {
		if err := r.d.End(); err != nil {
			r.fail(err)
			return false
		}
		r.it.Next()
	}
	if !r.it.Valid() {
		if err := r.it.Error(); err != nil {
			r.fail(err)
		}
		return false
	}
	r.openRun()
	return r.err == nil
}

// skip passes over an event that is before the one wanted.
func (r *historyReader) skip() {
	account, seq, err := record.Head(r.d.cut())
	r.passed(account, seq, errors.Join(r.d.Err, err))
}

func (r *historyReader) decode(ev *positions.Event) {
	r.d.event(ev)
	r.passed(ev.Account, ev.Seq, r.d.Err)
}

// passed is called with an event of the run that was read, or with the error of that.
func (r *historyReader) passed(account, seq uint64, err error) {
	switch {
	case err != nil:
		r.fail(err)
	case account != r.account || seq != r.runSeq:
		r.fail(fmt.Errorf("event %d of account %d is where event %d should be", seq, account, r.runSeq))
	default:
		r.runSeq++
		r.left--
	}
}
