package timeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// moments is a tape in memory.
type moments struct {
	list []moment
	read int
	end  error // instead of io.EOF
}

type moment struct {
	at      int64
	updates []market.Update
}

func (m *moments) Next() (int64, []market.Update, error) {
	if m.read == len(m.list) {
		return 0, nil, cmp.Or(m.end, io.EOF)
	}
	m.read++
	next := m.list[m.read-1]
	return next.at, slices.Clone(next.updates), nil
}

// trade is an update of a trade in the first instrument.
func trade(at, price int64) market.Update {
	return market.Update{ID: 0, Time: at, Says: market.SaysLast, Last: price}
}

// tapeOf returns a tape of a trade at each moment, at a price of its own.
func tapeOf(at ...int64) *moments {
	m := new(moments)
	for n, t := range at {
		m.list = append(m.list, moment{t, []market.Update{trade(t, int64(n+1)*100)}})
	}
	return m
}

// turns are hours by which a day begins at each of some moments.
type turns []int64

func (h turns) Day(_ string, t int64) (day int32) {
	for _, at := range h {
		if at <= t {
			day++
		}
	}
	return day
}

func (h turns) Status(_ string, t int64) market.Status {
	if h.Day("", t)%2 == 0 {
		return market.StatusOpen
	}
	return market.StatusClosed
}

func (h turns) Next(t int64) int64 {
	for _, at := range h {
		if at > t {
			return at
		}
	}
	return math.MaxInt64
}

// lazy is an engine that decides nothing before it must: what was submitted is decided at the clock and the
// price of the moment at which somebody waits for it.
type lazy struct {
	feed      *market.Feed
	clock     func() int64
	submitted []string
	decided   []string
}

func (l *lazy) Settle(context.Context) error {
	p := l.feed.Snapshot()
	for _, what := range l.submitted {
		l.decided = append(l.decided, decision(what, l.clock(), p.At(0), p.Status(0)))
	}
	l.submitted = l.submitted[:0]
	return nil
}

func decision(what string, at, price int64, status market.Status) string {
	return fmt.Sprintf("%s at %d: %d, %s", what, at, price, status)
}

// visitor is a player that makes a request at some moments, and one at each other that comes by.
type visitor struct {
	name   string
	wanted []int64 // ascending
	engine *lazy
}

func (v *visitor) Next() (int64, bool) {
	if len(v.wanted) == 0 {
		return 0, false
	}
	return v.wanted[0], true
}

func (v *visitor) Play(_ context.Context, now int64) error {
	for len(v.wanted) > 0 && v.wanted[0] <= now {
		v.wanted = v.wanted[1:]
		v.engine.submitted = append(v.engine.submitted, v.name+" as wanted")
	}
	v.engine.submitted = append(v.engine.submitted, v.name)
	return nil
}

// stage is a driver with a lazy engine and two visitors.
type stage struct {
	d      *Driver
	engine *lazy
	a, b   *visitor
}

func newStage(tb testing.TB, tape Tape, hours market.Hours) *stage {
	tb.Helper()
	feed := market.NewFeed(market.Default(), market.FeedConfig{Hours: hours})
	d, err := New(Config{Tape: tape, Feed: feed, Hours: hours})
	if err != nil {
		tb.Fatal(err)
	}
	engine := &lazy{feed: feed, clock: d.Now}
	return &stage{d, engine, &visitor{name: "a", engine: engine}, &visitor{name: "b", engine: engine}}
}

func (s *stage) run(ctx context.Context) error { return s.d.Run(ctx, s.engine, s.a, s.b) }

// TestWaits: what is requested at a moment is decided at its prices and its time, before the next snapshot.
func TestWaits(t *testing.T) {
	s := newStage(t, tapeOf(10, 20, 30), nil)
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		decision("a", 10, 100, market.StatusOpen), decision("b", 10, 100, market.StatusOpen),
		decision("a", 20, 200, market.StatusOpen), decision("b", 20, 200, market.StatusOpen),
		decision("a", 30, 300, market.StatusOpen), decision("b", 30, 300, market.StatusOpen),
	}
	if !slices.Equal(s.engine.decided, want) {
		t.Errorf("got  %q\nwant %q", s.engine.decided, want)
	}
	if len(s.engine.submitted) > 0 {
		t.Error("the run ended before the last requests were decided")
	}
}

// expect is the dumb model: all moments, sorted, each looked at on its own.
func expect(tape *moments, hours turns, a, b []int64) (decided []string) {
	first, last := tape.list[0].at, tape.list[len(tape.list)-1].at
	all := append(slices.Concat(hours, a, b), first)
	for _, m := range tape.list {
		all = append(all, m.at)
	}
	slices.Sort(all)
	price := market.Default().Opening().At(0)
	for _, now := range slices.Compact(all) {
		if now < first || now > last {
			continue
		}
		for _, m := range tape.list {
			if m.at == now {
				price = m.updates[0].Last
			}
		}
		for _, v := range []visitor{{name: "a", wanted: a}, {name: "b", wanted: b}} {
			for _, at := range v.wanted {
				if at == now || at < first && now == first {
					decided = append(decided, decision(v.name+" as wanted", now, price, hours.Status("", now)))
				}
			}
			decided = append(decided, decision(v.name, now, price, hours.Status("", now)))
		}
	}
	return decided
}

