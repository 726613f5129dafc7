package tape

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	_ "time/tzdata" // zones of markets, wherever this runs

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

// Options say how a file is to be read.
type Options struct {
	Universe *market.Universe
	Columns  Columns
	From     int64 // nanoseconds since the Unix epoch; lines before it are skipped; 0: none are
	// Zone returns where clocks show the times of a market's file that have no offset. Nil: in
	// the market's city.
	Zone func(marketName string) *time.Location
	// Sessions knows the trading hours, for bars that have a date and no time. Nil: they last
	// the whole day.
	Sessions Sessions
}

// Sessions returns when a market opens and closes on a date, as nanoseconds since the Unix
// epoch, ascending and a close for each open. None: it is closed all day.
type Sessions func(marketName string, year int, month time.Month, dayOfMonth int) (opens, closes []int64)

// zone returns the zone of a market.
func (o *Options) zone(marketName string) (*time.Location, error) {
	if o.Zone != nil {
		return o.Zone(marketName), nil
	}
	return Zone(marketName)
}

// Zone returns the zone of a market's city: that of Shanghai for SH, SZ and BJ, of Hong Kong
// for HK, of New York for US.
func Zone(marketName string) (*time.Location, error) {
	switch marketName {
	case "HK":
		return time.LoadLocation("Asia/Hong_Kong")
	case "US":
		return time.LoadLocation("America/New_York")
	}
	return time.LoadLocation("Asia/Shanghai")
}

// momentUpdatesMax bounds the updates that Next returns. What more there is of the same time
// comes with the next call.
const momentUpdatesMax = 1 << 16

// measuredRowsMax bounds the rows that are looked at for the length of a bar.
const measuredRowsMax = 100_000

// Reader reads a file as a stream of updates. One goroutine may use it.
type Reader struct {
	name    string
	file    io.Closer // nil: the caller's
	text    text
	options Options
	rows    *decoder
	length  int64 // of a bar, nanoseconds
	newest  int64 // the time of the last row that was taken
	ended   bool  // there are no more rows
	failure error // why, if it is not the end of the file

	ahead   row // trades and quotes: the row after those of the moment
	isAhead bool
	bars    spread // bars: the trades that they become
	moment  []market.Update
}

// Open opens a file. The error is a sentence that names it.
func Open(path string, o Options) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usertext.Unreadable(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file, and a tape must be one, since it is read more than once")
	}
	if err == nil {
		var r *Reader
		if r, err = NewReader(f, path, o); err == nil {
			r.file = f
			return r, nil
		}
		return nil, errors.Join(err, f.Close())
	}
	return nil, errors.Join(usertext.Unreadable(path, err), f.Close())
}

// NewReader is Open for a file that is open already, and stays the caller's. Its name is for
// errors.
func NewReader(in io.ReadSeeker, name string, o Options) (*Reader, error) {
	r := &Reader{name: name, text: text{in: in}, options: o}
	if err := r.begin(); err != nil {
		r.text.close()
		return nil, err
	}
	return r, nil
}

// begin reads the header, and how long bars last.
func (r *Reader) begin() error {
	if err := r.Rewind(); err != nil || r.rows.layout.kind != Bars {
		return err
	}
	if err := r.measure(); err != nil {
		return r.named(err)
	}
	return r.Rewind()
}

// named adds the name of the file to an error.
func (r *Reader) named(err error) error { return fmt.Errorf("%s: %w", r.name, err) }

// Rewind goes back to the beginning of the file, and begins a new report.
func (r *Reader) Rewind() error {
	if err := r.text.rewind(); err != nil {
		return r.named(err)
	}
	rows, err := newDecoder(newLines(&r.text), &r.options, false)
	if err != nil {
		return r.named(err)
	}
	rows.report.Seconds = r.length / second
	r.rows, r.newest, r.ended, r.failure, r.isAhead = rows, 0, false, nil, false
	r.bars.reset(r.options.Universe.Len())
	return nil
}

