package market

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestFixed(t *testing.T) {
	u := Default()
	f := Fixed(u)
	opening := f.Snapshot()
	if opening.Version() != 0 || opening.Time() != 0 || opening.Len() != u.Len() {
		t.Errorf("the opening has version %d, time %d, %d prices", opening.Version(), opening.Time(), opening.Len())
	}
	if f.Step(1) != opening || f.Snapshot() != opening {
		t.Error("fixed prices moved")
	}
	for n := range u.Len() {
		if got, want := opening.At(ID(n)), u.At(ID(n)).PreviousClose; got != want {
			t.Errorf("%s opens at %s, want %s", u.At(ID(n)), FormatMoney(got), FormatMoney(want))
		}
	}
}

// lasts returns the last prices of a snapshot.
func lasts(p *Prices) []int64 {
	list := make([]int64, p.Len())
	for n := range list {
		list[n] = p.At(ID(n))
	}
	return list
}

// anyUniverse draws a universe with unusual ticks, limits and prices.
func anyUniverse(t *rapid.T) *Universe {
	list := make([]Instrument, rapid.IntRange(1, 8).Draw(t, "instruments"))
	for n := range list {
		tick := rapid.SampledFrom([]int64{1, 7, 100, 5000, MoneyUnit}).Draw(t, "tick")
		list[n] = Instrument{
			Market: "SH", Code: string(rune('A' + n)), Name: "x", Lot: 1, Tick: tick,
			PreviousClose: tick * rapid.Int64Range(1, MaxPrice/tick).Draw(t, "ticks"),
			LimitBps:      rapid.Int64Range(0, wholeBps).Draw(t, "limit"),
			Halted:        rapid.IntRange(0, 4).Draw(t, "halted") == 0,
		}
	}
	u, err := NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse(t)
		seed := rapid.Uint64().Draw(t, "seed")
		a, b := Walk(u, seed), Walk(u, seed)
		before := a.Snapshot()
		for step := range rapid.IntRange(1, 200).Draw(t, "steps") {
			kept := lasts(before)
			p, q := a.Step(int64(step)), b.Step(int64(step)*1000+7)
			if a.Snapshot() != p {
				t.Fatal("the snapshot is not what Step returned")
			}
			if !slices.Equal(lasts(p), lasts(q)) || p.Version() != q.Version() {
				t.Fatalf("step %d: one seed, two walks: %v and %v", step, lasts(p), lasts(q))
			}
			checkStep(t, u, before, p, int64(step))
			if !slices.Equal(lasts(before), kept) {
				t.Fatalf("step %d wrote into the snapshot before it", step)
			}
			before = p
		}
	})
}

func checkStep(t *rapid.T, u *Universe, before, p *Prices, now int64) {
	changed := !slices.Equal(lasts(before), lasts(p))
	if changed != (p != before) {
		t.Fatalf("prices changed: %t, a new snapshot: %t", changed, p != before)
	}
	if changed && (p.Version() != before.Version()+1 || p.Time() != now) {
		t.Fatalf("version %d and time %d after version %d at %d", p.Version(), p.Time(), before.Version(), now)
	}
	for n, price := range lasts(p) {
		i := u.At(ID(n))
		low, high := i.Limits()
		switch {
		case i.Halted && price != i.PreviousClose:
			t.Fatalf("halted %s moved to %d", i, price)
		case price%i.Tick != 0:
			t.Fatalf("%s is at %d, off its tick of %d", i, price, i.Tick)
		case price < low || price > high:
			t.Fatalf("%s is at %d, outside %d to %d", i, price, low, high)
		}
	}
}

// TestWalkOfADay pins the shipped walk of seed 1, so that a change of the process, and so
// of what seeds mean, is noticed. Over a day the walk must neither stand still nor stay at
// its limits.
func TestWalkOfADay(t *testing.T) {
	u := Default()
	f := Walk(u, 1)
	bank, stopped := mustParse(t, u, "SZ.000001"), mustParse(t, u, "SZ.009999")
	low, high := u.At(bank).Limits()
	atLimit, seen := 0, map[int64]bool{}
	const day = 4 * 60 * 60
	var golden []int64
	for step := range day {
		price := f.Step(int64(step)).At(bank)
		seen[price] = true
		if price == low || price == high {
			atLimit++
		}
		if step < 8 {
			golden = append(golden, price)
		}
	}
	want := []int64{10_0000, 10_0100, 10_0200, 10_0200, 10_0100, 10_0100, 10_0200, 10_0300}
	if !slices.Equal(golden, want) {
		t.Errorf("the walk begins %v, want %v", golden, want)
	}
	if len(seen) < 30 || atLimit > day/20 {
		t.Errorf("%d prices seen, %d of %d steps at a limit", len(seen), atLimit, day)
	}
	if got := f.Snapshot().At(stopped); got != u.At(stopped).PreviousClose {
		t.Errorf("the halted instrument is at %d", got)
	}
	if slices.Equal(lasts(Walk(u, 1).Step(1)), lasts(Walk(u, 2).Step(1))) {
		t.Error("two seeds take the same first step")
	}
}

func TestWith(t *testing.T) {
	opening := Default().Opening()
	next := opening.With(3, 77)
	if next.At(3) != 77 || next.At(2) != opening.At(2) || next.Version() != 1 || opening.At(3) == 77 {
		t.Errorf("With: %d, %d, version %d; the original %d", next.At(3), next.At(2), next.Version(), opening.At(3))
	}
}

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, f := range map[string]*Feed{"walk": Walk(Default(), 1), "fixed": Fixed(Default())} {
		ctx, cancel := context.WithCancel(t.Context())
		snapshots, ended := make(chan *Prices), make(chan struct{})
		go func() {
			defer close(ended)
			f.Run(ctx, time.Millisecond, func(p *Prices) {
				select {
				case snapshots <- p:
				case <-ctx.Done():
				}
			})
		}()
		if name == "walk" {
			for version := uint64(1); version <= 3; version++ {
				if p := <-snapshots; p.Version() != version || p.Time() == 0 {
					t.Errorf("version %d at %d, want version %d", p.Version(), p.Time(), version)
				}
			}
		}
		cancel()
		<-ended
		if f.Snapshot().Version() > 0 != (name == "walk") {
			t.Errorf("%s ends at version %d", name, f.Snapshot().Version())
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	u := Default()
	market, code := []byte("XSHG"), []byte("600519")
	b.ReportAllocs()
	for b.Loop() {
		u.Lookup(market, code)
	}
}

func BenchmarkStep(b *testing.B) {
	f := Walk(Default(), 1)
	b.ReportAllocs()
	for b.Loop() {
		f.Step(0)
	}
}
