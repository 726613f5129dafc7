package market

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// quotesOf returns all quotes of a snapshot.
func quotesOf(p *Prices) []Quote {
	list := make([]Quote, p.Len())
	for n := range list {
		list[n] = p.Quote(ID(n))
	}
	return list
}

// TestWalkResumed: so many steps in one run are as many in two, with a restart between them.
func TestWalkResumed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse(t)
		cfg := WalkConfig{Seed: rapid.Uint64().Draw(t, "seed"), SpreadTicks: rapid.Int64Range(0, 3).Draw(t, "spread")}
		steps := rapid.IntRange(0, 60).Draw(t, "steps")
		stop := rapid.IntRange(0, steps).Draw(t, "stop")
		whole, half := NewWalk(u, cfg), NewWalk(u, cfg)
		now := func(step int) int64 { return 1e18 + int64(step)*dayNanoseconds/7 }
		for step := range steps {
			if step == stop {
				half = restarted(t, half, u, cfg)
			}
			whole.Step(now(step))
			half.Step(now(step))
		}
		if half.Walked().Steps() != uint64(steps) {
			t.Fatalf("%d steps of %d", half.Walked().Steps(), steps)
		}
		if a, b := quotesOf(whole.Snapshot()), quotesOf(half.Snapshot()); !slices.Equal(a, b) {
			t.Fatalf("in one run %+v\nin two     %+v", a, b)
		}
	})
}

// restarted returns a new feed that goes on where f stands.
func restarted(t *rapid.T, f *Feed, u *Universe, cfg WalkConfig) *Feed {
	text := f.Walked().AppendText(nil)
	next := NewWalk(u, cfg)
	if err := next.Resume(text); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if again := next.Walked().AppendText(nil); string(again) != string(text) {
		t.Fatalf("written\n%s\nread and written again\n%s", text, again)
	}
	return next
}

func listOf(codes ...string) []Instrument {
	var list []Instrument
	for _, code := range codes {
		list = append(list, Instrument{Market: "SH", Code: code, Name: "x", Lot: 100, Tick: 100,
			PreviousClose: 10 * MoneyUnit, LimitBps: 1000})
	}
	return list
}

func universeOf(t testing.TB, list []Instrument) *Universe {
	u, err := NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestWalkResumedWithOthers: what joins the universe or changes there begins at its previous close, what is
// left has its price, and what was halted by a feed or by the universe is what the newer of the two says.
func TestWalkResumedWithOthers(t *testing.T) {
	before := listOf("A", "B", "C", "D", "E")
	before[3].Halted = true
	first := Walk(universeOf(t, before), 1)
	for step := range 100 {
		first.Step(int64(step + 1))
	}
	first.Apply(200, []Update{{ID: 4, Time: 200, Says: SaysStatus, Status: StatusHalted}}, nil)
	after := listOf("A0", "B", "C", "D", "E")
	after[2].PreviousClose = 20 * MoneyUnit
	second := Walk(universeOf(t, after), 1)
	if err := second.Resume(first.Walked().AppendText(nil)); err != nil {
		t.Fatal(err)
	}
	p, was := second.Snapshot(), first.Snapshot()
	for id, want := range []int64{10 * MoneyUnit, was.At(1), 20 * MoneyUnit, was.At(3), was.At(4)} {
		if got := p.At(ID(id)); got != want {
			t.Errorf("%s is at %d, want %d", after[id].Code, got, want)
		}
	}
	for id, want := range []Status{StatusOpen, StatusOpen, StatusOpen, StatusOpen, StatusHalted} {
		if got := p.Status(ID(id)); got != want {
			t.Errorf("%s is %s, want %s", after[id].Code, got, want)
		}
	}
	if second.Walked().Steps() != 100 || p.Time() != 200 {
		t.Errorf("step %d at %d", second.Walked().Steps(), p.Time())
	}
}

// TestWalkNotResumed: what cannot be read changes nothing.
func TestWalkNotResumed(t *testing.T) {
	u := universeOf(t, listOf("A", "B"))
	f := Walk(u, 1)
	f.Step(5)
	good := string(f.Walked().AppendText(nil))
	fields := func(line string) string { return strings.Split(good, "\n")[1] + line }
	for name, text := range map[string]string{
		"nothing": "", "cut off": good[:len(good)-3], "a line less": strings.Replace(good, fields("")+"\n", "", 1),
		"of a later program": strings.Replace(good, "walk 1 ", "walk 2 ", 1),
		"a field more":       strings.Replace(good, fields(""), fields(" 0"), 1),
		"no number":          strings.Replace(good, fields(""), fields("x"), 1),
		"no generator":       strings.Replace(good, "7063673a", "6063673a", 1),
		"a negative price":   strings.Replace(good, "SH.A 1", "SH.A 1 -1 ", 1),
		"crossed":            strings.Replace(good, "SH.A 10", "SH.A 10 99 3 ", 1),
	} {
		next := Walk(u, 1)
		opening := next.Snapshot()
		if err := next.Resume([]byte(text)); err == nil || next.Snapshot() != opening || next.Walked().Steps() != 0 {
			t.Errorf("%s: %v, step %d", name, err, next.Walked().Steps())
		}
	}
	if err := Walk(u, 2).Resume([]byte(good)); !errors.Is(err, ErrOtherSeed) {
		t.Errorf("another seed: %v", err)
	}
}

func FuzzResume(f *testing.F) {
	u := universeOf(f, listOf("A", "B"))
	walk := Walk(u, 1)
	f.Add(walk.Walked().AppendText(nil))
	walk.Step(5)
	f.Add(walk.Walked().AppendText(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		next := Walk(u, 1)
		if next.Resume(text) != nil {
			return
		}
		next.Step(next.Snapshot().Time() + 1)
		for n := range u.Len() {
			if q := next.Snapshot().Quote(ID(n)); !q.possible() {
				t.Fatalf("%+v", q)
			}
		}
		again := Walk(u, 1)
		if err := again.Resume(next.Walked().AppendText(nil)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWalkInHours: while no market is open there is no step, and what is not open stays.
func TestWalkInHours(t *testing.T) {
	list := listOf("A", "B")
	list[1].Market = "US"
	u := universeOf(t, list)
	f := NewWalk(u, WalkConfig{Seed: 1, Hours: toyHours{}})
	open := 0
	for now := int64(1); now < 20*toyDay; now++ {
		f.Turn(now)
		before := f.Snapshot()
		steps := f.Walked().Steps()
		after := f.Step(now)
		any := false
		for n := range u.Len() {
			id, is := ID(n), toyHours{}.Status(u.At(ID(n)).Market, now) == StatusOpen
			any = any || is
			if !is && after.Quote(id) != before.Quote(id) {
				t.Fatalf("at %d %s moved while its market was closed", now, u.At(id))
			}
		}
		if stepped := f.Walked().Steps() > steps; stepped != any {
			t.Fatalf("at %d a market is open: %t, a step: %t", now, any, stepped)
		}
		if any {
			open++
		}
	}
	free := Walk(u, 1)
	for range open {
		free.Step(1)
	}
	if !slices.Equal(free.walk.prices, f.walk.prices) {
		t.Error("hours changed what prices a seed gives")
	}
}
