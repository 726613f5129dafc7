// Package bars makes bars of one minute and of one day from what a feed has applied, and keeps them and the
// newest trades.
//
//	store, err := bars.New(bars.Config{Universe: universe, Hours: hours, Zone: zone, Dir: dir})
//	feed.Watch(store.Observe)
//	go store.Run(ctx) // writes what is finished to the directory, and the rest when ctx ends
//
//	list, more := store.Bars(id, 60, from, to, 500) // any goroutine
//
// # What a bar is
//
// A bar is made of trades: of what an update says with SaysLast. Quotes make no bars, and a minute without a
// trade has none. A minute begins at a full minute, a day as [market.Hours] has it; its Time is midnight of
// its date in the market's zone, although the first trade may have been the evening before. The newest bar of
// an instrument is under way, and still changes.
//
// # What is kept
//
// All that is kept has a bound, Config.MemoryBytesMax: a quarter of it at most is for the newest trades of each
// instrument, the rest for bars, in chunks of 512 bytes. A minute takes some 17 bytes, what is said about the
// chunks included. When no chunk is left, the one that was begun first goes, with all its bars: one of
// minutes, unless days have more than half of the chunks.
//
// # Time that goes back
//
// If a trade is older than the newest minute of its instrument, the tape is played again: the instrument's bars
// from its minute on are forgotten and made anew, so that none counts twice, and none is of a future
// that has not come. After a restart the first trade of an instrument decides. If it is later than the
// last one before, the minute and the day under way go on; if not, they begin anew from its minute. A day that
// begins anew in the middle has what is kept of its minutes before.
//
// # Files
//
// Bars outlive a restart in files beside the ledger, of which any may be removed while the server is
// down: nothing but bars is lost. What is finished is written every few seconds, what is under way only
// when Run ends: a crash loses the minute that was under way. Nothing is synced. What is to be written is
// no copy: the writer takes it from the chunks, so while the disk is slow or full it is taken later, or
// not at all once it has gone from memory. The files together have the bound of the memory; the oldest
// of minutes go first, then those of days. A damaged file is used up to the damage, and a line in the log
// says so. Numbers of trades begin anew with each start.
package bars

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
)

// Dir is the name of the directory beside the ledger.
const Dir = "bars"

const (
	memoryDefault = 256 << 20
	tradesDefault = 1000
	tradesLeast   = 16

	minuteNanoseconds = int64(time.Minute)
	dayNanoseconds    = int64(24 * time.Hour)
)

// Config configures a store.
type Config struct {
	Universe *market.Universe
	Hours    market.Hours               // nil: days are those of UTC
	Zone     func(market string) string // a name of the time zone database; nil: UTC
	// MemoryBytesMax bounds the memory, and as much again on the disk; 0: 256 MiB.
	MemoryBytesMax int64
	// TradesPerInstrument bounds the newest trades that are kept of an instrument; 0: 1,000. There may be
	// fewer, but 16, so that all together take a quarter of the memory.
	TradesPerInstrument int
	Dir                 string // where bars outlive a restart; "": nowhere
	Log                 zerolog.Logger
}

// Store keeps bars and trades. Any goroutine may call its methods, unless they say otherwise.
type Store struct {
	universe *market.Universe
	hours    market.Hours // nil: UTC
	zones    map[string]*time.Location
	dir      string
	log      zerolog.Logger
	writer   writer // owned by Run

	mu          sync.RWMutex
	instruments []instrument
	chunks      chunks
	trades      []trade // perInstrument of each: a ring
	perEach     int
	dirty       []market.ID // those that have finished bars which no file has; at most once each
	scratch     [rowBytesMax]byte
}

// instrument is what is kept of one.
type instrument struct {
	series [periods]series
	last   int64  // when it was traded last; MaxInt64: a file had finished bars alone
	count  uint64 // trades since the start
	kept   int    // of them
	loaded bool   // nothing was traded since the start
	dirty  bool
}

type trade struct{ time, price, size int64 }

const (
	instrumentBytes = 256 // with its place in dirty
	tradeBytes      = 24
	chunksLeast     = 4 // of an instrument
)

// New returns a store with the bars that the directory has. The error is a sentence about the
// configuration; what is wrong with the files is only logged.
func New(cfg Config) (*Store, error) {
	if cfg.MemoryBytesMax == 0 {
		cfg.MemoryBytesMax = memoryDefault
	}
	n := int64(cfg.Universe.Len())
	each := max(min(cfg.MemoryBytesMax/4/n/tradeBytes, int64(perEach(cfg.TradesPerInstrument))), tradesLeast)
	fixed := n * (instrumentBytes + each*tradeBytes)
	slabs := (cfg.MemoryBytesMax - fixed) / slabBytes
	if least := (n*chunksLeast + slabChunks - 1) / slabChunks; slabs < least {
		return nil, fmt.Errorf("%d bytes are too little for the bars of %d instruments; it must be at least %d",
			cfg.MemoryBytesMax, n, leastBytes(n))
	}
	s := &Store{
		universe: cfg.Universe, hours: cfg.Hours, dir: cfg.Dir, log: cfg.Log,
		instruments: make([]instrument, n), chunks: newChunks(int(slabs)), trades: make([]trade, n*each),
		perEach: int(each), dirty: make([]market.ID, 0, n),
	}
	for i := range s.instruments {
		s.instruments[i] = instrument{series: [periods]series{newSeries(), newSeries()}, loaded: true}
	}
	if err := s.loadZones(cfg.Zone); err != nil {
		return nil, err
	}
	if s.dir != "" {
		s.writer = newWriter(s.dir, cfg.MemoryBytesMax, cfg.Universe, cfg.Log)
		s.load()
	}
	return s, nil
}

