package keys

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/papertape/papertape/decimal"
)

// RangesMax is how many ranges of accounts a key may grant.
const RangesMax = 1000

// The texts of the grants that are not a list.
const (
	everyAccount = "*"
	noAccount    = "-"
)

// Accounts are the accounts that a key grants. The zero value is none.
type Accounts struct {
	all    bool
	ranges []accountRange // ascending, with a gap between any two
}

type accountRange struct{ first, last uint64 }

// ParseAccounts reads a list such as 100001,100010-100019, or * for all accounts, or - for none.
func ParseAccounts(text string) (a Accounts, err error) {
	switch text {
	case everyAccount:
		return Accounts{all: true}, nil
	case noAccount:
		return Accounts{}, nil
	}
	if n := strings.Count(text, ",") + 1; n > RangesMax {
		return a, fmt.Errorf("there are %d ranges of accounts; write at most %d", n, RangesMax)
	}
	for part := range strings.SplitSeq(text, ",") {
		one, err := parseRange(part)
		if err != nil {
			return Accounts{}, fmt.Errorf("the accounts: %w; they are as in 100001,100010-100019, or * for all, "+
				"or - for none", err)
		}
		a.ranges = append(a.ranges, one)
	}
	a.ranges = merged(a.ranges)
	return a, nil
}

func parseRange(text string) (r accountRange, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if r.first, err = decimal.ParseWhole[uint64](first, 1, math.MaxUint64); err != nil {
		return r, err
	}
	if r.last = r.first; !isRange {
		return r, nil
	}
	r.last, err = decimal.ParseWhole(last, r.first, uint64(math.MaxUint64))
	return r, err
}

// merged sorts ranges, and joins those that overlap or touch.
func merged(ranges []accountRange) []accountRange {
	slices.SortFunc(ranges, func(a, b accountRange) int { return cmp.Compare(a.first, b.first) })
	kept := ranges[:0]
	for _, r := range ranges {
		if n := len(kept); n > 0 && r.first-1 <= kept[n-1].last { // first is at least 1
			kept[n-1].last = max(kept[n-1].last, r.last)
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// Has reports whether the account is granted.
func (a *Accounts) Has(account uint64) bool {
	if a.all {
		return true
	}
	at, found := slices.BinarySearchFunc(a.ranges, account, func(r accountRange, account uint64) int {
		return cmp.Compare(r.first, account)
	})
	return found || at > 0 && account <= a.ranges[at-1].last
}

// All reports whether every account is granted.
func (a *Accounts) All() bool { return a.all }

// None reports whether no account is granted.
func (a *Accounts) None() bool { return !a.all && len(a.ranges) == 0 }

// Covers reports whether all accounts of b are granted by a too.
func (a *Accounts) Covers(b *Accounts) bool {
	if a.all || b.all {
		return a.all
	}
	for _, r := range b.ranges {
		at, found := slices.BinarySearchFunc(a.ranges, r.first, func(r accountRange, first uint64) int {
			return cmp.Compare(r.first, first)
		})
		if !found {
			at--
		}
		if at < 0 || r.last > a.ranges[at].last {
			return false
		}
	}
	return true
}

// String returns the list, in order and without overlaps.
func (a Accounts) String() string {
	switch {
	case a.all:
		return everyAccount
	case a.None():
		return noAccount
	}
	var b strings.Builder
	for i, r := range a.ranges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(r.first, 10))
		if r.last > r.first {
			b.WriteByte('-')
			b.WriteString(strconv.FormatUint(r.last, 10))
		}
	}
	return b.String()
}
