package torture

import "sync"

// request is the common part of an order, a bust and a correction. It was sent at least once and
// has led to at most one event. The account's mutex guards it.
type request struct {
	seq      uint64 // of its event in the stream; 0 if none has come
	answered uint64 // the sequence of its event in the answer; 0 if there was none
	refused  bool   // for a reason in the request or in the ledger: nothing was done, and never will be
	sent     int
}

// known returns the sequence of the request's event, or 0 if no client was told of one.
func (r *request) known() uint64 {
	if r.answered != 0 {
		return r.answered
	}
	return r.seq // told by a stream only
}

// shown says whether a stream has shown the request's event.
func (a *account) shown(r *request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.seq != 0
}

// unsettled has the requests without an answer, which are to be sent again.
type unsettled[R any] struct {
	mu   sync.Mutex // guards list
	list []R
}

// leave adds a request without an answer.
func (u *unsettled[R]) leave(r R) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, r)
}

// take removes and returns all of them, to be sent again.
func (u *unsettled[R]) take() []R {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.list
	u.list = nil
	return list
}

// waiting returns how many there are.
func (u *unsettled[R]) waiting() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.list)
}