func perEach(asked int) int {
	if asked == 0 {
		return tradesDefault
	}
	return asked
}

// leastBytes returns what n instruments need.
func leastBytes(n int64) int64 {
	chunks := (n*chunksLeast + slabChunks - 1) / slabChunks * slabBytes
	return max((chunks+n*instrumentBytes)*4/3+4, chunks+n*(instrumentBytes+tradesLeast*tradeBytes))
}

func (s *Store) loadZones(zone func(string) string) error {
	s.zones = make(map[string]*time.Location)
	for n := range s.universe.Len() {
		m := s.universe.At(market.ID(n)).Market //nolint:gosec // an index
		if s.zones[m] != nil {
			continue
		}
		s.zones[m] = time.UTC
		if zone == nil {
			continue
		}
		loc, err := time.LoadLocation(zone(m))
		if err != nil {
			return fmt.Errorf("the time zone of market %s: %w", m, err)
		}
		s.zones[m] = loc
	}
	return nil
}

// place returns the number of a series.
func place(id market.ID, p period) int32 { return int32(id)*int32(periods) + int32(p) }

func (s *Store) at(n int32) *series {
	return &s.instruments[n/int32(periods)].series[n%int32(periods)]
}

func (s *Store) day(id market.ID, t int64) int32 {
	if s.hours == nil {
		return int32(t / dayNanoseconds) //nolint:gosec // times are 64 bits of nanoseconds
	}
	return s.hours.Day(s.universe.At(id).Market, t)
}

func minuteOf(t int64) int32 { return int32(t / minuteNanoseconds) } //nolint:gosec // below 2^28

// Observe adds what a feed has applied; give it to [market.Feed.Watch]. It allocates nothing once
// the memory has reached its bound.
func (s *Store) Observe(_, _ *market.Prices, applied []market.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range applied {
		if u := &applied[i]; u.Says&market.SaysLast != 0 {
			s.observe(u)
		}
	}
}

func (s *Store) observe(u *market.Update) {
	in := &s.instruments[u.ID]
	m, d := &in.series[minutes], &in.series[days]
	key, again := minuteOf(u.Time), in.loaded && u.Time <= in.last
	in.last, in.loaded = u.Time, false
	s.keep(in, u)
	if m.open && m.cur.key == key && d.open && !again {
		m.cur.trade(u)
		d.cur.trade(u)
		return
	}
	day := s.day(u.ID, u.Time) // which changes at full minutes only
	if again || m.open && key < m.cur.key || d.open && day < d.cur.key {
		s.cut(place(u.ID, minutes), key)
		s.rebuild(u.ID, day)
	}
	s.begin(place(u.ID, minutes), newRow(key, u))
	if d.open && d.cur.key == day {
		d.cur.trade(u)
		return
	}
	s.begin(place(u.ID, days), newRow(day, u))
}

// rebuild forgets the days from one on, and makes that one anew of its minutes.
func (s *Store) rebuild(id market.ID, day int32) {
	s.cut(place(id, days), day)
	n := place(id, minutes)
	dayOf := func(key int32) int32 { return s.day(id, int64(key)*minuteNanoseconds) }
	at := s.at(n).tail
	for at != none && s.chunks.head(at).prev != none && dayOf(s.chunks.head(at).first) >= day {
		at = s.chunks.head(at).prev
	}
	var whole row
	s.each(n, at, func(r *row) bool {
		switch {
		case dayOf(r.key) != day:
		case whole.Trades == 0:
			whole = *r
		default:
			whole.join(r)
		}
		return true
	})
	if whole.Trades > 0 {
		whole.key = day
		s.begin(place(id, days), whole)
	}
}

// keep adds a trade to the newest ones. Those of a tape that is played again are none of them.
func (s *Store) keep(in *instrument, u *market.Update) {
	ring := s.ring(u.ID)
	if in.kept > 0 && ring[(in.count-1)%uint64(s.perEach)].time > u.Time { //nolint:gosec // positive
		in.kept = 0
	}
	ring[in.count%uint64(s.perEach)] = trade{u.Time, u.Last, u.Size} //nolint:gosec // positive
	in.count, in.kept = in.count+1, min(in.kept+1, s.perEach)
}

func (s *Store) ring(id market.ID) []trade { return s.trades[int(id)*s.perEach:][:s.perEach] }
