package torture

import "sync"

// request is what an order, and a bust or a correction, have in common: it was asked for at least once, and has led to at
// most one event. The account's mutex guards it.
type request struct {
	seq      uint64 // of its event in the stream; 0: none has come
	answered uint64 // the sequence of its event in the answer; 0: there was none
	refused  bool   // for a reason that is in the request or in the ledger: nothing was done, and by it never will be
	sent     int
}

// known is the sequence of the event that it has led to, as far as anybody was told; 0: nobody was.
func (r *request) known() uint64 {
	if r.answered != 0 {
		return r.answered
	}
	return r.seq // told by a stream alone
}

// shown tells whether a stream has shown what a request led to.
func (a *account) shown(r *request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.seq != 0
}

// unsettled are requests that have no answer, and are to be sent again.
type unsettled[R any] struct {
	mu   sync.Mutex // guards list
	list []R
}

// leave notes that a request has no answer.
func (u *unsettled[R]) leave(r R) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, r)
}

// take hands out all of them, to be sent again.
func (u *unsettled[R]) take() []R {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.list
	u.list = nil
	return list
}

// waiting is how many there are.
func (u *unsettled[R]) waiting() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.list)
}
