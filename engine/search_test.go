package engine

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/positions"
)

// worldOfMany opens accounts over several shards, of which some trade and some have sessions.
func worldOfMany(t *testing.T) (*world, []AccountInfo) {
	t.Helper()
	w := newWorld(t, options{shards: 3})
	if err := openAccounts(t.Context(), w.eng, 2*surveySlice*3+40, 1); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(30) {
		w.trade(firstAccount+i*7, int(i%4)+1)
	}
	for i := range uint64(5) {
		for range i + 1 {
			w.loggedIn(firstAccount + i*11)
		}
	}
	w.settle()
	w.prices.Store(testUniverse.Opening().With(ten, 11_0000))
	all, total, err := w.eng.Accounts(t.Context(), 0, math.MaxInt)
	for err == nil && len(all) < total {
		var more []AccountInfo
		more, _, err = w.eng.Accounts(t.Context(), all[len(all)-1].Number, math.MaxInt)
		all = append(all, more...)
	}
	if err != nil || total != 2*surveySlice*3+40 {
		t.Fatalf("%d accounts, %v", total, err)
	}
	return w, all
}

// TestFindAccounts compares searches with the same made of the whole listing.
func TestFindAccounts(t *testing.T) {
	w, all := worldOfMany(t)
	keys := map[AccountOrder]func(a *AccountInfo) int64{
		ByNumber:   func(a *AccountInfo) int64 { return int64(a.Number) },
		ByValue:    func(a *AccountInfo) int64 { return a.TotalMarketValue },
		ByCash:     func(a *AccountInfo) int64 { return a.Cash.Balance },
		ByEquity:   func(a *AccountInfo) int64 { return a.Cash.Balance + a.TotalMarketValue },
		ByRealised: func(a *AccountInfo) int64 { return a.Cash.Realised },
		BySeq:      func(a *AccountInfo) int64 { return int64(a.Seq) },
		ByRows:     func(a *AccountInfo) int64 { return int64(a.Rows) },
		BySessions: func(a *AccountInfo) int64 { return int64(a.Sessions) },
	}
	for by, key := range keys {
		for _, q := range []AccountSearch{
			{Limit: 10}, {Limit: 1000}, {Offset: 7, Limit: 13}, {Offset: 990, Limit: 10}, {Offset: 5}, {},
			{Prefix: 1000, Limit: 1000}, {Prefix: 100017, Limit: 5}, {Prefix: 10005, Limit: 20}, {Prefix: 9, Limit: 5},
			{Prefix: 1_000_000_000, Limit: 5}, {MinRows: 1, Limit: 50}, {MinRows: 513, Limit: 5},
		} {
			for _, q.Descending = range []bool{false, true} {
				q.By = by
				want := slices.DeleteFunc(slices.Clone(all), func(a AccountInfo) bool {
					return a.Rows < q.MinRows || q.Prefix != 0 && !strings.HasPrefix(
						strconv.FormatUint(a.Number, 10), strconv.FormatUint(q.Prefix, 10))
				})
				slices.SortFunc(want, func(a, b AccountInfo) int {
					c := cmp.Compare(key(&a), key(&b))
					if q.Descending {
						c = -c
					}
					return cmp.Or(c, cmp.Compare(a.Number, b.Number))
				})
				n := len(want)
				want = want[min(q.Offset, n):min(q.Offset+q.Limit, n)]
				got, total, err := w.eng.FindAccounts(t.Context(), q)
				if err != nil || total != n || !slices.Equal(got, want) {
					t.Fatalf("%+v: %d of %d, %v; want %d of %d\n%v\n%v", q, len(got), total, err, len(want), n,
						got, want)
				}
			}
		}
	}
}

// TestFindAccountsInNoWorld: an engine without accounts has none to find.
func TestFindAccountsInNoWorld(t *testing.T) {
	w := newWorld(t, options{shards: 2})
	if got, total, err := w.eng.FindAccounts(t.Context(), AccountSearch{Limit: 5}); len(got)+total != 0 || err != nil {
		t.Errorf("%v, %d, %v", got, total, err)
	}
	if held, err := w.eng.Holders(t.Context(), ten, 5); held.Accounts != 0 || len(held.Most) != 0 || err != nil {
		t.Errorf("%v, %v", held, err)
	}
}

