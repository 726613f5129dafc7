package market

import "fmt"

// Fields says which fields of an Update are said.
type Fields uint16

// The fields.
const (
	SaysBid Fields = 1 << iota
	SaysAsk
	SaysBidSize
	SaysAskSize
	SaysLast   // a trade at Last
	SaysSize   // of the trade
	SaysVolume // of the trading day so far
	SaysStatus // StatusHalted or StatusOpen; when the market is open is not up to a feed
)

// Update is what a feed says about one instrument. What it does not say stays as before.
type Update struct {
	Time                     int64 // nanoseconds since the Unix epoch
	Bid, Ask, Last           int64 // 1/10000 of the currency; Bid and Ask: 0 takes the side away
	BidSize, AskSize, Volume int64 // shares
	Size                     int64 // shares; it adds to the day's volume unless that is said
	ID                       ID
	Says                     Fields
	Status                   Status
}

// Outcome is what became of an Update.
type Outcome uint8

// The outcomes. Only an Applied update changes anything.
const (
	Applied  Outcome = iota
	Late             // the instrument has a newer quote
	Crossed          // the bid would be above the ask
	BadPrice         // a price or size is negative, or too large, or the price of a trade is 0

	outcomeCount = iota
)

// String returns the outcome in a word or two.
func (o Outcome) String() string {
	names := [...]string{Applied: "applied", Late: "late", Crossed: "crossed", BadPrice: "bad price"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MaxVolume is the largest size, and the largest volume of a day.
const MaxVolume = 1 << 53

// valid reports whether every number that is said is possible.
func (u *Update) valid() bool {
	price := func(says Fields, p, low int64) bool { return u.Says&says == 0 || p >= low && p <= MaxPrice }
	size := func(says Fields, n int64) bool { return u.Says&says == 0 || n >= 0 && n <= MaxVolume }
	return price(SaysBid, u.Bid, 0) && price(SaysAsk, u.Ask, 0) && price(SaysLast, u.Last, 1) &&
		size(SaysBidSize, u.BidSize) && size(SaysAskSize, u.AskSize) && size(SaysSize, u.Size) &&
		size(SaysVolume, u.Volume)
}

// known is what a feed has ever said of an instrument.
type known uint8

const (
	knowsBids known = 1 << iota
	knowsTrades
	knowsAsks

	knowsSides = knowsBids | knowsAsks
)

// and returns what is known after an update.
func (k known) and(u *Update) known {
	for _, one := range [...]struct {
		says  Fields
		knows known
	}{{SaysBid, knowsBids}, {SaysAsk, knowsAsks}, {SaysLast, knowsTrades}} {
		if u.Says&one.says != 0 {
			k |= one.knows
		}
	}
	return k
}

// apply changes q as u says; k is what is known with it. traded is how many shares u says were traded. A side that
// was never told is the price of the trades, or gives way to the other side; without trades the value is the middle of
// two sides that were told.
func (u *Update) apply(q *Quote, k known) (traded int64, outcome Outcome) {
	switch {
	case u.Time < q.Time:
		return 0, Late
	case !u.valid():
		return 0, BadPrice
	}
	u.applySides(q, k)
	if q.Bid > q.Ask && q.Ask > 0 {
		return 0, Crossed
	}
	q.Time = u.Time
	switch {
	case u.Says&SaysLast != 0:
		traded = u.trade(q)
	case u.Says&(SaysBid|SaysAsk) != 0 && k == knowsSides && q.Bid > 0 && q.Ask > 0:
		q.Last = q.Bid + (q.Ask-q.Bid)/2
	}
	if u.Says&SaysVolume != 0 {
		q.Volume = u.Volume
	}
	return traded, Applied
}

func (u *Update) applySides(q *Quote, k known) {
	if u.Says&SaysBid != 0 {
		q.Bid = u.Bid
	}
	if u.Says&SaysAsk != 0 {
		q.Ask = u.Ask
	}
	if u.Says&SaysBidSize != 0 {
		q.BidSize = u.BidSize
	}
	if u.Says&SaysAskSize != 0 {
		q.AskSize = u.AskSize
	}
	u.makeUpSides(q, k)
}

// makeUpSides sets the sides that were never told.
func (u *Update) makeUpSides(q *Quote, k known) {
	if u.Says&SaysLast != 0 {
		if k&knowsBids == 0 {
			q.Bid = u.Last
		}
		if k&knowsAsks == 0 {
			q.Ask = u.Last
		}
	}
	switch k & knowsSides {
	case knowsBids:
		q.Ask = max(q.Ask, q.Bid)
	case knowsAsks:
		if q.Ask > 0 {
			q.Bid = min(q.Bid, q.Ask)
		}
	}
}

// trade applies a trade to the figures of the day. It returns the shares that were traded.
func (u *Update) trade(q *Quote) int64 {
	size := u.Size
	switch {
	case u.Says&SaysSize != 0:
	case u.Says&SaysVolume != 0:
		size = max(u.Volume-q.Volume, 0)
	default:
		size = 0
	}
	if q.Open == 0 {
		q.Open, q.High, q.Low = u.Last, u.Last, u.Last
	}
	q.Last, q.Size = u.Last, size
	q.High, q.Low = max(q.High, u.Last), min(q.Low, u.Last)
	if u.Says&SaysVolume == 0 {
		q.Volume = min(q.Volume+size, MaxVolume)
	}
	return size
}
