package tape

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/papertape/papertape/market"
)

// row is a line that was understood.
type row struct {
	market.Update         // its Last is the close of a bar
	open, high, low int64 // of a bar
	daily           bool  // its time is a date alone
	date            stamp // daily: which one
}

// decoder reads the rows of a file or a pipe.
type decoder struct {
	lines       *lines
	layout      layout
	instruments *instruments
	zones       []*zone // by instrument
	constant    int     // the instrument of all rows, or -1
	live        bool    // a row without a time is of now, and its Time is 0
	cells       [][]byte
	first       []byte // the first line if it is a row, until that was read
	time        []byte // the last cell of a time, and what it means: rows of one time are neighbours
	meaning     stamp
	report      Report
}

// newDecoder reads the header.
func newDecoder(l *lines, o *Options, live bool) (*decoder, error) {
	c := &o.Columns
	d := &decoder{lines: l, instruments: newInstruments(o.Universe), constant: -1, live: live}
	first, err := l.next()
	for err == nil && len(trim(first)) == 0 {
		first, err = l.next()
	}
	if err != nil {
		return nil, headerError(err)
	}
	first = append([]byte(nil), first...)
	if d.layout, err = newLayout(append([]byte(nil), first...), c, live); err != nil {
		return nil, err
	}
	if c.headless {
		d.first = first
	}
	if c.instrument != "" {
		id, err := d.instruments.search("", c.instrument)
		if err != nil {
			return nil, fmt.Errorf("instrument: %w", err)
		}
		d.constant = int(id)
	} else if d.layout.at[roleCode] < 0 {
		return nil, errors.New("no column names the instrument; say which one does, as in code=NAME, " +
			"or that all are of one, as in instrument=" + o.Universe.At(0).String())
	}
	d.report.Kind = d.layout.kind
	return d, d.findZones(o)
}

func headerError(err error) error {
	switch {
	case isEnd(err):
		return errors.New("it is empty; the first line must be a header")
	case errors.Is(err, errLongLine):
		return errors.New("its first line is longer than 65536 bytes, so it is no CSV")
	}
	return fmt.Errorf("it cannot be read: %w", err)
}

// findZones looks up the zone of each instrument's market.
func (d *decoder) findZones(o *Options) error {
	byMarket := make(map[string]*zone)
	for n := range o.Universe.Len() {
		name := o.Universe.At(market.ID(n)).Market
		if byMarket[name] == nil {
			location, err := o.zone(name)
			if err != nil {
				return err
			}
			byMarket[name] = newZone(location)
		}
		d.zones = append(d.zones, byMarket[name])
	}
	return nil
}

// next reads lines until one is understood. The error is io.EOF after the last line, or that
// of the reader below.
func (d *decoder) next(r *row) error {
	for {
		line, err := d.line()
		switch {
		case errors.Is(err, errLongLine):
			d.report.refuse(d.lines.number, LongLine, errLongLine.Error)
			continue
		case err != nil:
			return err
		}
		if d.decode(line, r) {
			return nil
		}
	}
}

// line returns the next line, which is the first one if that is a row.
func (d *decoder) line() ([]byte, error) {
	if first := d.first; first != nil {
		d.first = nil
		return first, nil
	}
	return d.lines.next()
}

// refuse counts the line that is being read.
func (d *decoder) refuse(f Fault, why func() string) bool {
	d.report.refuse(d.lines.number, f, why)
	return false
}

// decode reads a row from a line. It returns false if the line was skipped or refused.
func (d *decoder) decode(line []byte, r *row) bool {
	if len(trim(line)) == 0 {
		d.report.Skipped++
		return false
	}
	var ok bool
	if d.cells, ok = splitCells(d.cells[:0], line, d.layout.separator); !ok {
		return d.refuse(Malformed, func() string { return "a cell in quotes does not end with its quote" })
	}
	if len(d.cells) < d.layout.cells {
		return d.refuse(Malformed, func() string {
			return fmt.Sprintf("it has %d cells, and needs %d", len(d.cells), d.layout.cells)
		})
	}
	*r = row{}
	if !d.identify(r) || !d.stamp(r) {
		return false
	}
	if d.layout.kind == Bars {
		return d.bar(r)
	}
	return d.quote(r)
}

// cell returns the cell of a role, or nil if there is none.
func (d *decoder) cell(r role) []byte {
	if at := d.layout.at[r]; at >= 0 {
		return d.cells[at]
	}
	return nil
}

// identify reads which instrument the row is of.
func (d *decoder) identify(r *row) bool {
	if d.constant >= 0 {
		r.ID = market.ID(d.constant)
		return true
	}
	var ok bool
	marketName, code := d.cell(roleMarket), d.cell(roleCode)
	if r.ID, ok = d.instruments.find(marketName, code); !ok {
		return d.refuse(Unknown, func() string { return d.instruments.why(marketName, code) })
	}
	return true
}

// stamp reads the time of the row.
func (d *decoder) stamp(r *row) bool {
	cell, date := d.cell(roleTime), d.cell(roleDate)
	if d.live && isEmpty(cell) {
		return true
	}
	s, ok := d.parseStamp(cell, date)
	if !ok {
		return d.refuse(BadTime, func() string { return badTime(cell, date) })
	}
	if s.hasOffset {
		r.Time = s.instant()
	} else {
		r.Time = d.zones[r.ID].instant(s)
	}
	r.daily, r.date = !s.hasClock, s
	if r.Time <= 0 {
		return d.refuse(BadTime, func() string { return badTime(cell, date) })
	}
	return true
}

