package config

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/simulator"
)

type setting struct {
	key   string
	alias string // another spelling that files may use
	usage string
	live  bool // can be changed in a running server by SIGHUP
	value
}

func (st *setting) flag() string { return strings.ReplaceAll(st.key, "_", "-") }

func (st *setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(st.key, ".", "_"))
}

// AccountsMax is the highest number of accounts of a server.
const AccountsMax = 1_000_000

// Bounds of other values. They catch typing errors; what the machine can provide is checked
// elsewhere.
const (
	loopsMax   = 256 // the most that gnet supports
	shardsMax  = 1024
	workersMax = 1 << 16
	countMax   = math.MaxInt32
	outboxMin  = 16 << 10
	sizeMax    = 1 << 40

	adminHostsMax = 64 // and networks of proxies
)

// allSettings lists the keys in the order in which they are documented.
func allSettings() []setting {
	list := append(placeSettings(), ledgerSettings()...)
	return append(list, limitSettings()...)
}

func placeSettings() []setting {
	return []setting{
		{key: "listen", usage: "`address` of the wire protocol; one that other machines reach needs auth.keys_file, " +
			"and tls.cert or allow_plaintext",
			value: addressValue(func(c *Config) *string { return &c.Listen })},
		{key: "allow_plaintext", usage: "consent to a listen address that other machines reach, without encryption",
			value: booleanValue(func(c *Config) *bool { return &c.AllowPlaintext })},
		{key: "auth.keys_file",
			usage: "`file` of keys that clients log in with (papertape keys add); SIGHUP reads it " +
				"again",
			value: pathValue(func(c *Config) *string { return &c.AuthKeysFile }, true)},
		{key: "tls.cert", live: true, usage: "`file` with the server's certificate and its chain (PEM); clients then " +
			"come over TLS",
			value: pathValue(func(c *Config) *string { return &c.TLS.Cert }, true)},
		{key: "tls.key", live: true, usage: "`file` with the key of tls.cert (PEM), which only its owner may read",
			value: pathValue(func(c *Config) *string { return &c.TLS.Key }, true)},
		{key: "tls.client_ca", live: true, usage: "`file` with authorities (PEM); a client needs a certificate of one",
			value: pathValue(func(c *Config) *string { return &c.TLS.ClientCA }, true)},
		{key: "proxy_protocol_from", usage: "`networks` of proxies, which have to send a PROXY header of version 2",
			value: prefixesValue(func(c *Config) *[]netip.Prefix { return &c.ProxyProtocolFrom }, adminHostsMax)},
		{key: "admin", usage: "`address` of the console (HTTP); one that other machines reach needs admin_token_file",
			value: addressValue(func(c *Config) *string { return &c.Admin })},
		{key: "admin_token_file", usage: "`file` with the token that the console asks for",
			value: pathValue(func(c *Config) *string { return &c.AdminTokenFile }, true)},
		{key: "admin_hosts", usage: "`names` by which the console is asked, whose pages may ask it too; an address " +
			"needs none",
			value: listValue(func(c *Config) *[]string { return &c.AdminHosts }, adminHostsMax, console.ParseHost)},
		{key: "health_listen", usage: "`address` of /livez and /readyz alone; without it 127.0.0.1:7303 where that " +
			"is free and admin is the default, else none",
			value: optionalAddressValue(func(c *Config) *string { return &c.HealthListen })},
		{key: "backup_dir", usage: "`directory` below which backups go that are asked for by HTTP; without it there " +
			"are none",
			value: pathValue(func(c *Config) *string { return &c.BackupDir }, true)},
		{key: "audit_file", usage: "`file` that says who changed what; without it audit.log in data",
			value: pathValue(func(c *Config) *string { return &c.AuditFile }, true)},
		{key: "data", usage: "data `directory`, made on the first start; of one server at a time",
			value: pathValue(func(c *Config) *string { return &c.Data }, false)},
		{key: "durability", usage: "`mode`: sync (every answer is on the disk first), interval (synced every 100ms) " +
			"or none (in memory)",
			value: oneOfValue(func(c *Config) *string { return &c.Durability }, nil, DurabilitySync,
				DurabilityInterval, DurabilityNone)},
		{key: "cpuprofile", usage: "write a CPU profile to this `file`",
			value: pathValue(func(c *Config) *string { return &c.CPUProfile }, true)},
		{key: "log.level", live: true, usage: "`level`: trace, debug, info, warn or error",
			value: oneOfValue(func(c *Config) *string { return &c.Log.Level }, nil, "trace", "debug", "info", "warn",
				"error")},
		{key: "log.format", usage: "`format`: auto (console on a terminal, else json), console or json",
			value: oneOfValue(func(c *Config) *string { return &c.Log.Format }, nil, "auto", "console", "json")},
	}
}

