package metrics

import (
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// Sources are the parts of a server that is shown. All functions are called by each scrape, several at a
// time. Every field is required except those that say so.
type Sources struct {
	Version    string
	Durability string

	Engine  *engine.Engine
	Gateway *gateway.Gateway
	Flow    interface{ State() simulator.State }
	Feed    *market.Feed
	// Journal returns nil until the journal is recovered. It is nil itself where none is kept.
	Journal func() *journal.Journal

	Ready        func() error
	HTTP         func() HTTP
	LogLinesLost func() uint64

	// Bounds that values are shown beside.
	InboxOrdersMax         int
	OutboxTotalBytesMax    int64
	HistoryMemoryBytesMax  int64
	UncheckpointedBytesMax int64
}

// HTTP is what the console has counted.
type HTTP struct {
	Answers      [4]uint64 // by class of status, from 2xx on
	Unauthorized uint64    // requests without a key, or with a wrong one
	Limited      uint64    // requests refused since too many wrong keys had come from their address
	Streams      int64     // live streams that are open
}

// reading is what one scrape has read.
type reading struct {
	from   *Sources
	stats  engine.Stats
	shards engine.Measures
	edge   *gateway.Stats
	loops  gateway.Measures
	flow   simulator.State
	http   HTTP

	kept bool // there is a journal, and it is recovered; otherwise what follows is 0
	disk journal.Stats
	jour journal.Measures
	full bool // no orders are taken for lack of room
}

// read reads everything once, so that what one scrape says of one part is of one moment.
func (from *Sources) read() *reading {
	r := &reading{
		from: from, stats: from.Engine.Stats(), shards: from.Engine.Measures(), edge: from.Gateway.Stats(),
		loops: from.Gateway.Measures(), flow: from.Flow.State(), http: from.HTTP(),
		jour: journal.NoMeasures(),
	}
	if from.Journal == nil {
		return r
	}
	if j := from.Journal(); j != nil {
		r.kept, r.disk, r.jour, r.full = true, j.Stats(), j.Measures(), j.ReadOnly()
	}
	return r
}
