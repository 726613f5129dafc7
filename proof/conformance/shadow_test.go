package conformance

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// money is one unit of the currency in ten-thousandths.
const money = 10_000

// instrument is the key of a row. A code alone is not unique.
type instrument struct{ market, code string }

func (i instrument) String() string { return i.market + "." + i.code }

func (i instrument) compare(o instrument) int {
	return cmp.Or(cmp.Compare(i.market, o.market), cmp.Compare(i.code, o.code))
}

// row is one position, as computed here from the trades.
type row struct {
	quantity, cost, realised int64
	price                    int64 // the latest known
	version                  uint64
}

// shadow is an account computed from its events by this package's own arithmetic, for a server
// without rules: there are no fees, and everything is sellable at once.
type shadow struct {
	account                 uint64
	seq                     uint64
	balance, fees, realised int64
	rows                    map[instrument]row
	fixed                   bool // prices never change, so totals can be computed

	// For busts, which are folded from the first event.
	whole    bool     // events starts at sequence 1
	adjusted int64    // cash that did not come from trades
	trades   []booked // all, in sequence order
	closed   map[instrument]row
}

// newShadow returns an account before its first event.
func newShadow(account uint64, fixed bool) *shadow {
	return &shadow{account: account, rows: map[instrument]row{}, closed: map[instrument]row{}, fixed: fixed,
		whole: true}
}

// shadowOf returns the account that h describes.
func shadowOf(h *pb.Holdings, fixed bool) *shadow {
	b := newShadow(h.Account, fixed)
	b.seq, b.whole = h.AsOfSeq, false
	b.balance, b.fees, b.realised = h.Cash.GetBalance(), h.Cash.GetFeesPaid(), h.Cash.GetRealised()
	for _, p := range h.Positions {
		b.rows[instrument{p.Market, p.Code}] = row{p.Quantity, p.Cost, p.Realised, p.Price, p.RowVersion}
	}
	return b
}

// fold applies ev to the account, and returns an error if ev's absolute values differ from what
// follows from its trade.
func (b *shadow) fold(ev *pb.AccountEvent) error {
	if ev.Account != b.account {
		return fmt.Errorf("event %d is of account %d, want %d", ev.Seq, ev.Account, b.account)
	}
	if ev.Seq != b.seq+1 {
		return fmt.Errorf("event %d follows event %d", ev.Seq, b.seq)
	}
	if ev.Time <= 0 {
		return fmt.Errorf("event %d has time %d, want nanoseconds since 1970", ev.Seq, ev.Time)
	}
	b.seq = ev.Seq
	switch what := ev.What.(type) {
	case *pb.AccountEvent_Adjustment:
		b.balance += what.Adjustment.Cash
		b.adjusted += what.Adjustment.Cash
		if len(ev.Positions) != 0 {
			return fmt.Errorf("event %d, an adjustment, has %d rows, want none", ev.Seq, len(ev.Positions))
		}
	case *pb.AccountEvent_Trade:
		if err := b.foldTrade(ev, what.Trade); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
	case *pb.AccountEvent_Bust:
		if err := b.foldBust(ev, what.Bust); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
	case *pb.AccountEvent_Reset_:
		if err := b.foldReset(ev, what.Reset_); err != nil {
			return fmt.Errorf("event %d: %w", ev.Seq, err)
		}
	default:
		return fmt.Errorf("event %d is a %T, want a trade, a bust, an adjustment or a reset", ev.Seq, ev.What)
	}
	return differences(fmt.Sprintf("event %d", ev.Seq),
		figure{"cash balance", ev.Cash.GetBalance(), b.balance},
		figure{"fees paid", ev.Cash.GetFeesPaid(), b.fees},
		figure{"realised of the account", ev.Cash.GetRealised(), b.realised},
	)
}

