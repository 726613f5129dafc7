package engine

import (
	"context"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/ranking"
)

// AccountOrder is what accounts are sorted by.
type AccountOrder uint8

// The orders.
const (
	ByNumber AccountOrder = iota
	ByValue
	ByCash
	ByEquity
	ByRealised
	BySeq
	ByRows
	BySessions
)

// AccountSearch says which accounts to find. Its zero value finds none, since Limit is 0.
type AccountSearch struct {
	Prefix     uint64 // the first digits of the number; 0: any
	MinRows    int
	By         AccountOrder
	Descending bool
	Offset     int // how many of the beginning to leave out
	Limit      int // Offset and Limit together: at most SearchMax
}

// SearchMax is how far into the sorted accounts a search may go.
const SearchMax = accountsMax

// FindAccounts returns the accounts that a search finds, sorted, and how many accounts there are with
// its prefix and rows. It looks at every account, some at a time (see survey), and keeps the first
// Offset+Limit.
func (e *Engine) FindAccounts(ctx context.Context, q AccountSearch) (list []AccountInfo, total int, err error) {
	q.Offset, q.Limit = max(0, q.Offset), max(0, q.Limit)
	keep := min(q.Offset+q.Limit, SearchMax)
	found := make([]*ranking.Ranking[AccountInfo], len(e.shards))
	totals := make([]int, len(e.shards))
	err = e.survey(ctx, func(i int) func(*shard, positions.View) {
		r := ranking.New[AccountInfo](keep, q.Descending)
		found[i] = r
		return func(s *shard, v positions.View) {
			if v.Len() < q.MinRows || !hasPrefix(v.Account(), q.Prefix) {
				return
			}
			totals[i]++
			if key := q.keyOf(s, v); r.Wants(key, v.Account()) {
				r.Add(key, v.Account(), s.info(v))
			}
		}
	})
	if err != nil {
		return nil, 0, err
	}
	list = ranking.Merge(found...)
	for _, n := range totals {
		total += n
	}
	return list[min(q.Offset, len(list)):], total, nil
}

// hasPrefix reports whether a number, in decimal, begins with the digits of prefix.
func hasPrefix(number, prefix uint64) bool {
	for prefix != 0 && number > prefix {
		number /= 10
	}
	return prefix == 0 || number == prefix
}

// keyOf returns what an account is sorted by.
func (q *AccountSearch) keyOf(s *shard, v positions.View) int64 {
	switch q.By {
	case ByValue:
		return v.MarketValue(s.step.prices)
	case ByCash:
		return v.Cash().Balance
	case ByEquity:
		return saturated(v.Cash().Balance, v.MarketValue(s.step.prices))
	case ByRealised:
		return v.Cash().Realised
	case BySeq:
		return ranking.Unsigned(v.Seq())
	case ByRows:
		return int64(v.Len())
	case BySessions:
		return int64(s.accounts[v.Account()].sessions)
	default:
		return ranking.Unsigned(v.Account())
	}
}

// Held is what all accounts hold of an instrument, and who holds most.
type Held struct {
	Accounts int
	Shares   int64 // math.MaxInt64 if that does not fit
	Most     []Holder
}

// Holder is an account that holds an instrument.
type Holder struct {
	Account uint64
	Row     positions.Row
}

// Holders returns what the accounts hold of an instrument, and the up to limit (at most SearchMax) that
// hold most. It looks at every account, some at a time (see survey).
func (e *Engine) Holders(ctx context.Context, id market.ID, limit int) (Held, error) {
	limit = max(0, min(limit, SearchMax))
	found, held := make([]*ranking.Ranking[Holder], len(e.shards)), make([]Held, len(e.shards))
	err := e.survey(ctx, func(i int) func(*shard, positions.View) {
		r := ranking.New[Holder](limit, true)
		found[i] = r
		return func(_ *shard, v positions.View) {
			row, holds := v.Find(id)
			if !holds {
				return
			}
			held[i].Accounts++
			held[i].Shares = saturated(held[i].Shares, row.Quantity)
			if r.Wants(row.Quantity, v.Account()) {
				r.Add(row.Quantity, v.Account(), Holder{v.Account(), row})
			}
		}
	})
	if err != nil {
		return Held{}, err
	}
	all := Held{Most: ranking.Merge(found...)}
	for i := range held {
		all.Accounts, all.Shares = all.Accounts+held[i].Accounts, saturated(all.Shares, held[i].Shares)
	}
	return all, nil
}
