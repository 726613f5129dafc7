package client

import (
	"context"
	"sync"
)

// updatesMax is how many events and notices wait for Next; full: the client reads no further.
const updatesMax = 1024

// stream is what waits between the reader of a connection and Next, for an Account over all its connections: events and
// notices in order, bounded, never dropped; quotes and presence beside them, conflated. It has one writer at a time (the
// reader of the present connection, the keeper between two) and any number of takers.
type stream struct {
	more   chan struct{} // holds one where something waits in the queue
	pushed chan struct{} // holds one where a push waits
	room   chan struct{} // holds one where the queue was full and is no longer

	mu    sync.Mutex
	queue []Update // queue[head:] waits; at most updatesMax of it
	head  int
	last  uint64 // the newest sequence that was put
	push  pushes
	turn  bool   // a push goes first the next time both wait
	state *State // of an Account: as of the last update taken; nil for a Client
	moved int    // updates taken that changed the state, since it was last saved
}

// newStream is a stream that keeps a state, if that is not nil.
func newStream(state *State) *stream {
	s := &stream{more: make(chan struct{}, 1), pushed: make(chan struct{}, 1), room: make(chan struct{}, 1), state: state}
	if state != nil {
		s.last = state.Seq
	}
	return s
}

// signal makes sure that whoever waits on c looks again.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put appends to the queue. While it is full it waits, and gives up when done is closed.
func (s *stream) put(u Update, done <-chan struct{}) bool {
	for {
		s.mu.Lock()
		if len(s.queue)-s.head < updatesMax {
			s.append(u)
			s.mu.Unlock()
			signal(s.more)
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

// append is called with mu held. A notice of a failed attempt takes the place of the one before, if nobody took that, so
// that an account nobody looks at does not fill up with them.
func (s *stream) append(u Update) {
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

// take takes what is next, nil for nothing. It applies to the state what it takes.
func (s *stream) take() Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn || s.head == len(s.queue) {
		if u := s.push.take(); u != nil {
			s.turn = false
			if !s.push.empty() {
				signal(s.pushed)
			}
			return u
		}
	}
	s.turn = true
	return s.takeQueued()
}

// takeEvent takes from the queue alone.
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
		signal(s.more)
	}
	if s.state != nil {
		s.advance(u)
	}
	return u
}

// advance brings the state to where an update that is handed out says it is.
func (s *stream) advance(u Update) {
	if c, ok := u.(*Connected); ok && c.Resynced {
		c.Before = s.state.clone()
	}
	next, moved := after(s.state, u)
	if s.state = next; moved {
		s.moved++
	}
}

// after applies an update to a state, which it may change.
func after(s *State, u Update) (next *State, moved bool) {
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

// begin sets the state before the first update is taken.
func (s *stream) begin(state *State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state.clone()
	s.moved++
}

// newest is the newest sequence that was put.
func (s *stream) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// current is a copy of the state, and how many updates have moved it since it was saved.
func (s *stream) current() (*State, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone(), s.moved
}

// saved says that the state was saved when so many updates had moved it.
func (s *stream) saved(moved int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved -= moved
}

// unsaved is how many updates have moved the state since it was saved.
func (s *stream) unsaved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// idle says that nothing waits but quotes and presence.
func (s *stream) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head == len(s.queue)
}

// ahead is the state as it will be when all that waits has been taken.
func (s *stream) ahead() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state.clone()
	for _, u := range s.queue[s.head:] {
		state, _ = after(state, u)
	}
	return state
}

// wait returns when something may wait to be taken, or ctx or done has ended; the last two it tells.
func (s *stream) wait(ctx context.Context, done <-chan struct{}, pushes bool) (ended bool, err error) {
	pushed := s.pushed
	if !pushes {
		pushed = nil
	}
	select {
	case <-s.more:
		return false, nil
	case <-pushed:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-done:
		return true, nil
	}
}