// foldTrade applies one trade to its row and the cash.
func (b *shadow) foldTrade(ev *pb.AccountEvent, t *pb.Trade) error {
	if want := fmt.Sprintf("%d-%d", b.account, ev.Seq); t.Id != want {
		return fmt.Errorf("trade id %q, want %q", t.Id, want)
	}
	if t.Quantity <= 0 || t.Price <= 0 || t.Amount != t.Quantity*t.Price || t.Fees != 0 || t.Revision != 0 {
		return fmt.Errorf("trade %v: want quantity, price > 0, amount = quantity * price, no fees, revision 0", t)
	}
	if len(ev.Positions) != 1 {
		return fmt.Errorf("%d rows, want the one that was traded", len(ev.Positions))
	}
	key, p := instrument{t.Market, t.Code}, ev.Positions[0]
	if got := (instrument{p.Market, p.Code}); got != key || p.Name != t.Name {
		return fmt.Errorf("row %s %q, want that of the trade, %s %q", got, p.Name, key, t.Name)
	}
	r, change, err := b.move(key, t)
	if err != nil {
		return err
	}
	if b.balance < 0 {
		return fmt.Errorf("the trade leaves cash at %d", b.balance)
	}
	r.version, r.price = ev.Seq, p.Price
	b.setRow(key, r)
	b.trades = append(b.trades, booked{seq: ev.Seq, trade: t})
	if ev.Change != change {
		return fmt.Errorf("change %v, want %v", ev.Change, change)
	}
	if t.Origin == pb.Origin_ORIGIN_CLIENT && p.Price != t.Price {
		return fmt.Errorf("row price %d, but the order was filled at %d", p.Price, t.Price)
	}
	if b.fixed && ev.TotalMarketValue != b.marketValue() {
		return fmt.Errorf("total market value %d, want %d", ev.TotalMarketValue, b.marketValue())
	}
	return differences("row "+key.String(),
		figure{"quantity", p.Quantity, r.quantity},
		figure{"sellable", p.Sellable, r.quantity},
		figure{"market value", p.MarketValue, r.quantity * p.Price},
		figure{"cost", p.Cost, r.cost},
		figure{"realised", p.Realised, r.realised},
		figure{"row version", int64(p.RowVersion), int64(ev.Seq)},
	)
}

// move returns the row of key after t, and which of the four movements that is. It books the cash.
func (b *shadow) move(key instrument, t *pb.Trade) (row, pb.Change, error) {
	r, held := b.rows[key]
	switch t.Side {
	case pb.Side_SIDE_BUY:
		b.balance -= t.Amount
		r.quantity += t.Quantity
		r.cost += t.Amount
		if held {
			return r, pb.Change_CHANGE_INCREASED, nil
		}
		return r, pb.Change_CHANGE_OPENED, nil
	case pb.Side_SIDE_SELL:
		if t.Quantity > r.quantity {
			return r, 0, fmt.Errorf("%d shares of %s were sold, but %d were held", t.Quantity, key, r.quantity)
		}
		taken := shareOfCost(r.cost, t.Quantity, r.quantity)
		b.balance += t.Amount
		b.realised += t.Amount - taken
		r.quantity -= t.Quantity
		r.cost -= taken
		r.realised += t.Amount - taken
		if r.quantity == 0 {
			return r, pb.Change_CHANGE_CLOSED, nil
		}
		return r, pb.Change_CHANGE_DECREASED, nil
	}
	return r, 0, fmt.Errorf("side %v, want a buy or a sell", t.Side)
}

// setRow sets the row of an instrument. A row without shares is removed.
func (b *shadow) setRow(key instrument, r row) {
	delete(b.rows, key)
	delete(b.closed, key)
	if r.quantity == 0 {
		b.closed[key] = r
	} else {
		b.rows[key] = r
	}
}

// marketValue returns the value of all rows at the latest known prices.
func (b *shadow) marketValue() int64 {
	var total int64
	for _, r := range b.rows {
		total += r.quantity * r.price
	}
	return total
}

// keys returns the instruments held, by market and then code.
func (b *shadow) keys() []instrument {
	keys := make([]instrument, 0, len(b.rows))
	for key := range b.rows {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, instrument.compare)
	return keys
}

// hash returns the state hash of the account as computed here.
func (b *shadow) hash() uint64 {
	h := hasher(fnvOffset)
	for _, v := range []uint64{b.account, b.seq, uint64(b.balance), uint64(b.fees), uint64(b.realised)} {
		h.number(v)
	}
	for _, key := range b.keys() {
		r := b.rows[key]
		h.row(key, r.quantity, r.cost, r.realised)
	}
	return uint64(h)
}

