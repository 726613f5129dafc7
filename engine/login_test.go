package engine

import (
	"reflect"
	"slices"
	"testing"

	"github.com/papertape/papertape/positions"
)

func TestLoginModes(t *testing.T) {
	const head = 8
	small := options{tail: 3}     // 6, 7 and 8 are kept
	nothing := options{bytes: -1} // no event is kept
	kept := options{tail: 3, keeps: true}
	tests := []struct {
		name  string
		o     options
		mode  ResumeMode
		last  uint64
		other bool // log in with a different epoch
		want  []string
	}{
		{"snapshot", options{}, ModeSnapshot, 0, false, []string{"LOGIN SNAPSHOT head=8 oldest=1 holdings=8 #1"}},
		{"snapshot takes no notice of last and epoch", options{}, ModeSnapshot, 3, true,
			[]string{"LOGIN SNAPSHOT head=8 oldest=1 holdings=8 #1"}},
		{"quick", options{}, ModeQuick, 2, false, []string{"LOGIN QUICK head=8 oldest=1 #1"}},
		{"restart", options{}, ModeRestart, 7, true,
			append([]string{"LOGIN RESTART head=8 oldest=1 after=0 #1"}, events(1, 8, " replay")...)},
		{"resume in the middle", options{}, ModeResume, 5, false,
			append([]string{"LOGIN RESUME head=8 oldest=1 after=5 #1"}, events(6, 8, " replay")...)},
		{"resume from nothing", options{}, ModeResume, 0, false,
			append([]string{"LOGIN RESUME head=8 oldest=1 after=0 #1"}, events(1, 8, " replay")...)},
		{"resume at the head", options{}, ModeResume, 8, false, []string{"LOGIN RESUME head=8 oldest=1 #1"}},
		{"resume past the head", options{}, ModeResume, 9, false,
			[]string{"LOGIN SNAPSHOT head=8 oldest=1 resynced holdings=8 #1"}},
		{"resume in another epoch", options{}, ModeResume, 8, true,
			[]string{"LOGIN SNAPSHOT head=8 oldest=1 resynced holdings=8 #1"}},
		{"resume just before the oldest", small, ModeResume, 5, false,
			append([]string{"LOGIN RESUME head=8 oldest=6 after=5 #1"}, events(6, 8, " replay")...)},
		{"resume below the oldest", small, ModeResume, 4, false,
			[]string{"LOGIN SNAPSHOT head=8 oldest=6 resynced holdings=8 #1"}},
		{"restart from the oldest", small, ModeRestart, 0, false,
			append([]string{"LOGIN RESTART head=8 oldest=6 after=5 #1"}, events(6, 8, " replay")...)},
		{"resume with nothing kept, nothing missed", nothing, ModeResume, 8, false,
			[]string{"LOGIN RESUME head=8 oldest=0 #1"}},
		{"resume with nothing kept, one missed", nothing, ModeResume, 7, false,
			[]string{"LOGIN SNAPSHOT head=8 oldest=0 resynced holdings=8 #1"}},
		{"resume with nothing kept, past the head", nothing, ModeResume, 9, false,
			[]string{"LOGIN SNAPSHOT head=8 oldest=0 resynced holdings=8 #1"}},
		{"restart with nothing kept", nothing, ModeRestart, 0, false, []string{"LOGIN RESTART head=8 oldest=0 #1"}},
		{"resume below the tail of a journal that keeps", kept, ModeResume, 1, false,
			append([]string{"LOGIN RESUME head=8 oldest=1 after=1 #1"}, events(2, 8, " replay")...)},
		{"restart below the tail of a journal that keeps", kept, ModeRestart, 0, false,
			append([]string{"LOGIN RESTART head=8 oldest=1 after=0 #1"}, events(1, 8, " replay")...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.o, alice)
			w.trade(alice, head-1)
			c, epoch := w.connect(alice), w.eng.Epoch()
			if test.other {
				epoch++
			}
			l := Login{ID: c.id(), Account: alice, Mode: test.mode, LastSeq: test.last, Epoch: epoch}
			w.eng.Login(&c.Session, l)
			w.settle()
			c.expect(test.want...)
			reply := c.all()[0].reply
			if reply.Account != alice || reply.Epoch != w.journal.epoch {
				t.Errorf("the reply is for account %d in epoch %d", reply.Account, reply.Epoch)
			}
			w.trade(alice, 2)
			c.expect("EVENT 9", "EVENT 10")
		})
	}
}

