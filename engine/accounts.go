package engine

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/papertape/papertape/positions"
)

// accountsMax is the longest listing of accounts.
const accountsMax = 1000

// AccountInfo is one account of a listing. Amounts are in 1/10000 of the currency.
type AccountInfo struct {
	Number           uint64
	Seq              uint64 // of its newest event
	Cash             positions.Cash
	TotalMarketValue int64 // at current prices
	Rows             int
	Sessions         int // number of logged-in sessions
}

// Accounts lists up to limit accounts (at most accountsMax) with numbers above after, in ascending
// order. The shards are asked one after the other, so the listing is not a consistent snapshot:
// each account is as its shard found it.
func (e *Engine) Accounts(ctx context.Context, after uint64, limit int) ([]AccountInfo, error) {
	limit = max(0, min(limit, accountsMax))
	var all []AccountInfo
	for i := range e.shards {
		// Account number i belongs to shard i, whether or not the account exists.
		some, err := ask(ctx, e, uint64(i), func(q question[[]AccountInfo]) item {
			return &accountsItem{question: q, after: after, limit: limit}
		})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b AccountInfo) int { return cmp.Compare(a.Number, b.Number) })
	return all[:min(limit, len(all))], nil
}

// accountsItem lists the first accounts of a shard above a number.
type accountsItem struct {
	question[[]AccountInfo]
	after uint64
	limit int
	found []AccountInfo
}

func (a *accountsItem) decide(s *shard, _ *action) { a.found = s.list(a.after, a.limit) }

func (a *accountsItem) publish(*shard, *action) { a.answer(a.found, nil) }

// list returns the first accounts of the shard above after, in their state at this point of the
// step.
func (s *shard) list(after uint64, limit int) []AccountInfo {
	s.drainer.Check()
	numbers := s.firstAfter(after, limit)
	found := make([]AccountInfo, len(numbers))
	for i, number := range numbers {
		v, _ := s.book.View(number)
		found[i] = AccountInfo{
			Number: number, Seq: v.Seq(), Cash: v.Cash(), TotalMarketValue: v.MarketValue(s.step.prices),
			Rows: v.Len(), Sessions: s.accounts[number].sessions,
		}
	}
	return found
}

// firstAfter returns the limit smallest account numbers above after, in ascending order. It never
// sorts more than twice that many numbers: sorting all accounts of a large shard would hold up its
// orders.
func (s *shard) firstAfter(after uint64, limit int) []uint64 {
	if limit == 0 {
		return nil
	}
	numbers := make([]uint64, 0, min(2*limit, len(s.accounts)))
	most := uint64(math.MaxUint64) // the largest number still of interest, once limit numbers are known
	for number := range s.accounts {
		if number <= after || number > most {
			continue
		}
		if numbers = append(numbers, number); len(numbers) == 2*limit {
			slices.Sort(numbers)
			numbers = numbers[:limit]
			most = numbers[limit-1]
		}
	}
	slices.Sort(numbers)
	return numbers[:min(limit, len(numbers))]
}