// Close closes the file.
func (r *Reader) Close() error {
	r.text.close()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Report returns what became of the lines that were read since the beginning of the file.
func (r *Reader) Report() *Report {
	report := r.rows.report
	return &report
}

// Next returns the next moment, in nanoseconds since the Unix epoch, and all updates of that
// time, in the order of the file. They are valid until the next call. The error is io.EOF
// after the last moment, or a sentence if the file cannot be read to its end.
func (r *Reader) Next() (moment int64, updates []market.Update, err error) {
	r.moment = r.moment[:0]
	if r.rows.layout.kind == Bars {
		r.nextOfBars()
	} else {
		r.nextOfRows()
	}
	switch {
	case len(r.moment) > 0:
		return r.moment[0].Time, r.moment, nil
	case r.failure != nil:
		return 0, nil, r.named(r.failure)
	}
	return 0, nil, io.EOF
}

// nextOfRows collects the rows of one time.
func (r *Reader) nextOfRows() {
	if !r.isAhead && !r.pull() {
		return
	}
	moment := r.ahead.Time
	for r.isAhead && r.ahead.Time == moment && len(r.moment) < momentUpdatesMax {
		r.moment = append(r.moment, r.ahead.Update)
		r.pull()
	}
}

// pull reads the next row of trades or quotes. It returns false at the end.
func (r *Reader) pull() bool {
	r.isAhead = r.row(&r.ahead)
	return r.isAhead
}

// row reads the next row that is in order.
func (r *Reader) row(to *row) bool {
	for !r.ended {
		if err := r.rows.next(to); err != nil {
			if r.ended = true; !isEnd(err) {
				r.failure = fmt.Errorf("it cannot be read beyond line %d: %w", r.rows.lines.number, err)
			}
			return false
		}
		if r.take(to) {
			return true
		}
	}
	return false
}

// take reports whether a row is to be taken, and counts it.
func (r *Reader) take(to *row) bool {
	report := &r.rows.report
	length := r.place(to)
	switch {
	case to.Time < r.newest:
		return r.rows.refuse(OutOfOrder, func() string {
			return fmt.Sprintf("it is of %s, and a line before it of %s; sort the file by time", r.shown(to.ID,
				to.Time),
				r.shown(to.ID, r.newest))
		})
	case r.rows.layout.kind == Bars && to.Time < r.bars.ends[to.ID]:
		return r.rows.refuse(Overlapping, func() string {
			return fmt.Sprintf("it begins at %s, and the last bar of %s ends at %s", r.shown(to.ID, to.Time),
				r.options.Universe.At(to.ID), r.shown(to.ID, r.bars.ends[to.ID]))
		})
	}
	r.newest = to.Time
	if to.Time < r.options.From {
		report.Skipped++
		return false
	}
	if report.Taken++; report.First == 0 {
		report.First = to.Time
	}
	report.Last = to.Time
	if r.rows.layout.kind == Bars {
		r.bars.ends[to.ID] = to.Time + length
		r.bars.add(to, length)
	}
	return true
}

// place moves a bar to its start, and returns how long it lasts.
func (r *Reader) place(to *row) (length int64) {
	if to.daily && r.options.Sessions != nil {
		year, month, dayOfMonth := time.Unix(to.date.days*(day/second), 0).UTC().Date()
		opens, closes := r.options.Sessions(r.options.Universe.At(to.ID).Market, year, month, dayOfMonth)
		if len(opens) > 0 && r.rows.layout.kind == Bars {
			to.Time = opens[0]
			return closes[len(closes)-1] - opens[0]
		}
	}
	if r.options.Columns.atEnd && !to.daily {
		to.Time -= r.length
	}
	return r.length
}

// shown writes a time in the zone of an instrument, for a sentence.
func (r *Reader) shown(id market.ID, t int64) string {
	return time.Unix(0, t).In(r.rows.zones[id].location).Format("2006-01-02T15:04:05.999999999Z07:00")
}

// measure finds how long a bar lasts: as long as the smallest distance of two starts.
func (r *Reader) measure() error {
	if r.length = r.options.Columns.seconds * second; r.length > 0 {
		return nil
	}
	var this row
	last, smallest := int64(0), int64(0)
	for range measuredRowsMax {
		err := r.rows.next(&this)
		if isEnd(err) {
			break
		}
		if err != nil {
			return err
		}
		if this.daily {
			r.length = day
			return nil
		}
		if apart := this.Time - last; last > 0 && apart > 0 && (smallest == 0 || apart < smallest) {
			smallest = apart
		}
		last = this.Time
	}
	if smallest == 0 && last > 0 {
		return errors.New("how long a bar lasts cannot be told from bars of one time; say it, as in seconds=60")
	}
	r.length = min(smallest, day)
	return nil
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) }
