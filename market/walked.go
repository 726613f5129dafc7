package market

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

// Walked is where a walk stands: the number of its steps, its generators, its prices and its quotes.
type Walked struct {
	walk   walk // its seed, number, prices, and copies of its streams' states
	quotes *Prices
	days   []int32
	known  []known
	halted []bool
}

// Walked returns where a walk stands. It panics if the feed is not a walk. Any goroutine may call it.
func (f *Feed) Walked() *Walked {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.walk
	random, sides := *w.random.state, *w.sides.state
	return &Walked{
		walk: walk{seed: w.seed, number: w.number, prices: slices.Clone(w.prices),
			random: stream{state: &random}, sides: stream{state: &sides}},
		quotes: f.draft.from, days: slices.Clone(f.days), known: slices.Clone(f.known), halted: slices.Clone(f.halted),
	}
}

// Steps returns how many steps the walk had made.
func (w *Walked) Steps() uint64 { return w.walk.number }

// The text of a Walked: a line for the walk, one for each instrument, and one that shows that it is whole.
//
//	walk 1 SEED STEPS TIME RANDOM SIDES
//	SH.600519 WALK BID ASK LAST BIDSIZE ASKSIZE SIZE TIME OPEN HIGH LOW VOLUME CLOSE DAY KNOWN HALTED
//	end 1
const (
	walkedHead   = "walk"
	walkedEnd    = "end"
	walkedFormat = 1
	walkedFields = 16 // of an instrument, without its name
)

// AppendText appends w as text, for Resume.
func (w *Walked) AppendText(dst []byte) []byte {
	dst = append(dst, walkedHead+" "...)
	dst = strconv.AppendInt(dst, walkedFormat, 10)
	dst = strconv.AppendUint(append(dst, ' '), w.walk.seed, 10)
	dst = strconv.AppendUint(append(dst, ' '), w.walk.number, 10)
	dst = strconv.AppendInt(append(dst, ' '), w.quotes.time, 10)
	for _, s := range []stream{w.walk.random, w.walk.sides} {
		state, _ := s.state.MarshalBinary() // never fails
		dst = hex.AppendEncode(append(dst, ' '), state)
	}
	for n, price := range w.walk.prices {
		q := w.quotes.Quote(ID(n))
		i := w.quotes.universe.At(ID(n))
		dst = append(append(dst, '\n'), i.String()...)
		for _, v := range [walkedFields]int64{price, q.Bid, q.Ask, q.Last, q.BidSize, q.AskSize, q.Size, q.Time, q.Open,
			q.High, q.Low, q.Volume, q.PreviousClose, int64(w.days[n]), int64(w.known[n]),
			haltSaid(w.halted[n], i.Halted)} {
			dst = strconv.AppendInt(append(dst, ' '), v, 10)
		}
	}
	dst = append(dst, "\n"+walkedEnd+" "...)
	dst = strconv.AppendInt(dst, int64(len(w.walk.prices)), 10)
	return append(dst, '\n')
}

// What a feed has said about the halt of an instrument. Unless it has, the universe says.
const (
	saidNothing = iota
	saidHalted
	saidOpen
)

func haltSaid(halted, inUniverse bool) int64 {
	switch {
	case halted == inUniverse:
		return saidNothing
	case halted:
		return saidHalted
	default:
		return saidOpen
	}
}

// ErrOtherSeed means that a walk was one of another seed, and cannot go on as this one.
var ErrOtherSeed = errors.New("it is of another seed")

// Resume has a walk that has made no step yet go on where another one stood, as AppendText wrote it. An
// instrument that is new, or whose previous close, tick or limits are other ones now, begins at its previous
// close; one that is gone is forgotten. After an error the walk is as it was.
func (f *Feed) Resume(text []byte) error {
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if want := fmt.Sprintf("%s %d", walkedEnd, len(lines)-2); len(lines) < 2 || string(lines[len(lines)-1]) != want {
		return errors.New("it does not end as it should")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	next, time, err := f.walk.resumed(lines[0])
	if err != nil {
		return err
	}
	resumed := make([]walkedInstrument, 0, len(lines)-2)
	for n, line := range lines[1 : len(lines)-1] {
		i, here, err := f.readWalked(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n+2, err)
		}
		if here {
			resumed = append(resumed, i)
		}
	}
	f.walk = next
	for i := range resumed {
		r := &resumed[i]
		next.prices[r.id] = r.price
		f.days[r.id], f.known[r.id], f.halted[r.id] = r.day, r.known, r.halted
		f.draft.set(r.id, &r.quote)
	}
	f.current.Store(f.draft.publish(time))
	return nil
}