func ledgerSettings() []setting {
	return append([]setting{
		{key: "accounts", usage: "accounts opened on the first start",
			value: numberValue(func(c *Config) *int { return &c.Accounts }, 1, AccountsMax)},
		{key: "seed", usage: "of prices, opening books and the simulator",
			value: unsignedValue(func(c *Config) *uint64 { return &c.Seed })},
		{key: "universe", usage: "what is `traded`: cn, us, or a file of instruments, CSV or YAML (papertape " +
			"instruments checks it)",
			value: pathValue(func(c *Config) *string { return &c.Universe }, false)},
		{key: "rules", usage: "trading `rules`: none (cn-a comes later)",
			value: oneOfValue(func(c *Config) *string { return &c.Rules }, map[string]string{
				"cn-a": "cn-a, the A-share rules, comes later; this build has only rules: none",
			}, "none")},
		{key: "simulator.rate", live: true, usage: "simulated fills a second over all accounts; 0 is off",
			value: floatValue(func(c *Config) *float64 { return &c.Simulator.Rate }, 0, simulator.RateMax)},
		{key: "simulator.script", usage: "a scenario `file`: who does what when",
			value: pathValue(func(c *Config) *string { return &c.Simulator.Script }, true)},
	}, append(priceSettings(),
		setting{key: "presence", usage: "`whose` coming and going subscribers see: own or all accounts",
			value: oneOfValue(func(c *Config) *string { return &c.Presence }, nil, "own", "all")},
		setting{key: "orders_per_second", usage: "per account; 0 is no limit",
			value: numberValue(func(c *Config) *int { return &c.OrdersPerSecond }, 0, countMax)},
	)...)
}

// columnsMax bounds the list of columns. A tape has fewer.
const columnsMax = 32

func priceSettings() []setting {
	return []setting{
		{key: "prices", alias: "prices.source", usage: "where prices `come` from: walk, fixed, replay (of " +
			"prices.file) or push (papertape feed)",
			value: oneOfValue(func(c *Config) *string { return &c.Prices.Source }, nil, PricesWalk, PricesFixed,
				PricesReplay, PricesPush)},
		{key: "prices.interval", usage: "time between two prices of the walk",
			value: durationValue(func(c *Config) *time.Duration { return &c.Prices.Interval }, time.Millisecond,
				time.Hour)},
		{key: "prices.spread_ticks", usage: "ticks between bid and ask of the walk; auto: 1 for American " +
			"instruments, else 0",
			value: spreadValue(func(c *Config) *int { return &c.Prices.SpreadTicks })},
		{key: "prices.file", usage: "the `file` to replay: CSV of trades, quotes or bars, also gzip or zstd",
			value: pathValue(func(c *Config) *string { return &c.Prices.File }, true)},
		{key: "prices.columns", usage: "`columns` of prices.file that are not known by their names, as in " +
			"time=ts,code=sym,last=px",
			value: listValue(func(c *Config) *[]string { return &c.Prices.Columns }, columnsMax, parseColumn)},
		{key: "prices.speed", usage: "how fast prices.file is replayed: 1 is as it was, 60 a minute a second, or max",
			value: speedValue(func(c *Config) *float64 { return &c.Prices.Speed })},
		{key: "prices.from", usage: "`time` at which the replay begins, as 2026-03-02T09:30:00+08:00 or 2026-03-02; " +
			"without it at the beginning",
			value: momentValue(func(c *Config) *string { return &c.Prices.From })},
		{key: "prices.loop", usage: "replay prices.file again and again, with its times shifted by whole days",
			value: booleanValue(func(c *Config) *bool { return &c.Prices.Loop })},
		{key: "market_hours", usage: "trade in the hours of the markets only; else round the clock",
			value: booleanValue(func(c *Config) *bool { return &c.MarketHours })},
		{key: "clock", usage: "the server's `time`: real, or tape, which is that of prices.file",
			value: oneOfValue(func(c *Config) *string { return &c.Clock }, nil, ClockReal, ClockTape)},
	}
}