// TestSnapshot compares the holdings of a login with those of a book built from the events.
func TestSnapshot(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	c.order(orderOf(positions.Buy, ten, 100))
	c.order(orderOf(positions.Buy, twenty, 50))
	c.order(orderOf(positions.Sell, ten, 100))
	w.settle()
	w.prices.Store(testUniverse.Opening().With(twenty, 21_0000))
	other := w.connect(alice)
	other.login(ModeSnapshot, 0)
	w.settle()
	got := other.last().reply.Holdings
	book := positions.NewBook(testUniverse)
	for _, ev := range w.journal.events(alice) {
		book.Apply(&ev)
	}
	want, _, _ := book.Holdings(alice, w.prices.Load(), nil)
	if got == nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("holdings %+v, want %+v", got, want)
	}
	if len(want.Positions) != 1 || want.TotalMarketValue != 50*21_0000 || want.Cash.Balance != openingCash-1000_0000 {
		t.Errorf("the book itself is wrong: %+v", want)
	}
}

func TestLoginRefused(t *testing.T) {
	w := newWorld(t, options{sessions: 2}, alice)
	nobody := w.connect(4711)
	nobody.login(ModeSnapshot, 0)
	w.settle()
	nobody.expect("NOLOGIN UNKNOWN_ACCOUNT #1")
	nobody.account = alice // the same connection tries again
	nobody.login(ModeQuick, 0)
	w.settle()
	nobody.expect("LOGIN QUICK head=1 oldest=1 #2")

	second := w.loggedIn(alice)
	third := w.connect(alice)
	third.login(ModeQuick, 0)
	w.settle()
	third.expect("NOLOGIN TOO_MANY_SESSIONS #1")
	third.logout() // it was never logged in
	second.logout()
	second.logout() // a second call does nothing
	w.settle()
	third.login(ModeQuick, 0)
	w.settle()
	third.expect("LOGIN QUICK head=1 oldest=1 #2")
	fourth := w.connect(alice)
	fourth.login(ModeQuick, 0)
	w.settle()
	fourth.expect("NOLOGIN TOO_MANY_SESSIONS #1")
	w.trade(alice, 1)
	third.expect("EVENT 2")
	nobody.expect("EVENT 2")
	second.expect()
	fourth.expect()
}

// TestSessionsCatchingUpCount: sessions that are catching up count towards the limit too.
func TestSessionsCatchingUpCount(t *testing.T) {
	w := newWorld(t, options{sessions: 1}, alice)
	w.trade(alice, 5)
	first := w.connect(alice)
	first.piece = 2
	first.login(ModeRestart, 0)
	w.settle()
	second := w.connect(alice)
	second.login(ModeQuick, 0)
	w.settle()
	second.expect("NOLOGIN TOO_MANY_SESSIONS #1")
	first.logout()
	second.login(ModeQuick, 0)
	w.settle()
	second.expect("LOGIN QUICK head=6 oldest=1 #2")
	first.read()
	w.settle()
	first.expect("LOGIN RESTART head=6 oldest=1 after=0 #1", "EVENT 1 replay")
}

