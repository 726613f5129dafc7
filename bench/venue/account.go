package venue

import (
	"slices"
	"sync"
)

// waitingMax bounds the requests of one account that wait for its storage. Full: whoever brings the next one waits.
const waitingMax = 1024

// account is who is logged in to an account, and its turn: whoever does a request of it, from the decision until the answer
// has been handed over, holds mu. That is what puts events in the order of their sequences on every connection, and keeps each
// from being shown before it is stored. The simpler idea, to hold the lock over the book for so long, would make all accounts wait
// for the disk of one, and for the client of one.
type account struct {
	number uint64

	mu sync.Mutex
	// Shared, under mu.
	sessions []*Session
	head     uint64 // its newest sequence

	queue sync.Mutex
	// Shared, under queue: with storage, a goroutine per account does the requests that wait, as long as there are any.
	waiting []task
	running bool
	room    sync.Cond // less than waitingMax wait
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

// inTurn does a request of an account: at once, where nothing has to be stored; otherwise on the account's goroutine, so that
// the caller can go on with others.
func (v *Venue) inTurn(a *account, s *Session, r *Request) {
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

// drain does the requests of an account until none waits.
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
