package config

import (
	"fmt"
	"runtime"
	"time"
)

// The modes of durability.
const (
	DurabilitySync     = "sync"
	DurabilityInterval = "interval"
	DurabilityNone     = "none"
)

// Config is everything that a server can be told. It is handed down in pieces; nothing reads it as a global.
type Config struct {
	Listen         string   // host:port of the wire protocol
	Admin          string   // host:port of the console
	AdminTokenFile string   // "": no token
	AdminToken     string   // what Load read from AdminTokenFile; a secret
	AdminHosts     []string // names of the console, as console.ParseHost returns them
	AllowPlaintext bool     // consent to a Listen that other machines can reach
	Data           string   // directory
	Durability     string   // sync, interval, none

	Accounts  int
	Seed      uint64
	Rules     string // none
	Simulator struct {
		Rate   float64 // fills a second over all accounts; 0: off
		Script string  // path of a scenario; "": none
	}
	Prices struct {
		Source   string // walk, fixed
		Interval time.Duration
	}
	Presence        string // own, all
	OrdersPerSecond int    // per account; 0: no limit

	EventLoops int // 0: one for each processor
	Shards     int // 0: one for each processor
	Workers    int // 0: twice Shards

	ConnectionsMax          int // 0: as many as the limit of open files gives, which is not known here
	ConnectionsPreloginMax  int
	ConnectionsPerIPMax     int // 0: no limit
	ConnectionsPerSecondMax int // 0: no limit
	SessionsPerAccountMax   int
	InboxOrdersMax          int // per shard
	RequestsInFlightMax     int // per connection
	HistoryReadsMax         int

	OutboxBytesMax         int64
	OutboxTotalBytesMax    int64
	SocketSendBufferBytes  int64
	UncheckpointedBytesMax int64
	DiskFreeBytesMin       int64 // below it orders are refused
	HistoryMemoryBytesMax  int64
	HugePages              bool // under the heap

	CheckpointInterval time.Duration
	StallTimeout       time.Duration
	Heartbeat          time.Duration
	LoginTimeout       time.Duration
	ShutdownTimeout    time.Duration

	Log struct {
		Level  string // trace, debug, info, warn, error
		Format string // auto, console, json
	}
	CPUProfile string // path; "": none

	sources map[string]source // by key; what is missing is a default
}

// Default is the configuration of a server that was told nothing.
func Default() *Config {
	c := &Config{
		Listen: "127.0.0.1:7300", Admin: "127.0.0.1:7301", Data: "./papertape-data", Durability: DurabilitySync,
		Accounts: 100, Seed: 1, Rules: "none", Presence: "own",
		ConnectionsPreloginMax: 1000, ConnectionsPerSecondMax: 10000, SessionsPerAccountMax: 64,
		InboxOrdersMax: 8192, RequestsInFlightMax: 256, HistoryReadsMax: 64,
		OutboxBytesMax: 256 << 10, OutboxTotalBytesMax: 1 << 30, SocketSendBufferBytes: 64 << 10,
		UncheckpointedBytesMax: 256 << 20, HistoryMemoryBytesMax: 1 << 30, DiskFreeBytesMin: 256 << 20, HugePages: true,
		CheckpointInterval: 5 * time.Second, StallTimeout: 10 * time.Second, Heartbeat: 15 * time.Second,
		LoginTimeout: 5 * time.Second, ShutdownTimeout: 10 * time.Second,
		sources: make(map[string]source),
	}
	c.Simulator.Rate = 1
	c.Prices.Source, c.Prices.Interval = "walk", time.Second
	c.Log.Level, c.Log.Format = "info", "auto"
	return c
}

// Error is a configuration that cannot be served: what is wrong, and where it was written.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e Error) Unwrap() error { return e.Err }

// Errorf is fmt.Errorf for an Error.
func Errorf(format string, args ...any) error {
	return Error{fmt.Errorf(format, args...)}
}

// source is where a value came from. The zero source is the default.
type source struct {
	place string // papertape.json:3, PAPERTAPE_HEARTBEAT, --heartbeat
	named bool   // place says which setting it is
}

// of begins an error message about key.
func (s source) of(key string) string {
	switch {
	case s.place == "":
		return key
	case s.named:
		return s.place
	default:
		return s.place + ": " + key
	}
}

// SourceDefault is the source of a value that nobody has written.
const SourceDefault = "default"

// Source says where the value of key came from: SourceDefault, papertape.json:3, PAPERTAPE_HEARTBEAT, --heartbeat.
func (c *Config) Source(key string) string {
	if s, ok := c.sources[key]; ok {
		return s.place
	}
	return SourceDefault
}

// Wrong is an Error about the value in force for key, which names the place that it came from.
func (c *Config) Wrong(key, format string, args ...any) error {
	return Errorf("%s: %w", c.sources[key].of(key), fmt.Errorf(format, args...))
}

// EventLoopCount is EventLoops, or one for each processor that Go uses.
func (c *Config) EventLoopCount() int { return orProcessors(c.EventLoops) }

// ShardCount is Shards, or one for each processor that Go uses.
func (c *Config) ShardCount() int { return orProcessors(c.Shards) }

// WorkerCount is Workers, or enough for every shard to be in a commit while the next drain is on its way.
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
