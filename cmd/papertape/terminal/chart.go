package terminal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones of markets, wherever this runs

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/market"
)

const (
	chartRows  = 12 // for prices; two more are for volume and time
	chartWidth = 80 // where the screen's is not known
	chartLeast = 10 // columns for prices, however narrow the screen
	chartShade = ".:-=+*#@"
	chartPage  = 1000 // bars that are asked for at once
	chartPages = 4    // which are more than the minutes of a day
)

// chartLine is a chart for -o json.
type chartLine struct {
	Type string `json:"type"` // chart
	console.Bars
	Zone string `json:"zone,omitempty"` // of the market, by IANA; empty: the server does not say
}

// askChart fetches the bars of the newest day, and draws them.
func (s *session) askChart(ctx context.Context, words []string) (*answer, error) {
	in, err := s.resolve(ctx, strings.Join(words, " "))
	if err != nil {
		return nil, err
	}
	r := client.BarsRequest{Market: in.Market, Code: in.Code, Seconds: client.Day, Limit: 1}
	days, _, err := s.account.Bars(ctx, r)
	if err != nil {
		return nil, err
	}
	var bars []client.Bar
	if len(days) > 0 {
		r.Seconds, r.Limit, r.From = client.Minute, chartPage, days[0].Time
		if bars, err = s.askBars(ctx, r); err != nil {
			return nil, err
		}
	}
	zone, err := s.zoneOf(ctx, in.Market)
	if err != nil {
		return nil, err
	}
	line := chartLine{Type: "chart"}
	if zone != nil {
		line.Zone = zone.String()
	}
	line.Bars = console.Bars{Market: in.Market, Code: in.Code, Seconds: client.Minute, Bars: barsJSON(bars)}
	return &answer{text: s.chart(in, bars, zone), object: line}, nil
}

