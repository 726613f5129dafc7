package engine

import (
	"fmt"
	"reflect"

	"github.com/papertape/papertape/positions"
)

// verify checks everything that a session was sent against its requests.
func (m *model) verify(c *client) error {
	frames := c.all()
	if len(frames) == 0 {
		return fmt.Errorf("the login was not answered")
	}
	if c.refused {
		if len(frames) != 1 || frames[0].kind != "NOLOGIN" || frames[0].failure != FailureTooManySessions ||
			frames[0].id != c.login.ID {
			return fmt.Errorf("the account has enough sessions")
		}
		return nil
	}
	if err := m.verifyLogin(c, frames[0]); err != nil {
		return err
	}
	v := verifier{m: m, c: c, cursor: frames[0].reply.After, committed: m.w.journal.events(c.account),
		book: positions.NewBook(testUniverse)}
	for i, f := range frames[1:] {
		if c.leftAt >= 0 && i+1 >= c.leftAt {
			v.over = true
		}
		if err := v.frame(f); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	if v.over || c.leftAt >= 0 {
		return nil
	}
	if v.cursor != uint64(len(v.committed)) {
		return fmt.Errorf("it has the events up to %d of %d", v.cursor, len(v.committed))
	}
	for id, a := range c.asked {
		if a.answered != 1 {
			return fmt.Errorf("request %d was answered %d times", id, a.answered)
		}
	}
	if n := c.InFlight(); n != 0 || c.state != sessionLive {
		return fmt.Errorf("%d requests in flight, state %d", n, c.state)
	}
	return nil
}

func (m *model) verifyLogin(c *client, f frame) error {
	want := LoginReply{Account: c.account, HeadSeq: c.head, OldestSeq: c.oldest, After: c.head,
		Epoch: m.w.journal.epoch, Mode: c.login.Mode}
	first := c.oldest // first event that could be replayed
	if first == 0 {
		first = c.head + 1
	}
	switch c.login.Mode {
	case ModeRestart:
		want.After = first - 1
	case ModeResume:
		if l := c.login; l.Epoch == want.Epoch && l.LastSeq+1 >= first && l.LastSeq <= c.head {
			want.After = l.LastSeq
		} else {
			want.Mode, want.Resynced = ModeSnapshot, true
		}
	}
	got := f.reply
	got.Holdings = nil
	if f.kind != "LOGIN" || f.id != c.login.ID || got != want {
		return fmt.Errorf("the login %+v was answered %s %+v, want %+v", c.login, f, got, want)
	}
	if (f.reply.Holdings != nil) != (want.Mode == ModeSnapshot) {
		return fmt.Errorf("only SNAPSHOT has holdings")
	}
	if h := f.reply.Holdings; h != nil {
		book := positions.NewBook(testUniverse)
		for _, ev := range m.w.journal.events(c.account)[:c.head] {
			book.Apply(&ev)
		}
		return sameState(book, h)
	}
	return nil
}

// sameState compares holdings with a book, except for prices, which are of another time.
func sameState(book *positions.Book, h *positions.Holdings) error {
	want, _, _ := book.Holdings(h.Account, testUniverse.Opening(), nil)
	if h.Seq != want.Seq || h.Hash != want.Hash || h.Cash != want.Cash || len(h.Positions) != len(want.Positions) {
		return fmt.Errorf("holdings %+v, the events give %+v", h, want)
	}
	for i := range h.Positions {
		if h.Positions[i].Row != want.Positions[i].Row {
			return fmt.Errorf("row %+v, the events give %+v", h.Positions[i], want.Positions[i])
		}
	}
	return nil
}

// verifier checks the frames of one session, in order.
type verifier struct {
	m         *model
	c         *client
	cursor    uint64
	committed []positions.Event
	book      *positions.Book // the events up to asOf
	asOf      uint64
	over      bool // the session has ended; later frames are discarded
}

func (v *verifier) frame(f frame) error {
	if f.kind == "LOST" {
		if v.m.w.journal.keeps || v.over && v.c.leftAt < 0 {
			return fmt.Errorf("nothing was lost")
		}
		v.over = true
		return nil
	}
	if f.id == 0 {
		if f.kind != "EVENT" {
			return fmt.Errorf("it answers nothing")
		}
		for id, a := range v.c.asked {
			if a.want == "EXECUTION" && a.seq == f.ev.Seq {
				return fmt.Errorf("it should be the answer to %d", id)
			}
		}
		return v.event(f)
	}
	a := v.c.asked[f.id]
	if a == nil {
		return fmt.Errorf("there is no such request")
	}
	if a.answered++; a.answered > 1 {
		return fmt.Errorf("the second answer")
	}
	switch a.kind {
	case KindHoldings:
		return v.holdings(f, a)
	case KindHistory:
		return v.history(f, a)
	}
	return v.order(f, a)
}

// event checks a frame with a new sequence.
func (v *verifier) event(f frame) error {
	if v.over {
		return fmt.Errorf("the session has ended")
	}
	v.cursor++
	if f.ev.Seq != v.cursor {
		return fmt.Errorf("%d was next", v.cursor)
	}
	if want := f.ev.Seq <= v.c.head; f.replay != want {
		return fmt.Errorf("the flag REPLAY should be %v: the head was %d at login", want, v.c.head)
	}
	return v.same(f.ev)
}

func (v *verifier) same(ev positions.Event) error {
	if !reflect.DeepEqual(ev, v.committed[ev.Seq-1]) {
		return fmt.Errorf("event %+v, the journal has %+v", ev, v.committed[ev.Seq-1])
	}
	return nil
}

func (v *verifier) order(f frame, a *asked) error {
	if f.kind == "FAILED" && f.failure == FailureHistoryBusy && a.want == "REPEAT" && v.m.w.journal.keeps {
		return nil
	}
	if f.kind != a.want {
		return fmt.Errorf("want %s %d", a.want, a.seq)
	}
	switch f.kind {
	case "EXECUTION":
		if f.ev.Seq != a.seq {
			return fmt.Errorf("want %d", a.seq)
		}
		return v.event(f)
	case "REPEAT":
		if f.ev.Seq != a.seq {
			return fmt.Errorf("want %d", a.seq)
		}
		return v.same(f.ev)
	case "REFUSED":
		if f.refusal.Reason != a.reason {
			return fmt.Errorf("want %v", a.reason)
		}
	case "FAILED":
		if f.failure != FailureDuplicateOrderID {
			return fmt.Errorf("want DUPLICATE_ORDER_ID")
		}
	}
	return nil
}

func (v *verifier) holdings(f frame, a *asked) error {
	if v.over {
		return nil
	}
	if f.kind != "HOLDINGS" || f.holdings.Seq != v.cursor {
		return fmt.Errorf("want HOLDINGS as of %d, the newest event before it", v.cursor)
	}
	if !a.catching && v.c.state == sessionLive && a.head > v.cursor {
		return fmt.Errorf("the account was at %d at this place", a.head)
	}
	for _, ev := range v.committed[v.asOf:v.cursor] {
		v.book.Apply(&ev)
	}
	v.asOf = v.cursor
	return sameState(v.book, &f.holdings)
}

func (v *verifier) history(f frame, a *asked) error {
	if f.kind == "FAILED" && f.failure == FailureHistoryBusy && v.m.w.journal.keeps {
		return nil
	}
	top := a.head
	if a.before != 0 && a.before <= a.head {
		top = a.before - 1
	}
	kept := uint64(0)
	if f.oldest != 0 && top >= f.oldest {
		kept = top - f.oldest + 1
	}
	if want := min(uint64(a.limit), kept); f.kind != "HISTORY" || uint64(len(f.history)) != want {
		return fmt.Errorf("want %d events from %d down, the oldest kept is %d", want, top, f.oldest)
	}
	for i, ev := range f.history {
		if ev.Seq != top-uint64(i) {
			return fmt.Errorf("event %d is %d", i, ev.Seq)
		}
		if err := v.same(ev); err != nil {
			return err
		}
	}
	return nil
}