func limitSettings() []setting {
	return append([]setting{
		{key: "event_loops", usage: "event loops of the network edge; auto: one for each processor",
			value: autoNumberValue(func(c *Config) *int { return &c.EventLoops }, 1, loopsMax)},
		{key: "shards", usage: "shards of the ledger; auto: one for each processor",
			value: autoNumberValue(func(c *Config) *int { return &c.Shards }, 1, shardsMax)},
		{key: "workers", usage: "size of the pool that drains the shards; auto: twice the shards",
			value: autoNumberValue(func(c *Config) *int { return &c.Workers }, 1, workersMax)},
		{key: "connections_max", live: true, usage: "connections in all; auto: min(100000, hard limit of open files " +
			"- 1500)",
			value: autoNumberValue(func(c *Config) *int { return &c.ConnectionsMax }, 1, countMax)},
		{key: "connections_prelogin_max", live: true, usage: "connections that have not logged in",
			value: numberValue(func(c *Config) *int { return &c.ConnectionsPreloginMax }, 1, countMax)},
		{key: "connections_per_ip_max", live: true, usage: "connections from one address; 0 is no limit",
			value: numberValue(func(c *Config) *int { return &c.ConnectionsPerIPMax }, 0, countMax)},
		{key: "connections_per_second_max", live: true,
			usage: "connections let in, with a second's worth at once; 0 is no limit",
			value: numberValue(func(c *Config) *int { return &c.ConnectionsPerSecondMax }, 0, countMax)},
		{key: "tls.handshakes_per_second_max", live: true,
			usage: "TLS handshakes begun, with a second's worth at once; auto: 500 for each processor",
			value: autoNumberValue(func(c *Config) *int { return &c.TLS.HandshakesPerSecondMax }, 1, countMax)},
		{key: "sessions_per_account_max", usage: "sessions of one account",
			value: numberValue(func(c *Config) *int { return &c.SessionsPerAccountMax }, 1, countMax)},
		{key: "inbox_orders_max", usage: "requests that wait in a shard; more are answered BUSY",
			value: numberValue(func(c *Config) *int { return &c.InboxOrdersMax }, 1, 1<<24)},
		{key: "requests_in_flight_max", usage: "unanswered requests of a connection; more are answered BUSY",
			value: numberValue(func(c *Config) *int { return &c.RequestsInFlightMax }, 1, 1<<20)},
		{key: "history_reads_max", usage: "reads of history under way; more are answered BUSY",
			value: numberValue(func(c *Config) *int { return &c.HistoryReadsMax }, 1, 1<<16)},
		{key: "outbox_bytes_max", usage: "what may wait to be written to one session; beyond it the session is cut " +
			"and resumes",
			value: sizeValue(func(c *Config) *int64 { return &c.OutboxBytesMax }, outboxMin, 1<<30)},
		{key: "outbox_total_bytes_max", usage: "what may wait to be written to all sessions together",
			value: sizeValue(func(c *Config) *int64 { return &c.OutboxTotalBytesMax }, outboxMin, sizeMax)},
		{key: "socket_send_buffer_bytes", usage: "SO_SNDBUF of each accepted socket",
			value: sizeValue(func(c *Config) *int64 { return &c.SocketSendBufferBytes }, 4<<10, 1<<30)},
		{key: "uncheckpointed_bytes_max", usage: "events not yet checkpointed, in memory; beyond it orders are " +
			"answered BUSY",
			value: sizeValue(func(c *Config) *int64 { return &c.UncheckpointedBytesMax }, 1<<20, sizeMax)},
		{key: "bars_memory_bytes_max", usage: "bars and recent trades, in memory and on the disk; beyond it the " +
			"oldest are dropped",
			value: sizeValue(func(c *Config) *int64 { return &c.BarsMemoryBytesMax }, 1<<20, sizeMax)},
		{key: "disk_free_bytes_min", usage: "room on the disk of data; with less, orders are answered READ_ONLY",
			value: sizeValue(func(c *Config) *int64 { return &c.DiskFreeBytesMin }, 1<<20, sizeMax)},
		{key: "history_memory_bytes_max", usage: "history kept in memory, of all accounts together",
			value: sizeValue(func(c *Config) *int64 { return &c.HistoryMemoryBytesMax }, 1<<20, sizeMax)},
		{key: "huge_pages", usage: "ask the kernel for huge pages under what is kept in memory: fewer page faults",
			value: booleanValue(func(c *Config) *bool { return &c.HugePages })},
	}, timeSettings()...)
}

func timeSettings() []setting {
	const shortest = 100 * time.Millisecond
	return []setting{
		{key: "checkpoint_interval", usage: "time between two checkpoints; what came since the last is replayed at " +
			"the next start",
			value: durationValue(func(c *Config) *time.Duration { return &c.CheckpointInterval }, 10*time.Millisecond,
				time.Hour)},
		{key: "stall_timeout", usage: "bytes waiting and none taken for so long: the session is cut and resumes",
			value: durationValue(func(c *Config) *time.Duration { return &c.StallTimeout }, shortest, time.Hour)},
		{key: "heartbeat", usage: "silence after which a side pings",
			value: durationValue(func(c *Config) *time.Duration { return &c.Heartbeat }, shortest, 10*time.Minute)},
		{key: "login_timeout", usage: "time to log in after connecting",
			value: durationValue(func(c *Config) *time.Duration { return &c.LoginTimeout }, shortest, 10*time.Minute)},
		{key: "shutdown_timeout", usage: "time to finish what was taken when the server is stopped",
			value: durationValue(func(c *Config) *time.Duration { return &c.ShutdownTimeout }, shortest, time.Hour)},
	}
}
