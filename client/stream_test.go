package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func numbered(seq uint64) *Event { return &Event{Seq: seq} }

// put blocks on a full queue until there is room, or until done is closed.
func TestStreamIsBounded(t *testing.T) {
	s, done := newStream(nil), make(chan struct{})
	for seq := range uint64(updatesMax) {
		if !s.put(numbered(seq+1), done) {
			t.Fatal("put gave up")
		}
	}
	put := make(chan bool)
	go func() { put <- s.put(numbered(updatesMax+1), done) }()
	go func() { put <- s.put(numbered(0), closedChannel()) }()
	if <-put {
		t.Error("there was room for one more than the queue holds")
	}
	select {
	case <-put:
		t.Error("put did not wait for room")
	default:
	}
	for seq := range uint64(updatesMax + 1) {
		if err := waitFor(s); err != nil {
			t.Fatal(err)
		}
		if ev := s.takeEvent(); ev.Seq != seq+1 {
			t.Fatalf("took seq %d: expected %d", ev.Seq, seq+1)
		}
		if seq == 0 && !<-put {
			t.Error("put gave up")
		}
	}
	if u := s.take(); u != nil || !s.idle() || s.newest() != updatesMax+1 {
		t.Errorf("left: %v", u)
	}
	if cap(s.queue) > 2*updatesMax {
		t.Errorf("the queue has room for %d", cap(s.queue))
	}
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func waitFor(s *stream) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := s.wait(ctx, nil, true)
	return err
}

// With several takers, each is woken for what is left.
func TestStreamWakesEveryTaker(t *testing.T) {
	const n = 10_000
	s, taken := newStream(nil), make(chan uint64, n)
	for range 4 {
		go func() {
			for {
				if ev := s.takeEvent(); ev != nil {
					if taken <- ev.Seq; ev.Seq == 0 {
						return
					}
				} else if err := waitFor(s); err != nil {
					taken <- math.MaxUint64
					return
				}
			}
		}()
	}
	for seq := range uint64(n) {
		s.put(numbered(seq+1), nil)
	}
	for range 4 {
		s.put(numbered(0), nil) // ends one of the takers
	}
	sum := uint64(0)
	for range n + 4 {
		seq := <-taken
		if seq == math.MaxUint64 {
			t.Fatal("a taker was not woken")
		}
		sum += seq
	}
	if sum != n*(n+1)/2 {
		t.Errorf("the sequences taken add up to %d: expected %d", sum, n*(n+1)/2)
	}
}

// Notices of failed attempts that nobody took are merged into one. The notice of a connection's
// end stays.
func TestNoticesOfAttempts(t *testing.T) {
	s := newStream(new(State))
	for range 2 {
		s.put(numbered(1), nil)
		for attempt := range 5 {
			s.put(&Disconnected{Attempt: attempt}, nil)
		}
	}
	got := ""
	for u := s.take(); u != nil; u = s.take() {
		switch u := u.(type) {
		case *Event:
			got += "e"
		case *Disconnected:
			got += fmt.Sprint(u.Attempt)
		}
	}
	if got != "e04e04" {
		t.Errorf("took %q: expected %q", got, "e04e04")
	}
}

// Events and quotes do not starve each other.
func TestStreamTakesTurns(t *testing.T) {
	s := newStream(nil)
	got := ""
	for seq := range uint64(6) {
		s.put(numbered(seq+1), nil)
	}
	for range 3 {
		s.quote([]Quote{{Market: "SZ", Code: "000001"}})
		for range 2 {
			switch s.take().(type) {
			case *Event:
				got += "e"
			case *Quotes:
				got += "q"
			}
		}
	}
	if got != "eqeqeq" {
		t.Errorf("took %q", got)
	}
}

func TestPushesAreBounded(t *testing.T) {
	var p pushes
	for i := range 3 * quotedInstrumentsMax {
		p.quote([]Quote{{Market: "SZ", Code: fmt.Sprint(i)}})
	}
	for i := range uint64(3 * presentSessionsMax) {
		p.present(&Presence{UID: i})
	}
	if len(p.presence) != presentSessionsMax || p.presence[0].UID != 2*presentSessionsMax {
		t.Errorf("%d sessions wait, the first is %d", len(p.presence), p.presence[0].UID)
	}
	for range presentSessionsMax {
		if _, ok := p.take().(*Presence); !ok {
			t.Fatal("no presence")
		}
	}
	if q, ok := p.take().(*Quotes); !ok || len(q.Quotes) != quotedInstrumentsMax {
		t.Errorf("took %T", q)
	}
	if u := p.take(); u != nil || !p.empty() {
		t.Errorf("left: %v", u)
	}
}

// The wait doubles up to its bound, is random below that, and comes on top of what the server
// asks for.
func TestBackoff(t *testing.T) {
	a := &Account{options: AccountOptions{BackoffMin: 100 * time.Millisecond, BackoffMax: 15 * time.Second}}
	longest := func(attempt int, err error) (most, least time.Duration) {
		least = math.MaxInt64
		for range 2000 {
			d := a.backoff(attempt, err)
			most, least = max(most, d), min(least, d)
		}
		return most, least
	}
	for attempt, bound := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 3: 800 * time.Millisecond, 7: 12_800 * time.Millisecond,
		8: 15 * time.Second, 1 << 30: 15 * time.Second,
	} {
		if most, least := longest(attempt, errors.New("gone")); most > bound+1 || most < bound*9/10 ||
			least > bound/10 || least <= 0 {
			t.Errorf("attempt %d waits %v to %v: expected up to %v", attempt, least, most, bound)
		}
	}
	a.flaps = 2
	if most, _ := longest(1, errors.New("gone")); most > 800*time.Millisecond+1 || most < 700*time.Millisecond {
		t.Errorf("after two connections that did not last it waits up to %v", most)
	}
	a.flaps = 0
	const asked = 40 * time.Second
	for _, err := range []error{
		&Goodbye{RetryAfter: asked}, fmt.Errorf("log in: %w", &Reject{Code: Busy, RetryAfter: asked}),
		errors.Join(&Reject{RetryAfter: asked}, &Goodbye{RetryAfter: time.Second}),
	} {
		if most, least := longest(0, err); least < asked || most > asked+100*time.Millisecond+1 {
			t.Errorf("%v: it waits %v to %v", err, least, most)
		}
	}
}
