package ranking

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pair is what the tests rank.
type pair struct {
	key    int64
	number uint64
}

// TestRanking compares rankings, filled apart and merged, with sorting everything.
func TestRanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.Int64Range(-3, 3), 0, 60).Draw(t, "keys")
		keep, parts := rapid.IntRange(0, 70).Draw(t, "keep"), rapid.IntRange(1, 4).Draw(t, "parts")
		if rapid.Bool().Draw(t, "all") {
			keep = All
		}
		descending := rapid.Bool().Draw(t, "descending")
		apart := make([]*Ranking[pair], parts)
		for i := range apart {
			apart[i] = New[pair](keep, descending)
		}
		var want []pair
		for i, key := range keys {
			p := pair{key, uint64(i * 7 % 61)}
			want = append(want, p)
			if r := apart[i%parts]; r.Wants(p.key, p.number) {
				r.Add(p.key, p.number, p)
			}
			if r := apart[i%parts]; keep != All && len(r.list) > 2*keep {
				t.Fatalf("%d are held of %d", len(r.list), keep)
			}
		}
		slices.SortFunc(want, func(a, b pair) int {
			c := cmp.Compare(a.key, b.key)
			if descending {
				c = -c
			}
			return cmp.Or(c, cmp.Compare(a.number, b.number))
		})
		if got := Merge(apart...); !slices.Equal(got, want[:min(keep, len(want))]) {
			t.Fatalf("%v, want %v", got, want[:min(keep, len(want))])
		}
	})
	if Merge[int]() != nil {
		t.Error("nothing has a first")
	}
}

// TestUnsigned: all of uint64 keeps its order.
func TestUnsigned(t *testing.T) {
	numbers := []uint64{0, 1, math.MaxInt64, 1 << 63, math.MaxUint64}
	for i := range numbers[1:] {
		if Unsigned(numbers[i]) >= Unsigned(numbers[i+1]) {
			t.Errorf("%d is not below %d", numbers[i], numbers[i+1])
		}
	}
}
