// Package ranking keeps the first of many, in order, without keeping or sorting them all.
//
//	r := ranking.New[string](10, true) // the ten greatest
//	for number, name := range many {
//		if key := keyOf(name); r.Wants(key, number) {
//			r.Add(key, number, name)
//		}
//	}
//	first := ranking.Merge(r) // of one, or of several that were filled apart
package ranking

import (
	"cmp"
	"math"
	"slices"
)

// All is how many to keep in order to keep all.
const All = math.MaxInt / 2

// Ranking keeps the first of what it is given. Equal keys are sorted by number, ascending. It never
// holds or sorts more than twice as many as it keeps.
type Ranking[T any] struct {
	keep       int
	descending bool
	list       []ranked[T]
	full       bool
	last       ranked[T] // once full: what comes after it is not among the first
}

// ranked is something, with what it is sorted by.
type ranked[T any] struct {
	key    int64
	number uint64
	what   T
}

// New returns a ranking that keeps so many.
func New[T any](keep int, descending bool) *Ranking[T] {
	return &Ranking[T]{keep: max(0, min(keep, All)), descending: descending}
}

func (r *Ranking[T]) compare(a, b *ranked[T]) int {
	c := cmp.Compare(a.key, b.key)
	if r.descending {
		c = -c
	}
	return cmp.Or(c, cmp.Compare(a.number, b.number))
}

// Wants reports whether something with this key and number may be among the first.
func (r *Ranking[T]) Wants(key int64, number uint64) bool {
	return r.keep > 0 && (!r.full || r.compare(&ranked[T]{key: key, number: number}, &r.last) < 0)
}

// Add takes something that the ranking wants.
func (r *Ranking[T]) Add(key int64, number uint64, what T) {
	if r.list = append(r.list, ranked[T]{key, number, what}); len(r.list) >= 2*r.keep {
		r.cut()
	}
}

// cut sorts the list, and leaves the first of it.
func (r *Ranking[T]) cut() {
	slices.SortFunc(r.list, func(a, b ranked[T]) int { return r.compare(&a, &b) })
	if r.keep > 0 && len(r.list) >= r.keep {
		clear(r.list[r.keep:])
		r.list, r.full = r.list[:r.keep], true
		r.last = r.list[r.keep-1]
	}
}

// Merge returns the first of rankings that keep as many in the same order.
func Merge[T any](all ...*Ranking[T]) []T {
	if len(all) == 0 {
		return nil
	}
	one := New[T](all[0].keep, all[0].descending)
	for _, r := range all {
		one.list = append(one.list, r.list...)
	}
	one.cut()
	list := make([]T, len(one.list))
	for i := range list {
		list[i] = one.list[i].what
	}
	return list
}

// Unsigned returns a key that compares with others as n does.
func Unsigned(n uint64) int64 { return int64(n ^ 1<<63) } //nolint:gosec // a change of scale