// TestHolders compares what all hold of an instrument with their holdings.
func TestHolders(t *testing.T) {
	w, all := worldOfMany(t)
	var want Held
	for i := range all {
		h, err := w.eng.Holdings(t.Context(), all[i].Number)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range h.Positions {
			if p.Instrument == ten {
				want.Accounts++
				want.Shares += p.Quantity
				want.Most = append(want.Most, Holder{all[i].Number, p.Row})
			}
		}
	}
	slices.SortStableFunc(want.Most, func(a, b Holder) int { return cmp.Compare(b.Row.Quantity, a.Row.Quantity) })
	want.Most = want.Most[:min(3, len(want.Most))]
	got, err := w.eng.Holders(t.Context(), ten, 3)
	if err != nil || got.Accounts != want.Accounts || got.Shares != want.Shares || !slices.Equal(got.Most, want.Most) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if want.Accounts < 3 {
		t.Errorf("only %d accounts hold it", want.Accounts)
	}
}

// TestSurveyLetsOrdersThrough: what was asked of a shard while a search goes on is served before the
// search is over: each slice is a turn of its own.
func TestSurveyLetsOrdersThrough(t *testing.T) {
	w := newWorld(t, options{})
	const slices = 4
	if err := openAccounts(t.Context(), w.eng, slices*surveySlice, 1); err != nil {
		t.Fatal(err)
	}
	w.settle()
	visited, between := 0, make(chan error, 1)
	err := w.eng.survey(t.Context(), func(int) func(*shard, positions.View) {
		return func(s *shard, _ positions.View) {
			if visited++; visited == 1 { // in the first slice: what is posted now comes before the second
				s.post(&heard{func() { between <- nil }})
			}
			if visited == surveySlice+1 && len(between) == 0 {
				between <- errors.New("the second slice came first")
			}
		}
	})
	if err != nil || visited != slices*surveySlice {
		t.Fatalf("%d accounts, %v", visited, err)
	}
	if err := <-between; err != nil {
		t.Error(err)
	}
}

// heard is an item that tells when it was served.
type heard struct{ f func() }

func (h *heard) decide(*shard, *action) { h.f() }

func (*heard) publish(*shard, *action) {}

// TestSurveyEnds: a search ends with its context, and with the engine.
func TestSurveyEnds(t *testing.T) {
	w := newWorld(t, options{shards: 2}, alice)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.eng.FindAccounts(ctx, AccountSearch{Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	w.eng.Stop()
	for range 20 {
		if _, _, err := w.eng.FindAccounts(t.Context(), AccountSearch{Limit: 1}); !errors.Is(err, ErrStopped) {
			t.Fatalf("after Stop: %v", err)
		}
	}
}

// BenchmarkFindAccounts sorts 100,000 accounts again and again. asked-p99-us is how long questions to
// the shards took meanwhile; nothing has the same without a search.
func BenchmarkFindAccounts(b *testing.B) {
	w := newWorld(b, options{shards: 2})
	if err := openAccounts(b.Context(), w.eng, 100_000, 1); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		q    AccountSearch
	}{
		{"nothing", AccountSearch{}}, {"account", AccountSearch{By: ByNumber}}, {"value", AccountSearch{By: ByValue}},
		{"cash", AccountSearch{By: ByCash}}, {"equity", AccountSearch{By: ByEquity}},
		{"realised", AccountSearch{By: ByRealised}}, {"seq", AccountSearch{By: BySeq}},
		{"sessions", AccountSearch{By: BySessions}}, {"prefix", AccountSearch{Prefix: 1000}},
	} {
		b.Run(c.name, func(b *testing.B) {
			stop, asked := make(chan struct{}), make(chan []time.Duration)
			go func() { asked <- w.askUntil(stop) }()
			for b.Loop() {
				if c.name == "nothing" {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				c.q.Descending, c.q.Limit = true, 100
				if _, _, err := w.eng.FindAccounts(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
			close(stop)
			took := <-asked
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "asked-p99-us")
		})
	}
}

// askUntil asks the shards, again and again, and returns how long each answer took.
func (w *world) askUntil(stop <-chan struct{}) (took []time.Duration) {
	for i := uint64(0); ; i++ {
		began := time.Now()
		if _, err := w.eng.Account(context.Background(), firstAccount+i%1000); err != nil {
			w.t.Errorf("%v", err)
		}
		took = append(took, time.Since(began))
		select {
		case <-stop:
			return took
		case <-time.After(200 * time.Microsecond):
		}
	}
}