// parseStamp parses the cells of time and date.
func (d *decoder) parseStamp(cell, date []byte) (stamp, bool) {
	if d.layout.at[roleDate] < 0 {
		if len(cell) > 0 && bytes.Equal(cell, d.time) {
			return d.meaning, true
		}
		s, ok := parseStamp(cell, false)
		if ok {
			d.time, d.meaning = append(d.time[:0], cell...), s
		}
		return s, ok
	}
	s, ok := parseStamp(cell, true)
	if !ok || s.hasDate {
		return s, ok
	}
	on, ok := parseStamp(date, false)
	if on.hasOffset { // as in 1772409600000: the midnight of a date
		on.days = on.instant() / day
	}
	s.days, s.hasDate = on.days, true
	return s, ok && (on.nano == 0 || on.hasOffset)
}

func badTime(cell, date []byte) string {
	text := string(cell)
	if len(date) > 0 {
		text = string(date) + " " + text
	}
	return fmt.Sprintf("%q is not a time; write %s, or a number of seconds, ms, µs or ns since 1970", clip(text),
		time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).Format("2006-01-02 15:04:05"))
}

// price reads the price of a role, which may be missing. low is the least it may be.
func (d *decoder) price(r role, low int64, to *int64) (said, ok bool) {
	cell := d.cell(r)
	if isEmpty(cell) {
		return false, true
	}
	var valid bool
	if *to, valid = parsePrice(cell); valid && *to >= low {
		return true, true
	}
	return false, d.refuse(badNumber(cell), func() string {
		return fmt.Sprintf("%s: %q is not a price above 0 and up to %s, as in 9.98", roleNames[r], clip(string(cell)),
			market.FormatMoney(market.MaxPrice))
	})
}

// size reads the number of shares of a role, which may be missing.
func (d *decoder) size(r role, to *int64) (said, ok bool) {
	cell := d.cell(r)
	if isEmpty(cell) {
		return false, true
	}
	var valid bool
	if *to, valid = parseSize(cell); valid {
		return true, true
	}
	return false, d.refuse(badNumber(cell), func() string {
		return fmt.Sprintf("%s: %q is not a number of shares from 0 to %d", roleNames[r], clip(string(cell)),
			int64(market.MaxVolume))
	})
}

// badNumber returns whether a cell is a number that is out of range, or none.
func badNumber(cell []byte) Fault {
	if len(cell) > 0 && (cell[0] == '-' || cell[0] == '+') {
		cell = cell[1:]
	}
	for _, c := range cell {
		if c-'0' > 9 && c != '.' {
			return Malformed
		}
	}
	return BadPrice
}

// quote reads a row of trades or quotes.
func (d *decoder) quote(r *row) bool {
	ok := d.say(r, market.SaysLast, roleLast, &r.Last) && d.say(r, market.SaysSize, roleSize, &r.Size) &&
		d.say(r, market.SaysVolume, roleVolume, &r.Volume) &&
		d.say(r, market.SaysBid, roleBid, &r.Bid) && d.say(r, market.SaysAsk, roleAsk, &r.Ask) &&
		d.say(r, market.SaysBidSize, roleBidSize, &r.BidSize) && d.say(r, market.SaysAskSize, roleAskSize, &r.AskSize)
	if !ok {
		return false
	}
	if r.Says&market.SaysLast == 0 {
		r.Says &^= market.SaysSize
	}
	if r.Says == 0 {
		d.report.Skipped++
		return false
	}
	const sides = market.SaysBid | market.SaysAsk
	if r.Says&sides == sides && r.Bid > r.Ask && r.Ask > 0 {
		return d.refuse(Crossed, func() string {
			return fmt.Sprintf("the bid of %s is above the ask of %s", market.FormatMoney(r.Bid),
				market.FormatMoney(r.Ask))
		})
	}
	return true
}

// say reads the cell of a role, if the file has it.
func (d *decoder) say(r *row, says market.Fields, of role, to *int64) bool {
	if d.layout.at[of] < 0 {
		return true
	}
	var said, ok bool
	switch of {
	case roleLast:
		said, ok = d.price(of, 1, to)
	case roleBid, roleAsk:
		said, ok = d.price(of, 0, to) // 0: nobody is on that side
	default:
		said, ok = d.size(of, to)
	}
	if said {
		r.Says |= says
	}
	return ok
}

// bar reads a row of bars.
func (d *decoder) bar(r *row) bool {
	prices := 0
	for _, p := range [...]struct {
		of role
		to *int64
	}{{roleOpen, &r.open}, {roleHigh, &r.high}, {roleLow, &r.low}, {roleClose, &r.Last}} {
		said, ok := d.price(p.of, 1, p.to)
		if !ok {
			return false
		}
		if said {
			prices++
		}
	}
	if prices == 0 { // nothing was traded
		d.report.Skipped++
		return false
	}
	said, ok := d.size(roleVolume, &r.Size)
	switch {
	case !ok:
		return false
	case prices < 4:
		return d.refuse(Malformed, func() string { return "it has only some of open, high, low and close" })
	case r.low > min(r.open, r.Last) || r.high < max(r.open, r.Last):
		return d.refuse(Crossed, func() string {
			return fmt.Sprintf("open %s and close %s are not both between low %s and high %s",
				market.FormatMoney(r.open),
				market.FormatMoney(r.Last), market.FormatMoney(r.low), market.FormatMoney(r.high))
		})
	}
	r.Says = market.SaysLast
	if said {
		r.Says |= market.SaysSize
	}
	return true
}
