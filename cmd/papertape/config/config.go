package config

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"runtime"
	"time"
)

// The durability modes.
const (
	DurabilitySync     = "sync"
	DurabilityInterval = "interval"
	DurabilityNone     = "none"
)

// Where prices come from.
const (
	PricesWalk   = "walk"
	PricesFixed  = "fixed"
	PricesReplay = "replay"
	PricesPush   = "push"
)

// The clocks that a server can go by.
const (
	ClockReal = "real"
	ClockTape = "tape"
)

// SpreadAuto is Prices.SpreadTicks as it is unless set: whoever knows the instruments decides.
const SpreadAuto = -1

// Config holds every setting of a server. Its parts are passed down explicitly; nothing reads it as
// a global.
type Config struct {
	Listen         string   // host:port for the wire protocol
	Admin          string   // host:port for the console
	AdminTokenFile string   // empty: no token
	AdminToken     string   // what Load read from AdminTokenFile; secret
	AdminHosts     []string // host names of the console, as console.ParseHost returns them
	AuthKeysFile   string   // path of the keys that clients log in with; empty: none are asked for
	HealthListen   string   // host:port of health alone; empty: see keys.go
	BackupDir      string   // where backups that are asked for by HTTP go; empty: there are none
	AuditFile      string   // empty: audit.log in Data
	AllowPlaintext bool     // allows a Listen address that other machines can reach
	TLS            struct {
		Cert, Key, ClientCA    string // paths; Cert empty: no TLS
		HandshakesPerSecondMax int    // 0: as HandshakesPerSecond says
	}
	TLSConfig         *tls.Config    // what Load read from the files of TLS; nil: no TLS; secret
	ProxyProtocolFrom []netip.Prefix // proxies, of which a PROXY header is required

	Data       string // the data directory
	Durability string // sync, interval or none

	Accounts  int
	Seed      uint64
	Rules     string // none
	Universe  string // what is traded: cn, us, or the path of a file
	Simulator struct {
		Rate   float64 // fills per second over all accounts; 0: off
		Script string  // path of a scenario; empty: none
	}
	Prices struct {
		Source      string // walk, fixed, replay or push
		Interval    time.Duration
		SpreadTicks int      // SpreadAuto: as the instruments are
		File        string   // of a replay
		Columns     []string // of File, each field=header
		Speed       float64  // 0: as fast as it goes
		From        string   // see PricesFrom; empty: from the beginning
		Loop        bool
	}
	MarketHours     bool
	Clock           string // real or tape
	Presence        string // own or all
	OrdersPerSecond int    // per account; 0: unlimited

	EventLoops int // 0: one per processor
	Shards     int // 0: one per processor
	Workers    int // 0: twice Shards

	ConnectionsMax          int // 0: as many as the limit of open files allows, which this package does not know
	ConnectionsPreloginMax  int
	ConnectionsPerIPMax     int // 0: unlimited
	ConnectionsPerSecondMax int // 0: unlimited
	SessionsPerAccountMax   int
	InboxOrdersMax          int // per shard
	RequestsInFlightMax     int // per connection
	HistoryReadsMax         int

	OutboxBytesMax         int64
	OutboxTotalBytesMax    int64
	SocketSendBufferBytes  int64
	UncheckpointedBytesMax int64
	DiskFreeBytesMin       int64 // with less free space orders are refused
	HistoryMemoryBytesMax  int64
	BarsMemoryBytesMax     int64
	HugePages              bool // for the heap

	CheckpointInterval time.Duration
	StallTimeout       time.Duration
	Heartbeat          time.Duration
	LoginTimeout       time.Duration
	ShutdownTimeout    time.Duration

	Log struct {
		Level  string // trace, debug, info, warn or error
		Format string // auto, console or json
	}
	CPUProfile string // path; empty: none
	Export     string // where histories go at a clean stop; empty: nowhere. No setting, but a flag of serve

	sources map[string]source // by key; a missing key has its default
}

// Default returns the configuration of a server with no settings given.
func Default() *Config {
	c := &Config{
		Listen: "127.0.0.1:7300", Admin: "127.0.0.1:7301", Data: "./papertape-data", Durability: DurabilitySync,
		Accounts: 100, Seed: 1, Rules: "none", Universe: "cn", Presence: "own",
		ConnectionsPreloginMax: 1000, ConnectionsPerSecondMax: 10000, SessionsPerAccountMax: 64,
		InboxOrdersMax: 8192, RequestsInFlightMax: 256, HistoryReadsMax: 64,
		OutboxBytesMax: 256 << 10, OutboxTotalBytesMax: 1 << 30, SocketSendBufferBytes: 64 << 10,
		UncheckpointedBytesMax: 256 << 20, HistoryMemoryBytesMax: 1 << 30, BarsMemoryBytesMax: 256 << 20,
		DiskFreeBytesMin: 256 << 20, HugePages: true, Clock: ClockReal,
		CheckpointInterval: 5 * time.Second, StallTimeout: 10 * time.Second, Heartbeat: 15 * time.Second,
		LoginTimeout: 5 * time.Second, ShutdownTimeout: 10 * time.Second,
		sources: make(map[string]source),
	}
	c.Simulator.Rate = 1
	c.Prices.Source, c.Prices.Interval, c.Prices.SpreadTicks, c.Prices.Speed = PricesWalk, time.Second, SpreadAuto, 1
	c.Log.Level, c.Log.Format = "info", "auto"
	return c
}

// Error reports a configuration that cannot be used: what is wrong, and where it was written.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

func (e Error) Unwrap() error { return e.Err }

// Errorf is fmt.Errorf, returning an Error.
func Errorf(format string, args ...any) error {
	return Error{fmt.Errorf(format, args...)}
}

// source records where a value came from. The zero source means the default.
type source struct {
	place string // papertape.json:3, PAPERTAPE_HEARTBEAT or --heartbeat
	named bool   // place itself names the setting
}

// describe returns the beginning of an error message about key.
func (s source) describe(key string) string {
	switch {
	case s.place == "":
		return key
	case s.named:
		return s.place
	default:
		return s.place + ": " + key
	}
}

// SourceDefault is the source of a value that was not set anywhere.
const SourceDefault = "default"

// Source returns where the value of key came from: SourceDefault, or a place such as
// papertape.json:3, PAPERTAPE_HEARTBEAT or --heartbeat.
func (c *Config) Source(key string) string {
	if s, ok := c.sources[key]; ok {
		return s.place
	}
	return SourceDefault
}

// Wrong returns an Error about the current value of key. The message names the place where the
// value was set.
func (c *Config) Wrong(key, format string, args ...any) error {
	return Errorf("%s: %w", c.sources[key].describe(key), fmt.Errorf(format, args...))
}

// EventLoopCount returns EventLoops, or one per processor that Go uses if EventLoops is 0.
func (c *Config) EventLoopCount() int { return orProcessors(c.EventLoops) }

// ShardCount returns Shards, or one per processor that Go uses if Shards is 0.
func (c *Config) ShardCount() int { return orProcessors(c.Shards) }

// WorkerCount returns Workers. If that is 0, it returns enough for every shard to commit while its
// next drain is being prepared.
func (c *Config) WorkerCount() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return 2 * c.ShardCount()
}

func orProcessors(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}
