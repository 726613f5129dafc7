package client

import (
	"context"
	"sync"
)

// updatesMax is how many events and notices may wait for Next. At that number the client stops
// reading from its connection.
const updatesMax = 1024

// stream is the queue between the reader of a connection and Next. An Account uses one stream
// for all its connections. Events and notices are in order, bounded in number and never
// dropped; quotes and presence are kept beside them and conflated. There is one writer at a
// time (the reader of the current connection or, between two connections, the keeper) and any
// number of takers.
type stream struct {
	queued chan struct{} // holds one if an update waits in the queue
	pushed chan struct{} // holds one if a push waits
	room   chan struct{} // holds one if the queue was full and no longer is

	mu        sync.Mutex
	queue     []Update // queue[head:] waits; at most updatesMax updates
	head      int
	last      uint64 // the newest sequence put
	push      pushes
	pushFirst bool   // whether a push goes first the next time both wait
	state     *State // for an Account: as of the last update taken; nil for a Client
	moved     int    // updates taken since the last save that changed the state
}

// newStream returns a stream. If state is not nil, the stream maintains it.
func newStream(state *State) *stream {
	s := &stream{queued: make(chan struct{}, 1), pushed: make(chan struct{}, 1), room: make(chan struct{}, 1),
		state: state}
	if state != nil {
		s.last = state.Seq
	}
	return s
}

// signal wakes whoever waits on c, or the next to wait.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put appends to the queue. While the queue is full it waits, and gives up when done is closed.
func (s *stream) put(u Update, done <-chan struct{}) bool {
	for {
		s.mu.Lock()
		if len(s.queue)-s.head < updatesMax {
			s.enqueue(u)
			s.mu.Unlock()
			signal(s.queued)
			return true
		}
		s.mu.Unlock()
		select {
		case <-s.room:
		case <-done:
			return false
		}
	}
}

// enqueue appends to the queue; the caller holds mu. A notice of a failed attempt replaces one
// that is still last in the queue, so that the queue of an account that nobody reads does not
// fill up with them.
func (s *stream) enqueue(u Update) {
	switch u := u.(type) {
	case *Event:
		s.last = u.Seq
	case *Connected:
		if u.After != nil {
			s.last = u.After.Seq
		}
	}
	if d, ok := u.(*Disconnected); ok && d.Attempt > 0 && s.head < len(s.queue) {
		if before, ok := s.queue[len(s.queue)-1].(*Disconnected); ok && before.Attempt > 0 {
			s.queue[len(s.queue)-1] = u
			return
		}
	}
	if len(s.queue) == cap(s.queue) && s.head > 0 {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, u)
}

// take takes the next update and applies it to the state. It returns nil if nothing waits.
func (s *stream) take() Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pushFirst || s.head == len(s.queue) {
		if u := s.push.take(); u != nil {
			s.pushFirst = false
			if !s.push.empty() {
				signal(s.pushed)
			}
			return u
		}
	}
	s.pushFirst = true
	return s.takeQueued()
}

// takeEvent takes from the queue only, not from the pushes.
func (s *stream) takeEvent() *Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev, _ := s.takeQueued().(*Event)
	return ev
}

func (s *stream) takeQueued() Update {
	if s.head == len(s.queue) {
		return nil
	}
	u := s.queue[s.head]
	s.queue[s.head] = nil
	if len(s.queue)-s.head == updatesMax {
		signal(s.room)
	}
	if s.head++; s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	} else {
		signal(s.queued)
	}
	if s.state != nil {
		s.advanceState(u)
	}
	return u
}

// advanceState applies an update that is being handed out to the state.
func (s *stream) advanceState(u Update) {
	if c, ok := u.(*Connected); ok && c.Resynced {
		c.Before = s.state.clone()
	}
	next, moved := applyUpdate(s.state, u)
	if s.state = next; moved {
		s.moved++
	}
}

// applyUpdate applies an update to a state, which it may modify.
func applyUpdate(s *State, u Update) (next *State, moved bool) {
	switch u := u.(type) {
	case *Event:
		s.apply(u)
		return s, true
	case *Connected:
		if u.After != nil {
			return u.After.clone(), true
		}
	}
	return s, false
}

// setState sets the state before the first update is taken.
func (s *stream) setState(state *State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state.clone()
	s.moved++
}

// newest returns the newest sequence that was put.
func (s *stream) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// current returns a copy of the state, and how many updates have changed it since it was saved.
func (s *stream) current() (*State, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone(), s.moved
}

// markSaved records that the state was saved after so many updates had changed it.
func (s *stream) markSaved(moved int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved -= moved
}

// unsaved returns how many updates have changed the state since it was saved.
func (s *stream) unsaved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// idle reports whether nothing waits but quotes and presence.
func (s *stream) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head == len(s.queue)
}

// stateAfterQueue returns the state as it will be when everything in the queue has been taken.
func (s *stream) stateAfterQueue() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state.clone()
	for _, u := range s.queue[s.head:] {
		state, _ = applyUpdate(state, u)
	}
	return state
}

// wait returns when something may be ready to take, or when ctx (an error) or done (ended)
// ends.
func (s *stream) wait(ctx context.Context, done <-chan struct{}, pushes bool) (ended bool, err error) {
	pushed := s.pushed
	if !pushes {
		pushed = nil
	}
	select {
	case <-s.queued:
		return false, nil
	case <-pushed:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-done:
		return true, nil
	}
}
