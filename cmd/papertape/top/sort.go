package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/console"
)

// sortKey is a column to sort by.
type sortKey[T any] struct {
	name    string
	compare func(a, b *T) int
}

// by makes a key of a number or a text.
func by[T any, V cmp.Ordered](name string, of func(*T) V) sortKey[T] {
	return sortKey[T]{name, func(a, b *T) int { return cmp.Compare(of(a), of(b)) }}
}

// The keys of each view. The first is the default, from the largest; the last tells any two rows apart.
var (
	sessionKeys = []sortKey[console.Session]{
		by("waiting", func(s *console.Session) int { return s.WaitingBytes }),
		by("in_flight", func(s *console.Session) int { return s.InFlight }),
		by("bytes_sent", func(s *console.Session) uint64 { return s.BytesSent }),
		by("bytes_received", func(s *console.Session) uint64 { return s.BytesReceived }),
		by("account", func(s *console.Session) uint64 { return s.Account }),
		by("uid", func(s *console.Session) uint64 { return s.UID }),
	}
	accountKeys = []sortKey[console.Account]{
		by("value", func(a *console.Account) int64 { return int64(a.TotalMarketValue) }),
		by("cash", func(a *console.Account) int64 { return int64(a.Cash.Balance) }),
		by("realised", func(a *console.Account) int64 { return int64(a.Cash.Realised) }),
		by("seq", func(a *console.Account) uint64 { return a.Seq }),
		by("sessions", func(a *console.Account) int { return a.Sessions }),
		by("account", func(a *console.Account) uint64 { return a.Account }),
	}
	instrumentKeys = []sortKey[console.Instrument]{
		by("change", change),
		by("price", func(i *console.Instrument) int64 { return int64(i.Price) }),
		by("code", func(i *console.Instrument) string { return i.Market + "." + i.Code }),
	}
)

// change returns how far the price is from the previous close, as a fraction.
func change(i *console.Instrument) float64 {
	if i.PreviousClose == 0 {
		return 0
	}
	return float64(i.Price-i.PreviousClose) / float64(i.PreviousClose)
}

// SortKeys returns what a view can be sorted by. The first is the default, from the largest.
func SortKeys(view View) []string {
	switch view {
	case Accounts:
		return names(accountKeys)
	case Instruments:
		return names(instrumentKeys)
	default:
		return names(sessionKeys)
	}
}

func names[T any](keys []sortKey[T]) (list []string) {
	for _, k := range keys {
		list = append(list, k.name)
	}
	return list
}

// CheckSort returns what is wrong with a key to sort a view by.
func CheckSort(view View, sort string) error {
	if keys := SortKeys(view); !slices.Contains(keys, strings.TrimPrefix(sort, "-")) {
		return fmt.Errorf("sort %q: %s can be sorted by %s; with - in front, the largest first", sort, view,
			strings.Join(keys, ", "))
	}
	return nil
}

// pick keeps the rows that a query asks for, sorted, and puts them into a table.
func pick[T any](all []T, q Query, keys []sortKey[T], match func(*T, string) bool, put func(*Table, []T)) (t Table) {
	rows := make([]T, 0, len(all))
	for i := range all {
		if q.Filter == "" || match(&all[i], q.Filter) {
			rows = append(rows, all[i])
		}
	}
	name, descending := strings.CutPrefix(q.Sort, "-")
	last := keys[len(keys)-1]
	slices.SortFunc(rows, func(a, b T) int {
		for _, k := range keys {
			if k.name == name {
				if order := k.compare(&a, &b); order != 0 && descending {
					return -order
				} else if order != 0 {
					return order
				}
			}
		}
		return last.compare(&a, &b)
	})
	t.Total = len(rows)
	put(&t, rows[:min(len(rows), q.Rows)])
	return t
}