// resumed returns a walk at its opening prices whose number and streams are those of a line.
func (w *walk) resumed(line []byte) (next *walk, time int64, err error) {
	fields := bytes.Fields(line)
	if len(fields) != 7 || string(fields[0]) != walkedHead || string(fields[1]) != strconv.Itoa(walkedFormat) {
		return nil, 0, errors.New("line 1: this is not a walk of this program")
	}
	seed, err := strconv.ParseUint(string(fields[2]), 10, 64)
	if err == nil && seed != w.seed {
		return nil, 0, ErrOtherSeed
	}
	number, numberErr := strconv.ParseUint(string(fields[3]), 10, 64)
	time, timeErr := strconv.ParseInt(string(fields[4]), 10, 64)
	random, randomErr := readStream(fields[5])
	sides, sidesErr := readStream(fields[6])
	if err := errors.Join(err, numberErr, timeErr, randomErr, sidesErr); err != nil || time < 0 {
		return nil, 0, errors.New("line 1: this is not a walk of this program")
	}
	next = &walk{seed: seed, number: number, random: random, sides: sides, bounds: w.bounds,
		prices: slices.Clone(w.prices), markets: w.markets, spread: w.spread}
	return next, time, nil
}

func readStream(text []byte) (stream, error) {
	raw, err := hex.DecodeString(string(text))
	if err != nil {
		return stream{}, err
	}
	state := new(rand.PCG)
	return stream{rand.New(state), state}, state.UnmarshalBinary(raw)
}

// walkedInstrument is a line of an instrument.
type walkedInstrument struct {
	id     ID
	price  int64
	quote  Quote
	day    int32
	known  known
	halted bool
}

// readWalked reads the line of an instrument. here is false if the instrument is gone, or another one now.
func (f *Feed) readWalked(line []byte) (w walkedInstrument, here bool, err error) {
	fields := bytes.Fields(line)
	if len(fields) != walkedFields+1 {
		return w, false, fmt.Errorf("%d fields, not %d", len(fields), walkedFields+1)
	}
	var v [walkedFields]int64
	for n := range v {
		if v[n], err = strconv.ParseInt(string(fields[n+1]), 10, 64); err != nil {
			return w, false, err
		}
	}
	q := Quote{Bid: v[1], Ask: v[2], Last: v[3], BidSize: v[4], AskSize: v[5], Size: v[6], Time: v[7], Open: v[8],
		High: v[9], Low: v[10], Volume: v[11], PreviousClose: v[12]}
	w = walkedInstrument{price: v[0], quote: q, day: int32(v[13]), known: known(v[14])}
	if !q.possible() || int64(w.day) != v[13] || int64(w.known) != v[14] || v[15] < saidNothing || v[15] > saidOpen {
		return w, false, errors.New("a value is not possible")
	}
	market, code, _ := bytes.Cut(fields[0], []byte("."))
	if w.id, here = f.universe.Lookup(market, code); !here {
		return w, false, nil
	}
	b, i := &f.walk.bounds[w.id], f.universe.At(w.id)
	w.halted = v[15] == saidHalted || v[15] == saidNothing && i.Halted
	w.quote.Status = f.cfg.Hours.Status(i.Market, q.Time)
	if w.halted {
		w.quote.Status = StatusHalted
	}
	same := q.PreviousClose == b.close && w.price%b.tick == 0 && w.price >= b.low && w.price <= b.high
	return w, same, nil
}

// possible reports whether a feed can come to a quote.
func (q *Quote) possible() bool {
	for _, p := range [...]int64{q.Bid, q.Ask, q.Last, q.Open, q.High, q.Low, q.PreviousClose} {
		if p < 0 || p > MaxPrice {
			return false
		}
	}
	for _, n := range [...]int64{q.BidSize, q.AskSize, q.Size, q.Volume} {
		if n < 0 || n > MaxVolume {
			return false
		}
	}
	return q.Last > 0 && q.Time >= 0 && (q.Ask == 0 || q.Bid <= q.Ask) && q.Low <= q.High &&
		(q.Open == 0) == (q.High == 0)
}
