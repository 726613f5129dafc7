package engine

import (
	"cmp"
	"slices"
)

// ranked is something of an account, with what it is sorted by. Equal keys are sorted by number.
type ranked[T any] struct {
	key    int64
	number uint64
	what   T
}

// ranking keeps the first keep of what it is given. It never holds or sorts more than twice as many.
type ranking[T any] struct {
	keep       int
	descending bool
	list       []ranked[T]
	full       bool
	last       ranked[T] // once full: what comes after it is not among the first keep
}

func newRanking[T any](keep int, descending bool) *ranking[T] {
	return &ranking[T]{keep: keep, descending: descending}
}

func (r *ranking[T]) compare(a, b *ranked[T]) int {
	c := cmp.Compare(a.key, b.key)
	if r.descending {
		c = -c
	}
	if c == 0 {
		c = cmp.Compare(a.number, b.number)
	}
	return c
}

// wants reports whether something with this key may be among the first.
func (r *ranking[T]) wants(key int64, number uint64) bool {
	return r.keep > 0 && (!r.full || r.compare(&ranked[T]{key: key, number: number}, &r.last) < 0)
}

// add takes something that is wanted.
func (r *ranking[T]) add(key int64, number uint64, what T) {
	if r.list = append(r.list, ranked[T]{key, number, what}); len(r.list) >= 2*r.keep {
		r.cut()
	}
}

// cut sorts the list, and leaves the first keep of it.
func (r *ranking[T]) cut() {
	slices.SortFunc(r.list, func(a, b ranked[T]) int { return r.compare(&a, &b) })
	if len(r.list) >= r.keep && r.keep > 0 {
		r.list, r.full = r.list[:r.keep], true
		r.last = r.list[r.keep-1]
	}
}

// merged returns the first of several rankings of the same kind, in order.
func merged[T any](all []*ranking[T]) []T {
	one := &ranking[T]{keep: all[0].keep, descending: all[0].descending}
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