// zoneOf returns the zone of a market, or nil if the server does not say, or names one that is not known here.
func (s *session) zoneOf(ctx context.Context, market string) (*time.Location, error) {
	c, err := s.account.Clock(ctx, market)
	var refused *client.Reject
	switch {
	case errors.As(err, &refused):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return knownZone(c.Zone), nil
}

// knownZone returns a zone by its IANA name, or nil.
func knownZone(name string) *time.Location {
	if name == "" || name == "Local" { // which would be the zone of this machine
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

// askBars fetches pages until there are no more.
func (s *session) askBars(ctx context.Context, r client.BarsRequest) (bars []client.Bar, err error) {
	for range chartPages {
		page, more, err := s.account.Bars(ctx, r)
		bars = append(bars, page...)
		if err != nil || !more || len(page) == 0 {
			return bars, err
		}
		r.From = page[len(page)-1].Time.Add(1)
	}
	return bars, nil
}

// barsJSON never returns nil, so that an empty list is [] and not null.
func barsJSON(bars []client.Bar) []console.Bar {
	list := make([]console.Bar, len(bars))
	for i := range bars {
		b := &bars[i]
		list[i] = console.Bar{
			Time: b.Time.UTC(), Open: console.Money(b.Open), High: console.Money(b.High), Low: console.Money(b.Low),
			Close: console.Money(b.Close), Volume: b.Volume, Amount: console.Money(b.Amount), Trades: b.Trades,
		}
	}
	return list
}

// chart draws bars, a column for as many minutes as it takes: a line from low to high with an o at the close,
// and under it how much was traded. Times are in the market's zone, which is named where the machine's is another; of
// a market whose zone is nil they are in the machine's.
func (p *printer) chart(in *market.Instrument, bars []client.Bar, zone *time.Location) string {
	if len(bars) == 0 {
		return p.words.say(keyChartEmpty, in.String())
	}
	day := whole(bars)
	move := int64(day.Close) - in.PreviousClose
	first, last, named := p.span(bars, zone)
	title := p.words.say(keyChartTitle, in.String(), in.Name, first.Format(time.DateOnly)+named,
		p.bold(day.Close.String()), p.byDirection(move, percent(move, in.PreviousClose)), day.Open, day.High, day.Low,
		day.Volume)
	high, low := day.High.String(), day.Low.String()
	label := max(columns(high), columns(low), columns(p.words.say(keyChartVolume)))
	width := chartWidth
	if p.width != nil && p.width() > 0 {
		width = p.width() - 1 // a full line would be broken by some terminals
	}
	cells := gather(bars, max(width-label-1, chartLeast))
	var b strings.Builder
	b.WriteString(title + "\n")
	for row, line := range plot(cells, &day) {
		name := ""
		switch row {
		case 0:
			name = high
		case chartRows - 1:
			name = low
		}
		b.WriteString(strings.TrimRight(right(name, label)+" "+line, " ") + "\n")
	}
	b.WriteString(strings.TrimRight(right(p.words.say(keyChartVolume), label)+" "+shades(cells), " ") + "\n")
	from, to := first.Format("15:04"), last.Format("15:04")
	return b.String() + right("", label+1) + left(from, max(len(cells)-len(to), len(from)+1)) + to
}

// span returns the times of the first and the last bar in the market's zone, and the name of that zone, after a space,
// where the machine's shows other times.
func (p *printer) span(bars []client.Bar, zone *time.Location) (first, last time.Time, named string) {
	first, last = bars[0].Time.In(p.zone), bars[len(bars)-1].Time.In(p.zone)
	if zone == nil {
		return first, last, ""
	}
	const shown = "2006-01-02 15:04"
	here, hereLast := first.Format(shown), last.Format(shown)
	first, last = first.In(zone), last.In(zone)
	if first.Format(shown) != here || last.Format(shown) != hereLast {
		named = " " + zone.String()
	}
	return first, last, named
}

// whole returns the bars as one.
func whole(bars []client.Bar) client.Bar {
	all := bars[0]
	for _, b := range bars[1:] {
		all.High, all.Low, all.Close = max(all.High, b.High), min(all.Low, b.Low), b.Close
		all.Volume += b.Volume
	}
	return all
}

// gather puts the bars into at most so many columns of equal time. Where nothing was traded, High is 0.
func gather(bars []client.Bar, most int) []client.Bar {
	first := bars[0].Time
	minutes := int(bars[len(bars)-1].Time.Sub(first)/time.Minute) + 1
	cells := make([]client.Bar, min(most, minutes))
	for _, b := range bars {
		c := &cells[int(b.Time.Sub(first)/time.Minute)*len(cells)/minutes]
		if c.High == 0 {
			*c = b
		} else {
			*c = whole([]client.Bar{*c, b})
		}
	}
	return cells
}

// plot returns the lines of prices, the highest first.
func plot(cells []client.Bar, day *client.Bar) []string {
	lines := make([][]byte, chartRows)
	for row := range lines {
		lines[row] = []byte(strings.Repeat(" ", len(cells)))
	}
	rowOf := func(price client.Money) int {
		if day.High == day.Low {
			return chartRows / 2
		}
		return int(int64(day.High-price) * (chartRows - 1) / int64(day.High-day.Low))
	}
	for i, c := range cells {
		if c.High == 0 {
			continue
		}
		for row := rowOf(c.High); row <= rowOf(c.Low); row++ {
			lines[row][i] = '|'
		}
		lines[rowOf(c.Close)][i] = 'o'
	}
	text := make([]string, chartRows)
	for row := range lines {
		text[row] = string(lines[row])
	}
	return text
}

// shades returns a character for the volume of each column, the darker the more.
func shades(cells []client.Bar) string {
	most := slices.MaxFunc(cells, func(a, b client.Bar) int { return int(min(max(a.Volume-b.Volume, -1), 1)) }).Volume
	line := []byte(strings.Repeat(" ", len(cells)))
	for i, c := range cells {
		if c.Volume > 0 {
			line[i] = chartShade[int(float64(c.Volume)/float64(most)*(float64(len(chartShade))-0.5))]
		}
	}
	return string(line)
}