func TestLivePush(t *testing.T) {
	w := newWorld(t, options{shards: 3}, alice, bob)
	first, second, stranger := w.loggedIn(alice), w.loggedIn(alice), w.loggedIn(bob)
	first.order(buy(100))
	w.settle()
	first.expect("EXECUTION 2 #2")
	second.expect("EVENT 2")
	second.order(sell(40))
	w.settle()
	second.expect("EXECUTION 3 #2")
	first.expect("EVENT 3")
	second.order(sell(61))
	w.settle()
	second.expect("REFUSED InsufficientShares #3")
	first.logout()
	w.settle()
	second.order(sell(60))
	w.settle()
	second.expect("EXECUTION 4 #4")
	first.expect()
	stranger.expect()
	if ev := second.last().ev; ev.Change != positions.Closed || ev.Trade.Quantity != 60 || ev.Account != alice {
		t.Errorf("the execution is %+v", ev)
	}
	for _, c := range []*conn{first, second} {
		if n := c.InFlight(); n != 0 {
			t.Errorf("%d requests in flight", n)
		}
	}
}

// TestOneStep: a session sees the results of a step in the order of decision, and the control lane
// comes first.
func TestOneStep(t *testing.T) {
	w := newWorld(t, options{}, alice, bob)
	first, leaving := w.loggedIn(alice), w.loggedIn(alice)
	joining := w.connect(alice)
	joining.piece = 2
	before := w.eng.Stats()
	w.together(func() {
		first.order(buy(1))
		first.order(sell(2))
		first.holdings()
		leaving.order(buy(3))
		joining.login(ModeRestart, 0)
		first.history(0, 2)
		leaving.logout()
		w.connect(bob).login(ModeSnapshot, 0)
		first.order(buy(4))
	})
	first.expect("EXECUTION 2 #2", "REFUSED InsufficientShares #3", "HOLDINGS 2 #4", "EVENT 3",
		"HISTORY 3 2 oldest=1 #5", "EXECUTION 4 #6")
	leaving.expect()
	joining.expect("LOGIN RESTART head=1 oldest=1 after=0 #1", "EVENT 1 replay")
	joining.read()
	w.settle()
	joining.expect("EVENT 2", "EVENT 3")
	joining.read()
	w.settle()
	joining.expect("EVENT 4")
	after := w.eng.Stats()
	want := Stats{
		Requests: before.Requests + 6, Events: before.Events + 3, Refused: before.Refused + 1,
		Steps: before.Steps + 3, PoolOverflows: before.PoolOverflows,
		HistoryEvents: before.HistoryEvents + 3, HistoryBytes: after.HistoryBytes,
	}
	if after != want {
		t.Errorf("stats %+v, want %+v", after, want)
	}
	if n := leaving.InFlight(); n != 0 {
		t.Errorf("%d requests of the session that left are in flight", n)
	}
}

// TestLoginAndLogoutInOneStep: a login and a logout in one step leave nothing behind, in any mode.
func TestLoginAndLogoutInOneStep(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 2}, alice)
	w.trade(alice, 5)
	for _, mode := range []ResumeMode{ModeSnapshot, ModeResume, ModeRestart, ModeQuick} {
		c := w.connect(alice)
		w.together(func() {
			c.login(mode, 3)
			c.logout()
		})
		if got := c.fresh(); len(got) != 1 {
			t.Errorf("%s: sent %v after the logout", modeNames[mode], got)
		}
	}
	w.trade(alice, 1)
	if a := w.account(alice); a.sessions != 0 || len(a.live) != 0 {
		t.Errorf("%d sessions, %d live ones are left", a.sessions, len(a.live))
	}
}

func TestMemoryJournal(t *testing.T) {
	first, second := NewMemoryJournal(), NewMemoryJournal()
	epoch := first.Epoch()
	if epoch == 0 || epoch == second.Epoch() {
		t.Errorf("epochs %d and %d: each history has one of its own", epoch, second.Epoch())
	}
	if first.Keeps() {
		t.Error("it says that it keeps everything")
	}
	if err := first.Commit([]byte{1, 2}, 1); err != nil {
		t.Error(err)
	}
	before := []positions.Event{{Seq: 5}}
	if got, err := first.Read(slices.Clone(before), 1, 1, 10); err != nil || !reflect.DeepEqual(got, before) {
		t.Errorf("Read gave %v, %v", got, err)
	}
	if first.Epoch() != epoch {
		t.Errorf("the epoch became %d, it was %d", first.Epoch(), epoch)
	}
}
