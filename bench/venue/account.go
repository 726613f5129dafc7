package venue

import (
	"slices"
	"sync"
)

// waitingMax bounds the requests of an account that wait for its storage. If it is reached,
// callers wait.
const waitingMax = 1024

// account holds the sessions of an account and serialises its requests: mu is held from the
// decision on a request until its answer has been passed on. Therefore events are in
// sequence on every connection, and none is shown before it is stored. The simpler idea, to
// hold the book's lock for that long, would make all accounts wait for one account's disk
// write, and for one account's client.
type account struct {
	number uint64

	mu sync.Mutex
	// Shared, under mu.
	sessions []*Session
	head     uint64 // sequence of the newest event

	queue sync.Mutex
	// Shared, under queue. With storage, a goroutine per account handles the waiting
	// requests while there are any.
	waiting []task
	running bool
	room    sync.Cond // signalled when fewer than waitingMax wait
}

// task is a request that waits.
type task struct {
	s *Session
	r Request
}

func (a *account) leave(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.sessions, s); i >= 0 {
		a.sessions = slices.Delete(a.sessions, i, i+1)
	}
}

// serialise handles a request of an account: at once if nothing has to be stored, otherwise on
// the account's goroutine, so that the caller can continue with other accounts.
func (v *Venue) serialise(a *account, s *Session, r *Request) {
	if v.storage == nil {
		a.mu.Lock()
		v.handle(a, s, r)
		a.mu.Unlock()
		return
	}
	a.queue.Lock()
	defer a.queue.Unlock()
	for len(a.waiting) >= waitingMax {
		a.room.Wait()
	}
	a.waiting = append(a.waiting, task{s, *r})
	if !a.running {
		a.running = true
		v.users.Add(1)
		go v.drain(a)
	}
}

// drain handles the requests of an account until none waits.
func (v *Venue) drain(a *account) {
	defer v.users.Done()
	var tasks []task
	for {
		a.queue.Lock()
		clear(tasks)
		tasks, a.waiting = a.waiting, tasks[:0]
		a.running = len(tasks) > 0
		a.room.Broadcast()
		a.queue.Unlock()
		if len(tasks) == 0 {
			return
		}
		for i := range tasks {
			a.mu.Lock()
			v.handle(a, tasks[i].s, &tasks[i].r)
			a.mu.Unlock()
		}
	}
}
