package market

import "fmt"

// Status says whether an instrument is traded at the moment. The numbers are those of the wire.
type Status uint8

// The statuses.
const (
	StatusOpen    Status = iota + 1 // continuous trading
	StatusClosed                    // outside trading hours
	StatusHalted                    // suspended, whatever the hour
	StatusAuction                   // a call auction
)

// String returns the name of the status: open, closed, halted or auction.
func (s Status) String() string {
	names := [...]string{StatusOpen: "open", StatusClosed: "closed", StatusHalted: "halted", StatusAuction: "auction"}
	if int(s) < len(names) && names[s] != "" {
		return names[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// Quote is all that a snapshot has of one instrument. Prices are in 1/10000 of the currency, sizes and
// volumes in shares, times in nanoseconds since the Unix epoch.
type Quote struct {
	Bid, Ask, Last         int64 // Bid and Ask: 0 if nobody is on that side
	BidSize, AskSize, Size int64 // Size is that of the last trade
	Time                   int64 // of the last change; 0: the opening
	Open, High, Low        int64 // of the trading day; 0: nothing was traded yet
	Volume                 int64 // of the trading day
	PreviousClose          int64
	Status                 Status
}

// pageLen is the number of instruments whose quotes share a page: what is copied to change one of them.
const pageLen = 64

// page holds the quotes of pageLen instruments. A page that a snapshot has never changes. What every order
// needs lies together.
type page struct {
	hot    [pageLen]hot
	status [pageLen]Status
	rest   [pageLen]rest
}

type hot struct{ last, bid, ask int64 }

type rest struct{ bidSize, askSize, size, time, open, high, low, volume, previousClose int64 }

func (p *page) quote(i int) Quote {
	h, r := &p.hot[i], &p.rest[i]
	return Quote{
		Bid: h.bid, Ask: h.ask, Last: h.last, BidSize: r.bidSize, AskSize: r.askSize, Size: r.size, Time: r.time,
		Open: r.open, High: r.high, Low: r.low, Volume: r.volume, PreviousClose: r.previousClose, Status: p.status[i],
	}
}

func (p *page) set(i int, q *Quote) {
	p.hot[i] = hot{q.Last, q.Bid, q.Ask}
	p.status[i] = q.Status
	p.rest[i] = rest{q.BidSize, q.AskSize, q.Size, q.Time, q.Open, q.High, q.Low, q.Volume, q.PreviousClose}
}

// same reports whether the i-th quotes of two pages are the same.
func (p *page) same(other *page, i int) bool {
	return p.hot[i] == other.hot[i] && p.status[i] == other.status[i] && p.rest[i] == other.rest[i]
}

// Prices is a snapshot of all quotes of a universe. It is immutable, so any goroutine may keep it.
// Snapshots share the pages in which they do not differ.
type Prices struct {
	universe *Universe
	pages    []*page
	version  uint64
	time     int64
}

// At returns the price at which an instrument was last traded, and at which rows are valued. It panics if
// id is not in the snapshot's universe.
func (p *Prices) At(id ID) int64 { return p.pages[id/pageLen].hot[id%pageLen].last }

// Bid returns the price at which an instrument can be sold, 0 if nobody buys.
func (p *Prices) Bid(id ID) int64 { return p.pages[id/pageLen].hot[id%pageLen].bid }

// Ask returns the price at which an instrument can be bought, 0 if nobody sells.
func (p *Prices) Ask(id ID) int64 { return p.pages[id/pageLen].hot[id%pageLen].ask }

// Status returns whether an instrument is traded at the moment.
func (p *Prices) Status(id ID) Status { return p.pages[id/pageLen].status[id%pageLen] }

// Quote returns all that the snapshot has of an instrument.
func (p *Prices) Quote(id ID) Quote { return p.pages[id/pageLen].quote(int(id % pageLen)) }

// Limits returns the lowest and the highest price that an instrument may have on the snapshot's day, in
// 1/10000 of the currency; see [Instrument.LimitsFrom].
func (p *Prices) Limits(id ID) (low, high int64) {
	return p.universe.At(id).LimitsFrom(p.pages[id/pageLen].rest[id%pageLen].previousClose)
}

// Len returns the number of quotes, which is the length of the universe.
func (p *Prices) Len() int { return p.universe.Len() }

// Version numbers the snapshots of a feed: 0 for the opening, plus one for each snapshot in
// which something changed.
func (p *Prices) Version() uint64 { return p.version }

// Time returns when the snapshot was made, in nanoseconds since the Unix epoch, or 0 for
// the opening.
func (p *Prices) Time() int64 { return p.time }

// Changed appends the instruments whose quotes differ from those of before, ascending, to dst. Nil has no
// quotes, so all differ from it. It looks only at pages that the two snapshots do not share.
func (p *Prices) Changed(before *Prices, dst []ID) []ID {
	for n, now := range p.pages {
		var then *page
		if before != nil {
			if then = before.pages[n]; then == now {
				continue
			}
		}
		first := n * pageLen
		for i := range min(pageLen, p.Len()-first) {
			if then == nil || !now.same(then, i) {
				dst = append(dst, ID(first+i))
			}
		}
	}
	return dst
}

// With returns a copy of the snapshot, one version later, in which an instrument is bought, sold and was
// last traded at price. It does not check the price against tick and limits; that is up to whoever sets
// prices.
func (p *Prices) With(id ID, price int64) *Prices {
	d := draft{from: p}
	q := p.Quote(id)
	q.Last, q.Bid, q.Ask = price, price, price
	d.set(id, &q)
	return d.publish(p.time)
}

// opening returns the snapshot at the start of a day: each instrument's PreviousClose, version 0, time 0.
func opening(u *Universe) *Prices {
	p := &Prices{universe: u, pages: make([]*page, (u.Len()+pageLen-1)/pageLen)}
	for n := range p.pages {
		p.pages[n] = new(page)
	}
	for n := range u.Len() {
		i := u.At(ID(n))
		q := Quote{Bid: i.PreviousClose, Ask: i.PreviousClose, Last: i.PreviousClose,
			PreviousClose: i.PreviousClose, Status: StatusOpen}
		if i.Halted {
			q.Status = StatusHalted
		}
		p.pages[n/pageLen].set(n%pageLen, &q)
	}
	return p
}

// draft is the next snapshot while it is being made. It copies the pages that change, and no others.
type draft struct {
	from  *Prices
	pages []*page // nil: nothing has changed yet
}

func (d *draft) quote(id ID) Quote {
	if d.pages == nil {
		return d.from.Quote(id)
	}
	return d.pages[id/pageLen].quote(int(id % pageLen))
}

func (d *draft) set(id ID, q *Quote) {
	if d.pages == nil {
		d.pages = append([]*page(nil), d.from.pages...)
	}
	n := id / pageLen
	if d.pages[n] == d.from.pages[n] {
		changed := *d.from.pages[n]
		d.pages[n] = &changed
	}
	d.pages[n].set(int(id%pageLen), q)
}

// publish returns the snapshot, as of now, and begins the next draft. Without a change it returns the
// snapshot that the draft was begun from.
func (d *draft) publish(now int64) *Prices {
	if d.pages != nil {
		d.from = &Prices{universe: d.from.universe, pages: d.pages, version: d.from.version + 1, time: now}
		d.pages = nil
	}
	return d.from
}
