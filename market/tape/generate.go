package tape

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/papertape/papertape/market"
)

// GenerateOptions describe a tape that is made up. The same options give the same bytes.
type GenerateOptions struct {
	Universe    *market.Universe
	Kind        Kind
	Date        time.Time // the date of its first trading day; the time of day does not matter
	Days        int       // trading days
	Instruments int       // the first so many that are not halted; 0: all
	Seed        uint64
	Sessions    Sessions
}

// Parameters of generated tapes.
const (
	generatorStream = 0x7461706567656e31 // a PCG stream of its own
	closedDaysMax   = 31                 // how long all markets may be closed before this is taken for an error
	moveBps         = 4                  // a price moves by at most that much of itself at once
	bandPercent     = 10                 // how far it goes from the previous close in a day
	overnightMoves  = 20
	barMoves        = 5         // of a price within a minute
	barTurnover     = 1_000_000 // of an instrument in a minute, in the currency
	tradeTurnover   = 20_000    // of a trade
	tradeOneIn      = 50        // an instrument trades in one second of so many
	quoteOneIn      = 10
	busyMinutes     = 15 // after each open and before each close
	busyFactor      = 3
)

// Generate writes a tape of trades, quotes or one-minute bars, as CSV. The prices move at
// random around the closes of the day before. The error is that of w, or a sentence.
func Generate(w io.Writer, o GenerateOptions) error {
	g := &generator{options: o, random: rand.New(rand.NewPCG(o.Seed, generatorStream)),
		out: bufio.NewWriterSize(w, 1<<16)}
	if err := g.list(); err != nil {
		return err
	}
	g.header()
	year, month, dayOfMonth := o.Date.Date()
	for days, closed := 0, 0; days < o.Days; dayOfMonth++ {
		open := g.open(time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC))
		if !open {
			if closed++; closed > closedDaysMax {
				return fmt.Errorf("no market is open within %d days of %s", closedDaysMax, o.Date.Format(time.DateOnly))
			}
			continue
		}
		days, closed = days+1, 0
		g.day()
		if _, err := g.out.Write(nil); err != nil {
			return err
		}
	}
	return g.out.Flush()
}

// generator makes up a tape.
type generator struct {
	options GenerateOptions
	random  *rand.Rand
	out     *bufio.Writer
	line    []byte
	made    []made
	trades  []due // of the second
}

// made is an instrument of a made-up tape.
type made struct {
	*market.Instrument
	location      *time.Location
	price, close  int64 // now, and on the day before
	low, high     int64 // of the day
	opens, closes []int64
}

// due is what happens to an instrument within a second.
type due struct {
	millisecond int64
	made        int
}

// list lists the instruments.
func (g *generator) list() error {
	for n := range g.options.Universe.Len() {
		i := g.options.Universe.At(market.ID(n))
		if i.Halted || g.options.Instruments > 0 && len(g.made) == g.options.Instruments {
			continue
		}
		location, err := Zone(i.Market)
		if err != nil {
			return err
		}
		g.made = append(g.made, made{Instrument: i, location: location, price: i.PreviousClose})
	}
	if len(g.made) == 0 {
		return errors.New("all instruments of the universe are halted, so there is nothing to make a tape of")
	}
	return nil
}

func (g *generator) header() {
	headers := [...]string{
		Trades: "time,market,code,last,size\n",
		Quotes: "time,market,code,bid,ask,bid_size,ask_size\n",
		Bars:   "time,market,code,open,high,low,close,volume\n",
	}
	_, _ = g.out.WriteString(headers[g.options.Kind]) // bufio keeps the error
}

// open begins a date. It returns false if all markets are closed.
func (g *generator) open(date time.Time) bool {
	open := false
	for n := range g.made {
		m := &g.made[n]
		m.opens, m.closes = g.options.Sessions(m.Market, date.Year(), date.Month(), date.Day())
		open = open || len(m.opens) > 0
	}
	return open
}

