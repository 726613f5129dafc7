package journal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/papertape/papertape/positions"
)

// Read appends to dst the events of account that a checkpoint has stored, with sequences from, from+1, …, at most limit, and
// fewer where they end. Any number of goroutines may call it.
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
