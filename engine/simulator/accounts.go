package simulator

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const (
	// FirstAccount is the number of the first customer account.
	FirstAccount = 100001
	// OpeningCash is the cash of an account after its opening, in 1/10000.
	OpeningCash = 1_000_000_0000

	openingRowsMax = 12
)

// Accounts are the customer accounts of a demo, numbered FirstAccount, FirstAccount+1, …
type Accounts struct {
	Count    int
	Seed     uint64 // determines their opening rows
	Universe *market.Universe
}

// Open opens the accounts; see Engine.Open. With the same seed an account opens in the same way,
// however many accounts there are.
func (a Accounts) Open(ctx context.Context, eng *engine.Engine) error {
	return eng.Open(ctx, a.numbers(), func(number uint64) engine.Opening {
		return OpeningOf(number, a.Seed, a.Universe)
	})
}

func (a Accounts) numbers() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range a.Count {
			if !yield(uint64(FirstAccount + i)) {
				return
			}
		}
	}
}

// OpeningOf returns the opening of an account: the adjustment of its cash, then one order per row,
// at the opening prices. Every hundredth account (for example 100100) and one in eight of the
// others open without rows.
func OpeningOf(number, seed uint64, u *market.Universe) engine.Opening {
	rng := rand.New(rand.NewPCG(seed, number))
	rows := 0
	if number%100 != 0 && rng.IntN(8) != 0 {
		rows = rng.IntN(openingRowsMax + 1)
	}
	rows = min(rows, u.Listed())
	cash := int64(OpeningCash)
	orders := make([]positions.Order, 0, rows)
	for _, i := range someOf(rng, u.Listed(), rows) {
		o := positions.Order{
			Account: number, Instrument: u.ListedIDs()[i], Side: positions.Buy, Origin: positions.OriginOperator,
			Quantity: int64(1+rng.IntN(20)) * 100,
		}
		cash += o.Quantity * u.Opening().At(o.Instrument)
		orders = append(orders, o)
	}
	return engine.Opening{
		Adjustment: positions.Adjustment{Cash: cash, Reason: "account opened", Actor: "papertape"}, Orders: orders,
	}
}

// shuffledMax is how many instruments are shuffled to choose some; of more, some are drawn, for every
// account is opened in this way.
const shuffledMax = 512

// someOf returns count different numbers below n.
func someOf(rng *rand.Rand, n, count int) []int {
	if n <= shuffledMax {
		return rng.Perm(n)[:count]
	}
	some := make([]int, 0, count)
	for len(some) < count {
		if i := rng.IntN(n); !slices.Contains(some, i) {
			some = append(some, i)
		}
	}
	return some
}