// day makes up a day.
func (g *generator) day() {
	from, to := g.made[0].opens[0], int64(0)
	for n := range g.made {
		m := &g.made[n]
		if len(m.opens) == 0 {
			continue
		}
		from, to = min(from, m.opens[0]), max(to, m.closes[len(m.closes)-1])
		m.close = m.price
		m.low, m.high = m.LimitsFrom(m.close)
		band := m.close * bandPercent / 100 / m.Tick * m.Tick
		m.low, m.high = max(m.low, m.close-band), min(m.high, m.close+band)
		for range overnightMoves {
			g.move(m)
		}
	}
	step := second
	if g.options.Kind == Bars {
		step = minute
	}
	for t := from; t < to; t += step {
		if g.options.Kind == Bars {
			g.bars(t)
		} else {
			g.second(t)
		}
	}
}

// busy returns how much more than at noon happens to an instrument at t, 0 if it is closed.
func (m *made) busy(t int64) int64 {
	for i := range m.opens {
		if t < m.opens[i] || t >= m.closes[i] {
			continue
		}
		if t < m.opens[i]+busyMinutes*minute || t >= m.closes[i]-busyMinutes*minute {
			return busyFactor
		}
		return 1
	}
	return 0
}

// move moves a price by a few ticks. The further it is from the close of the day before, the
// more often it turns back.
func (g *generator) move(m *made) {
	ticks := g.random.Int64N(max(m.price*moveBps/(market.MoneyUnit*m.Tick), 1) + 1)
	if g.random.IntN(2) == 0 {
		ticks = -ticks
	}
	away, room := m.price-m.close, m.high-m.close
	if away < 0 {
		away, room = -away, m.close-m.low
	}
	if (ticks > 0) == (m.price > m.close) && away > 0 && g.random.Int64N(room) < away {
		ticks = -ticks
	}
	m.price = min(max(m.price+ticks*m.Tick, m.low), m.high)
}

// shares draws a size in whole lots that is worth turnover on average.
func (g *generator) shares(m *made, turnover int64) int64 {
	lot := int64(m.Lot)
	return max(g.random.Int64N(2*turnover*market.MoneyUnit)/m.price/lot*lot, lot)
}

// bars writes the bars that begin at t.
func (g *generator) bars(t int64) {
	for n := range g.made {
		m := &g.made[n]
		busy := m.busy(t)
		if busy == 0 {
			continue
		}
		g.move(m)
		open, high, low := m.price, m.price, m.price
		for range barMoves {
			g.move(m)
			high, low = max(high, m.price), min(low, m.price)
		}
		g.begin(m, t)
		g.money(open, high, low, m.price)
		g.number(g.shares(m, barTurnover*busy))
		g.end()
	}
}

// second writes the trades or quotes of the second that begins at t.
func (g *generator) second(t int64) {
	oneIn := int64(tradeOneIn)
	if g.options.Kind == Quotes {
		oneIn = quoteOneIn
	}
	g.trades = g.trades[:0]
	for n := range g.made {
		if busy := g.made[n].busy(t); busy > 0 && g.random.Int64N(oneIn) < busy {
			g.trades = append(g.trades, due{g.random.Int64N(1000), n})
		}
	}
	slices.SortFunc(g.trades, func(a, b due) int {
		return cmp.Or(cmp.Compare(a.millisecond, b.millisecond), cmp.Compare(a.made, b.made))
	})
	for _, d := range g.trades {
		m := &g.made[d.made]
		g.move(m)
		g.begin(m, t+d.millisecond*int64(time.Millisecond))
		if g.options.Kind == Trades {
			g.money(m.price)
			g.number(g.shares(m, tradeTurnover))
		} else {
			ask := min(m.price+m.Tick*(1+g.random.Int64N(2)), m.high)
			g.money(m.price, ask)
			g.number(g.shares(m, tradeTurnover))
			g.number(g.shares(m, tradeTurnover))
		}
		g.end()
	}
}

// begin begins a line with time and instrument.
func (g *generator) begin(m *made, t int64) {
	g.line = time.Unix(0, t).In(m.location).AppendFormat(g.line[:0], "2006-01-02T15:04:05.999Z07:00")
	g.line = append(append(g.line, ','), m.Market...)
	g.line = append(append(g.line, ','), m.Code...)
}

func (g *generator) money(prices ...int64) {
	for _, p := range prices {
		g.line = market.AppendMoney(append(g.line, ','), p)
	}
}

func (g *generator) number(n int64) { g.line = strconv.AppendInt(append(g.line, ','), n, 10) }

func (g *generator) end() {
	_, _ = g.out.Write(append(g.line, '\n')) // bufio keeps the error
}