// agrees returns an error if h differs from the account as computed here.
func (b *shadow) agrees(h *pb.Holdings) error {
	if h.Account != b.account || h.AsOfSeq != b.seq {
		return fmt.Errorf("holdings of account %d as of %d, want %d as of %d", h.Account, h.AsOfSeq, b.account, b.seq)
	}
	keys := b.keys()
	if len(h.Positions) != len(keys) {
		return fmt.Errorf("%d rows, want the %d of %v", len(h.Positions), len(keys), keys)
	}
	for i, p := range h.Positions {
		r := b.rows[keys[i]]
		if got := (instrument{p.Market, p.Code}); got != keys[i] {
			return fmt.Errorf("row %d is %s, want %s", i, got, keys[i])
		}
		err := differences("row "+keys[i].String(),
			figure{"quantity", p.Quantity, r.quantity},
			figure{"cost", p.Cost, r.cost},
			figure{"realised", p.Realised, r.realised},
			figure{"row version", int64(p.RowVersion), int64(r.version)},
		)
		if err != nil {
			return err
		}
	}
	if h.StateHash != b.hash() {
		return fmt.Errorf("state hash %#x, want %#x", h.StateHash, b.hash())
	}
	return differences("holdings",
		figure{"cash balance", h.Cash.GetBalance(), b.balance},
		figure{"fees paid", h.Cash.GetFeesPaid(), b.fees},
		figure{"realised of the account", h.Cash.GetRealised(), b.realised},
	)
}

// consistent returns an error if h contradicts itself or the protocol: order of rows, products,
// totals, the state hash.
func consistent(h *pb.Holdings) error {
	if h.Cash == nil {
		return fmt.Errorf("holdings of account %d carry no cash", h.Account)
	}
	var total int64
	hash := hasher(fnvOffset)
	for _, v := range []uint64{
		h.Account, h.AsOfSeq, uint64(h.Cash.Balance), uint64(h.Cash.FeesPaid), uint64(h.Cash.Realised),
	} {
		hash.number(v)
	}
	for i, p := range h.Positions {
		key := instrument{p.Market, p.Code}
		if i > 0 {
			if last := (instrument{h.Positions[i-1].Market, h.Positions[i-1].Code}); last.compare(key) >= 0 {
				return fmt.Errorf("row %s comes after %s, want rows by market, then code", key, last)
			}
		}
		if p.Quantity <= 0 || p.Sellable != p.Quantity || p.Price <= 0 || p.Cost < 0 || p.Name == "" {
			return fmt.Errorf("row %v: want a name, quantity > 0, all of it sellable, price > 0, cost >= 0", p)
		}
		if p.MarketValue != p.Quantity*p.Price {
			return fmt.Errorf("row %s: market value %d, want %d * %d", key, p.MarketValue, p.Quantity, p.Price)
		}
		if p.RowVersion == 0 || p.RowVersion > h.AsOfSeq {
			return fmt.Errorf("row %s: version %d, want 1 to %d", key, p.RowVersion, h.AsOfSeq)
		}
		total += p.MarketValue
		hash.row(key, p.Quantity, p.Cost, p.Realised)
	}
	if h.TotalMarketValue != total {
		return fmt.Errorf("total market value %d, want the rows' sum %d", h.TotalMarketValue, total)
	}
	if h.StateHash != uint64(hash) {
		return fmt.Errorf("state hash %#x, want %#x as computed from the same message", h.StateHash, uint64(hash))
	}
	return nil
}

// shareOfCost returns cost*q/Q, rounded half to even. The last share takes the rest.
func shareOfCost(cost, q, held int64) int64 {
	if q == held {
		return cost
	}
	product := new(big.Int).Mul(big.NewInt(cost), big.NewInt(q))
	quotient, rest := new(big.Int).QuoRem(product, big.NewInt(held), new(big.Int))
	share := quotient.Int64()
	switch new(big.Int).Lsh(rest, 1).Cmp(big.NewInt(held)) {
	case 1:
		share++
	case 0:
		share += share & 1
	}
	return share
}

// figure is one number of an event or a list, as it came and as it should be.
type figure struct {
	name      string
	got, want int64
}

// differences returns an error that names the first wrong figure of subject.
func differences(subject string, figures ...figure) error {
	for _, f := range figures {
		if f.got != f.want {
			return fmt.Errorf("%s: %s %d, want %d", subject, f.name, f.got, f.want)
		}
	}
	return nil
}

// hasher is FNV-1a of 64 bits.
type hasher uint64

const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

func (h *hasher) octet(c byte) { *h = (*h ^ hasher(c)) * fnvPrime }

// number adds v as 8 bytes, big-endian.
func (h *hasher) number(v uint64) {
	for shift := 56; shift >= 0; shift -= 8 {
		h.octet(byte(v >> shift))
	}
}

// text adds s and a zero byte.
func (h *hasher) text(s string) {
	for i := range len(s) {
		h.octet(s[i])
	}
	h.octet(0)
}

func (h *hasher) row(key instrument, quantity, cost, realised int64) {
	h.text(key.market)
	h.text(key.code)
	h.number(uint64(quantity))
	h.number(uint64(cost))
	h.number(uint64(realised))
}
