package main

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/usertext"
)

// Config is everything that a server can be told. It is handed down in pieces; nothing reads it as a global.
//
// A setting has one key, and three places to write it: the key itself in a file (outbox_bytes_max), a flag
// (--outbox-bytes-max), the environment (PAPERTAPE_OUTBOX_BYTES_MAX). Flags win over the environment, which wins over the
// file, which wins over the default:
//
//	settings := newSettings()
//	settings.register(cmd.Flags())
//	cfg, err := settings.load(cmd.Flags(), os.Environ()) // a configError names the place and what would be right
type Config struct {
	Listen         string   // host:port of the wire protocol
	Admin          string   // host:port of the console
	AdminTokenFile string   // "": no token
	AdminToken     string   // what load read from AdminTokenFile; a secret
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

	ConnectionsMax          int // 0: as many as the limit of open files gives, see connectionsMax
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

// defaultConfig is the configuration of a server that was told nothing.
func defaultConfig() *Config {
	c := &Config{
		Listen: "127.0.0.1:7300", Admin: "127.0.0.1:7301", Data: "./papertape-data", Durability: durabilitySync,
		Accounts: 100, Seed: 1, Rules: "none", Presence: "own",
		ConnectionsPreloginMax: 1000, ConnectionsPerSecondMax: 10000, SessionsPerAccountMax: 64,
		InboxOrdersMax: 8192, RequestsInFlightMax: 256, HistoryReadsMax: 64,
		OutboxBytesMax: 256 << 10, OutboxTotalBytesMax: 1 << 30, SocketSendBufferBytes: 64 << 10,
		UncheckpointedBytesMax: 256 << 20, HistoryMemoryBytesMax: 1 << 30, DiskFreeBytesMin: 256 << 20, HugePages: true, CheckpointInterval: 5 * time.Second,
		StallTimeout: 10 * time.Second, Heartbeat: 15 * time.Second,
		LoginTimeout: 5 * time.Second, ShutdownTimeout: 10 * time.Second,
		sources: make(map[string]source),
	}
	c.Simulator.Rate = 1
	c.Prices.Source, c.Prices.Interval = "walk", time.Second
	c.Log.Level, c.Log.Format = "info", "auto"
	return c
}

// configError is a configuration that cannot be served. Main answers it with exit code 2.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func configErrorf(format string, args ...any) error {
	return configError{fmt.Errorf(format, args...)}
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

// Source says where the value of key came from: "default", papertape.json:3, PAPERTAPE_HEARTBEAT, --heartbeat.
func (c *Config) Source(key string) string {
	if s, ok := c.sources[key]; ok {
		return s.place
	}
	return "default"
}

// wrong is an error about the value in force for key.
func (c *Config) wrong(key, format string, args ...any) error {
	return configErrorf("%s: %w", c.sources[key].of(key), fmt.Errorf(format, args...))
}

// settings is the registry of all keys: flags, environment and files are read through it.
type settings struct {
	list  []setting
	names map[string]*setting // by every spelling that a file may use
}

const (
	envPrefix  = "PAPERTAPE_"
	configFlag = "config"
	configEnv  = envPrefix + "CONFIG"
)

func newSettings() *settings {
	s := &settings{list: allSettings(), names: make(map[string]*setting)}
	for i := range s.list {
		st := &s.list[i]
		s.names[st.key] = st
		if st.alias != "" {
			s.names[st.alias] = st
		}
	}
	return s
}

// register adds a flag for each key, and --config. What flags say is judged by load, like the rest.
func (s *settings) register(fs *pflag.FlagSet) {
	fs.Var(pathFlag{new(string)}, configFlag, "read settings from this `file`, JSON or YAML")
	defaults := defaultConfig()
	for i := range s.list {
		st := &s.list[i]
		flag := fs.VarPF(&flagText{text: st.text(defaults), kind: st.kind()}, st.flag(), "", st.usage)
		if flag.Value.Type() == kindBool {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagText is the pflag.Value of every key: it keeps what was written, for load to judge.
type flagText struct{ text, kind string }

func (f *flagText) Set(text string) error { f.text = text; return nil }
func (f *flagText) String() string        { return f.text }
func (f *flagText) Type() string          { return f.kind }

// load puts defaults, file, environment and flags together and checks the result. fs is the set given to register, after it
// was parsed; environ is as os.Environ returns it. It reads afresh each time, so it serves a reload too. A value that
// is bad is an error also where a stronger place overrides it.
func (s *settings) load(fs *pflag.FlagSet, environ []string) (*Config, error) {
	cfg := defaultConfig()
	if err := s.loadFile(cfg, configPath(fs, environ)); err != nil {
		return nil, err
	}
	if err := s.loadEnv(cfg, environ); err != nil {
		return nil, err
	}
	for i := range s.list {
		st := &s.list[i]
		if name := st.flag(); fs.Changed(name) {
			from := source{place: "--" + name, named: true}
			if err := st.apply(cfg, fs.Lookup(name).Value.String(), from); err != nil {
				return nil, err
			}
		}
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// apply sets the value of one key from a text.
func (st *setting) apply(cfg *Config, text string, from source) error {
	if err := st.set(cfg, text); err != nil {
		return configErrorf("%s: %w", from.of(st.key), err)
	}
	cfg.sources[st.key] = from
	return nil
}

// configPath is the file to read: that of the flag, else that of the environment, else none.
func configPath(fs *pflag.FlagSet, environ []string) string {
	if fs.Changed(configFlag) {
		return fs.Lookup(configFlag).Value.String()
	}
	path := ""
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); name == configEnv {
			path = value
		}
	}
	return path
}

func (s *settings) loadFile(cfg *Config, path string) error {
	if path == "" {
		return nil
	}
	text, err := readText(path, fileBytesMax, anybodys)
	if fault := (*usertext.Fault)(nil); errors.As(err, &fault) {
		return configErrorf("%w", err) // which begins with FILE:LINE, as those of parseFile do
	}
	if err != nil {
		return configErrorf("config: %w", err)
	}
	values, err := s.parseFile(path, text)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := v.setting.apply(cfg, v.text, source{place: fmt.Sprintf("%s:%d", path, v.line)}); err != nil {
			return err
		}
	}
	return nil
}

// loadEnv reads the PAPERTAPE_ variables. An empty one counts as not set; one that is no setting is an error.
func (s *settings) loadEnv(cfg *Config, environ []string) error {
	known := make(map[string]*setting, len(s.list))
	for i := range s.list {
		known[strings.TrimPrefix(s.list[i].env(), envPrefix)] = &s.list[i]
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || value == "" {
			continue
		}
		st := known[rest]
		if st == nil {
			if isOtherEnv(rest) {
				continue
			}
			return unknown(name, nearest(rest, maps.Keys(known)), envPrefix)
		}
		if err := st.apply(cfg, value, source{place: name, named: true}); err != nil {
			return err
		}
	}
	return nil
}

// isOtherEnv tells the PAPERTAPE_ variables that are no settings of a server: those of other commands and of tests, and
// those that Kubernetes puts into every container beside a service of the name papertape.
func isOtherEnv(rest string) bool {
	return rest == "CONFIG" || rest == "SERVER" || strings.HasPrefix(rest, "TEST_") ||
		rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}
