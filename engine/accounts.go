package engine

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// accountsMax is the longest listing of accounts.
const accountsMax = 1000

// AccountInfo is one account of a listing. Amounts are in 1/10000 of the currency.
type AccountInfo struct {
	Number           uint64
	Seq              uint64 // of its newest event
	Time             int64  // of that event, in nanoseconds since the Unix epoch; 0: not in memory any more
	Cash             positions.Cash
	TotalMarketValue int64 // at current prices
	Rows             int
	Sessions         int // number of logged-in sessions
}

// Equity returns cash and market value together, or math.MaxInt64 if that does not fit.
func (a *AccountInfo) Equity() int64 { return saturated(a.Cash.Balance, a.TotalMarketValue) }

// saturated adds cash and value, neither of which is negative.
func saturated(cash, value int64) int64 {
	if cash > math.MaxInt64-value {
		return math.MaxInt64
	}
	return cash + value
}

// Accounts lists up to limit accounts (at most accountsMax) with numbers above after, in ascending
// order, and tells how many accounts there are. The shards are asked one after the other, so the
// listing is not a consistent snapshot: each account is as its shard found it.
func (e *Engine) Accounts(ctx context.Context, after uint64, limit int) (list []AccountInfo, total int, err error) {
	limit = max(0, min(limit, accountsMax))
	for i := range e.shards {
		// Account number i belongs to shard i, whether or not the account exists.
		some, err := ask(ctx, e, uint64(i), func(q question[accountsFound]) item {
			return &accountsItem{question: q, after: after, limit: limit}
		})
		if err != nil {
			return nil, 0, err
		}
		list, total = append(list, some.list...), total+some.total
	}
	slices.SortFunc(list, func(a, b AccountInfo) int { return cmp.Compare(a.Number, b.Number) })
	return list[:min(limit, len(list))], total, nil
}

// Account returns one account as a listing has it.
func (e *Engine) Account(ctx context.Context, number uint64) (AccountInfo, error) {
	return ask(ctx, e, number, func(q question[AccountInfo]) item { return &accountItem{question: q, number: number} })
}

// accountItem looks at one account.
type accountItem struct {
	question[AccountInfo]
	number uint64
	found  AccountInfo
	exists bool
}

func (a *accountItem) decide(s *shard, _ *action) {
	if v, ok := s.book.View(a.number); ok {
		a.found, a.exists = s.info(v), true
	}
}

func (a *accountItem) publish(*shard, *action) {
	if !a.exists {
		a.answer(AccountInfo{}, ErrUnknownAccount)
		return
	}
	a.answer(a.found, nil)
}

// accountsItem lists the first accounts of a shard above a number.
type accountsItem struct {
	question[accountsFound]
	after uint64
	limit int
	found accountsFound
}

// accountsFound are some accounts of a shard, and how many it has.
type accountsFound struct {
	list  []AccountInfo
	total int
}

func (a *accountsItem) decide(s *shard, _ *action) {
	a.found = accountsFound{s.list(a.after, a.limit), s.book.Len()}
}

func (a *accountsItem) publish(*shard, *action) { a.answer(a.found, nil) }

// list returns the first accounts of the shard above after, in their state at this point of the
// step.
func (s *shard) list(after uint64, limit int) []AccountInfo {
	s.drainer.Check()
	numbers := s.firstAfter(after, limit)
	found := make([]AccountInfo, len(numbers))
	for i, number := range numbers {
		v, _ := s.book.View(number)
		found[i] = s.info(v)
	}
	return found
}

// info describes an account in its state at this point of the step.
func (s *shard) info(v positions.View) AccountInfo {
	s.drainer.Check()
	in := AccountInfo{
		Number: v.Account(), Seq: v.Seq(), Cash: v.Cash(), TotalMarketValue: v.MarketValue(s.step.prices),
		Rows: v.Len(),
	}
	a := s.accounts[in.Number]
	in.Sessions = a.sessions
	switch {
	case a.tail.has(in.Seq):
		in.Time, _ = record.Time(a.tail.at(in.Seq)) // a record in memory is whole
	case in.Seq > a.tail.head:
		in.Time = s.step.now // decided in this step
	}
	return in
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