// TestAgainstModel plays made-up tapes, hours and wishes beside a model that looks at each moment on its own.
func TestAgainstModel(t *testing.T) {
	times := rapid.SliceOfN(rapid.Int64Range(1, 60), 0, 12)
	sorted := func(t *rapid.T, name string) []int64 {
		list := times.Draw(t, name)
		slices.Sort(list)
		return list
	}
	rapid.Check(t, func(rt *rapid.T) {
		at := slices.Compact(append(sorted(rt, "tape"), 61))
		hours := turns(slices.Compact(sorted(rt, "hours")))
		a, b := sorted(rt, "a"), sorted(rt, "b")
		tape := tapeOf(at...)
		s := newStage(t, tape, hours)
		s.a.wanted, s.b.wanted = slices.Clone(a), slices.Clone(b)
		if err := s.run(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if want := expect(tape, hours, a, b); !slices.Equal(s.engine.decided, want) {
			rt.Fatalf("got  %q\nwant %q", s.engine.decided, want)
		}
		if st := s.d.State(); st.Now != 61 || !st.Ended || st.Updates != uint64(len(at)) || st.First != at[0] {
			rt.Errorf("%+v", st)
		}
	})
}

// TestSkipTo: a run that begins in the middle finds the quotes of the tape up to there, and plays the rest as
// a run from the beginning does.
func TestSkipTo(t *testing.T) {
	hours := turns{15, 25, 45}
	whole := newStage(t, tapeOf(10, 20, 30, 40, 50), hours)
	if err := whole.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for newest, left := range map[int64]int{5: 16, 10: 14, 12: 14, 20: 10, 29: 8, 49: 2, 50: 0, 99: 0} {
		s := newStage(t, tapeOf(10, 20, 30, 40, 50), hours)
		if err := s.d.SkipTo(t.Context(), newest); err != nil {
			t.Fatal(err)
		}
		if now := s.d.Now(); now != max(10, newest) {
			t.Errorf("skipped to %d, and the clock shows %d", newest, now)
		}
		if s.d.Ended() != (left == 0) {
			t.Errorf("skipped to %d: ended: %v", newest, s.d.Ended())
		}
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := whole.engine.decided; !slices.Equal(s.engine.decided, all[len(all)-left:]) {
			t.Errorf("skipped to %d, got %q\nwant %q", newest, s.engine.decided, all[len(all)-left:])
		}
	}
}

// TestTapeErrors: a tape that has nothing, that goes back or that cannot be read to its end.
func TestTapeErrors(t *testing.T) {
	feed := market.Fixed(market.Default())
	if _, err := New(Config{Tape: tapeOf(), Feed: feed}); !errors.Is(err, ErrEmpty) {
		t.Errorf("of nothing: %v", err)
	}
	torn := errors.New("it is torn")
	if _, err := New(Config{Tape: &moments{end: torn}, Feed: feed}); !errors.Is(err, torn) {
		t.Errorf("torn at once: %v", err)
	}
	s := newStage(t, &moments{list: tapeOf(10, 20).list, end: torn}, nil)
	if err := s.run(t.Context()); !errors.Is(err, torn) {
		t.Errorf("torn: %v", err)
	}
	s = newStage(t, tapeOf(20, 10), nil)
	const back = "the tape goes from 1970-01-01T00:00:00.00000002Z back to 1970-01-01T00:00:00.00000001Z"
	if err := s.run(t.Context()); err == nil || err.Error() != back {
		t.Errorf("backwards: %v", err)
	}
	s = newStage(t, tapeOf(10, 20), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.run(ctx); !errors.Is(err, context.Canceled) || len(s.engine.decided) > 0 {
		t.Errorf("without a context: %v, %q", err, s.engine.decided)
	}
}

// TestPace: with a speed the tape's clock never runs ahead of the machine's, and a wait ends with the context.
func TestPace(t *testing.T) {
	const step = int64(2 * time.Millisecond)
	s := newStage(t, tapeOf(step, 2*step, 5*step), nil)
	s.d.cfg.Speed = 2
	began := time.Now()
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Duration(2*step) {
		t.Errorf("4 steps of the tape at twice its speed took %s", took)
	}
	s = newStage(t, tapeOf(0, int64(time.Hour)), nil)
	s.d.cfg.Speed = 1
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if err := s.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait: %v", err)
	}
}

// TestInterfere: the first one is kept and told, others are not.
func TestInterfere(t *testing.T) {
	s := newStage(t, tapeOf(10), nil)
	var told []string
	s.d.cfg.Interfered = func(by string) { told = append(told, by) }
	s.d.Interfere("x")
	s.d.Interfere("y")
	if by := s.d.State().Interfered; by != "x" || !slices.Equal(told, []string{"x"}) {
		t.Errorf("%q, told %q", by, told)
	}
}

// TestRefused: updates that the feed does not take are counted.
func TestRefused(t *testing.T) {
	m := tapeOf(10)
	m.list[0].updates = append(m.list[0].updates, trade(10, -1))
	s := newStage(t, m, nil)
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := s.d.State(); st.Updates != 1 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
}
