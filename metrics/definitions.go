package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/tally"
)

// definitions are the server's own metrics, in the order of docs/metrics.md. Names are promises: rules,
// dashboards and other people's queries have them.
var definitions = concat(process, clients, traffic, latencies, shards, disk, quotes, others)

func concat(all ...[]definition) (defs []definition) {
	for _, some := range all {
		defs = append(defs, some...)
	}
	return defs
}

// count makes a counter without labels.
func count(name, help string, value func(*reading) uint64) definition {
	return definition{name: name, kind: counter, help: help,
		read: func(r *reading, put func(float64, ...string)) { put(float64(value(r))) }}
}

// level makes a gauge without labels.
func level(name, help string, value func(*reading) float64) definition {
	return definition{name: name, kind: gauge, help: help,
		read: func(r *reading, put func(float64, ...string)) { put(value(r)) }}
}

// kept makes a gauge that is there only while there is a journal: 0 would be an alarm.
func kept(name, help string, value func(*reading) float64) definition {
	return definition{name: name, kind: gauge, help: help,
		read: func(r *reading, put func(float64, ...string)) {
			if r.kept {
				put(value(r))
			}
		}}
}

// seconds makes a histogram of times.
func seconds(name, help string, sum func(*reading) tally.Sum) definition {
	return definition{name: name, kind: histogram, help: help, sums: alone(sum), unit: float64(time.Second)}
}

// sizes makes a histogram of how many.
func sizes(name, help string, sum func(*reading) tally.Sum) definition {
	return definition{name: name, kind: histogram, help: help, sums: alone(sum), unit: 1}
}

// alone makes of a sum all sums of a metric without labels.
func alone(sum func(*reading) tally.Sum) func(*reading) []labelled {
	return func(r *reading) []labelled { return []labelled{{Sum: sum(r)}} }
}

// by makes a counter with one label, of pairs of its value and a count.
func by(name, label, help string, values func(*reading) []gateway.Count) definition {
	return definition{name: name, kind: counter, labels: []string{label}, help: help,
		read: func(r *reading, put func(float64, ...string)) {
			for _, v := range values(r) {
				put(float64(v.Count), v.Name)
			}
		}}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

var process = []definition{
	{name: "build_info", kind: gauge, labels: []string{"version", "goversion", "durability"},
		help: "1, with what runs as labels.",
		read: func(r *reading, put func(float64, ...string)) {
			put(1, r.from.Version, runtime.Version(), r.from.Durability)
		}},
	level("ready",
		"1: the server takes clients. 0: it starts, drains, or an event loop stands still; /readyz says which.",
		func(r *reading) float64 { return truth(r.from.Ready() == nil) }),
	level("read_only", "1: the disk is nearly full, and orders are refused.",
		func(r *reading) float64 { return truth(r.full) }),
	count("panics_total",
		"Panics contained, each a bug; the request or connection that caused one is lost, nothing else.",
		func(r *reading) uint64 { return r.stats.Panics + r.edge.Panics.Load() }),
	count("pool_overflows_total", "Drains of shards that found the pool of workers full, and ran on a new goroutine.",
		func(r *reading) uint64 { return r.stats.PoolOverflows }),
	count("log_lines_lost_total", "Lines of the log that could not be written, or that nobody read.",
		func(r *reading) uint64 { return r.from.LogLinesLost() }),
}

var clients = []definition{
	{name: "connections", kind: gauge, labels: []string{"state"},
		help: "Open connections: not logged in, reading what they have missed, or up to date.",
		read: func(r *reading, put func(float64, ...string)) {
			prelogin := r.from.Gateway.Connections() - r.shards.Live - r.shards.CatchingUp
			put(float64(max(0, prelogin)), "prelogin")
			put(float64(r.shards.CatchingUp), "catching_up")
			put(float64(r.shards.Live), "live")
		}},
	level("connections_limit", "Most connections that may be open, connections_max.",
		func(r *reading) float64 { return float64(r.from.Gateway.ConnectionsLimit()) }),
	count("connections_accepted_total", "Connections that came, those included that were then refused.",
		func(r *reading) uint64 { return r.edge.Accepted.Load() }),
	by("connections_refused_total", "cause", "Connections refused, by the limit that they exceeded.",
		func(r *reading) []gateway.Count { return r.loops.Refused }),
	by("logins_total", "result", "Logins that succeeded or were refused, and connections that did not log in in time.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "ok", Count: r.edge.Logins.Load()}, {Name: "refused", Count: r.edge.LoginsRefused.Load()},
				{Name: "timeout", Count: r.edge.LoginTimeouts.Load()},
			}
		}),
	by("logins_denied_total", "cause",
		"Of the logins refused: those with no key, a wrong one or one not for that, and those refused unseen "+
			"since too many of their address had failed.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "key", Count: r.edge.AuthFailed.Load()}, {Name: "limited", Count: r.edge.AuthLimited.Load()},
			}
		}),
	by("tls_handshakes_total", "result", "TLS handshakes completed, failed, and refused since too many began at once.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "ok", Count: r.edge.Handshakes.Load()}, {Name: "failed", Count: r.edge.HandshakesFailed.Load()},
				{Name: "refused", Count: r.edge.HandshakesRefused.Load()},
			}
		}),
	by("disconnects_total", "cause",
		"Connections ended. client: by the client, or it vanished. slow_*: it did not read, and can resume.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "client", Count: r.loops.LeftByClient}, {Name: "idle", Count: r.edge.Idle.Load()},
				{Name: "kicked", Count: r.edge.Kicked.Load()}, {Name: "protocol", Count: r.edge.ProtocolErrors.Load()},
				{Name: "slow_outbox", Count: r.edge.CutOutbox.Load()},
				{Name: "slow_stalled", Count: r.edge.CutStalled.Load()},
				{Name: "slow_total", Count: r.edge.CutTotal.Load()}, {Name: "lost", Count: r.edge.Lost.Load()},
				{Name: "revoked", Count: r.edge.AuthRevoked.Load()}, {Name: "shutdown", Count: r.loops.ShutDown},
			}
		}),
	by("resumes_total", "result",
		"Sessions that resumed where they had been, and those that could not and started from a snapshot.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "resumed", Count: r.loops.Resumed}, {Name: "resynced", Count: r.loops.Resynced},
			}
		}),
	level("outbox_bytes", "Bytes that clients have still to take, of all sessions.",
		func(r *reading) float64 { return float64(r.loops.OutboxBytes) }),
	level("outbox_limit_bytes",
		"Above this many the sessions that have stalled longest are cut, outbox_total_bytes_max.",
		func(r *reading) float64 { return float64(r.from.OutboxTotalBytesMax) }),
	level("outbox_sessions", "Sessions whose sockets have not taken all that was written to them.",
		func(r *reading) float64 { return float64(r.loops.OutboxSessions) }),
	count("quotes_skipped_total", "Rounds of quotes left out for a subscriber that did not read.",
		func(r *reading) uint64 { return r.edge.QuotesSkipped.Load() }),
}

var traffic = []definition{
	count("frames_received_total", "Frames of clients.", func(r *reading) uint64 { return r.loops.FramesReceived }),
	count("frames_sent_total", "Frames handed to sockets.", func(r *reading) uint64 { return r.loops.FramesSent }),
	count("network_received_bytes_total", "Bytes of clients, with TLS as they came.",
		func(r *reading) uint64 { return r.loops.BytesReceived }),
	count("network_sent_bytes_total", "Bytes handed to sockets, with TLS as they went.",
		func(r *reading) uint64 { return r.loops.BytesSent }),
	count("writes_total", "Writes to sockets. Frames a write say how much goes out together.",
		func(r *reading) uint64 { return r.loops.Writes }),
	by("requests_total", "type",
		"Requests of clients. CUSTOM: of the embedder's range. OTHER: of a type that clients may not send.",
		func(r *reading) []gateway.Count { return r.loops.Requests }),
	by("rejects_total", "code", "Requests answered REJECT, by its code.",
		func(r *reading) []gateway.Count { return r.loops.Rejects }),
	by("requests_refused_total", "limit",
		"Requests refused by a limit. queue: inbox full, or too many in flight. rate: orders_per_second. "+
			"history: history_reads_max. uncheckpointed: uncheckpointed_bytes_max. read_only: disk_free_bytes_min.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "queue", Count: r.edge.Busy.Load()}, {Name: "rate", Count: r.stats.RateLimited},
				{Name: "history", Count: r.stats.HistoryBusy}, {Name: "uncheckpointed", Count: r.stats.Busy},
				{Name: "read_only", Count: r.stats.ReadOnly},
			}
		}),
	by("orders_total", "result",
		"Orders decided by the books, the simulator's included. repeated: executed before, under its id.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "executed", Count: r.shards.Executed}, {Name: "refused", Count: r.stats.Refused},
				{Name: "repeated", Count: r.shards.Repeated},
			}
		}),
	{name: "events_total", kind: counter, labels: []string{"kind", "origin"},
		help: "Changes of accounts, by what they were and who caused them.",
		read: func(r *reading, put func(float64, ...string)) {
			for _, ev := range r.shards.Events {
				put(float64(ev.Count), ev.Kind, ev.Origin)
			}
		}},
}

var latencies = []definition{
	seconds("push_latency_seconds",
		"From the decision to the write to a client's socket: one sample a write, of its oldest event.",
		func(r *reading) tally.Sum { return r.loops.Push }),
	seconds("request_latency_seconds",
		"From the read of a request to the write of its answer: one sample a write, of the oldest that it answers. "+
			"Logins and what is read from the disk are not in it.",
		func(r *reading) tally.Sum { return r.loops.Request }),
	seconds("inbox_wait_seconds",
		"From the read of a request to the step that decides it: one sample a drain, of its first.",
		func(r *reading) tally.Sum { return r.shards.InboxWait }),
	{name: "step_seconds", kind: histogram, labels: []string{"phase"},
		help: "What the steps of the shards take. commit is of those alone that changed something. " +
			"Without a journal, of small steps one in sixteen is timed.",
		sums: func(r *reading) []labelled {
			return []labelled{
				{r.shards.Decide, []string{"decide"}}, {r.shards.Commit, []string{"commit"}},
				{r.shards.Publish, []string{"publish"}},
			}
		}, unit: float64(time.Second)},
	seconds("event_loop_lag_seconds", "From asking an event loop for a tick, about twice a second, to the tick.",
		func(r *reading) tally.Sum { return r.loops.LoopLag }),
}

var shards = []definition{
	sizes("step_requests", "Requests that were decided, committed and answered together.",
		func(r *reading) tally.Sum { return r.shards.StepRequests }),
	{name: "inbox_requests", kind: gauge, labels: []string{"shard"},
		help: "Requests that wait in the inbox of a shard.",
		read: func(r *reading, put func(float64, ...string)) {
			for i, n := range r.shards.Inbox {
				put(float64(n), strconv.Itoa(i))
			}
		}},
	{name: "inbox_limit", kind: gauge, labels: []string{"shard"},
		help: "How many may wait there before further ones are refused as BUSY, inbox_orders_max.",
		read: func(r *reading, put func(float64, ...string)) {
			for i := range r.shards.Inbox {
				put(float64(r.from.InboxOrdersMax), strconv.Itoa(i))
			}
		}},
	level("history_events", "Events in memory.", func(r *reading) float64 { return float64(r.stats.HistoryEvents) }),
	level("history_memory_bytes", "What the events in memory take.",
		func(r *reading) float64 { return float64(r.stats.HistoryBytes) }),
	level("history_memory_limit_bytes", "Above this many the oldest are dropped, history_memory_bytes_max.",
		func(r *reading) float64 { return float64(r.from.HistoryMemoryBytesMax) }),
	count("events_dropped_total", "Events that memory no longer holds. With a journal they are read from there.",
		func(r *reading) uint64 { return r.stats.EventsDropped }),
	level("history_reads", "Reads of history from the journal that are under way.",
		func(r *reading) float64 { return float64(r.shards.HistoryReads) }),
}

var disk = []definition{
	seconds("journal_commit_seconds", "What a block takes, from its write until its commits return.",
		func(r *reading) tally.Sum { return r.jour.Commit }),
	seconds("journal_sync_seconds",
		"What it takes until a block is on the disk. With interval: the syncs in the background.",
		func(r *reading) tally.Sum { return r.jour.Sync }),
	sizes("journal_commit_events", "Events of a block.", func(r *reading) tally.Sum { return r.jour.Events }),
	count("journal_commits_total", "Number of the newest commit, counted since the ledger was begun.",
		func(r *reading) uint64 { return r.disk.Commits }),
	count("journal_bytes_total", "Bytes of the blocks.", func(r *reading) uint64 { return r.disk.Bytes }),
	level("journal_disk_bytes", "What the journal takes up on the disk.",
		func(r *reading) float64 { return float64(r.disk.DiskBytes) }),
	level("journal_wal_bytes",
		"What is in the journal's log, which a start reads and the next flush makes superfluous.",
		func(r *reading) float64 { return float64(r.jour.WALBytes) }),
	level("journal_uncheckpointed_bytes", "Events that no checkpoint has stored yet, which a start would replay.",
		func(r *reading) float64 { return float64(r.stats.UncheckpointedBytes) }),
	level("journal_uncheckpointed_limit_bytes", "Above this many orders are refused as BUSY, uncheckpointed_bytes_max.",
		func(r *reading) float64 { return float64(r.from.UncheckpointedBytesMax) }),
	count("checkpoints_total", "Checkpoints made.", func(r *reading) uint64 { return r.disk.Checkpoints }),
	level("checkpoint_duration_seconds", "What the last checkpoint took.",
		func(r *reading) float64 { return r.disk.CheckpointTook.Seconds() }),
	kept("checkpoint_last_success_timestamp_seconds",
		"When the last checkpoint was durable; before the first: when the ledger was recovered. "+
			"Absent without a journal.",
		func(r *reading) float64 { return float64(r.jour.CheckpointAt.UnixNano()) / float64(time.Second) }),
	{name: "disk_free_bytes", kind: gauge,
		help: "What is free on the journal's disk. Absent without a journal, and where the file system does not say.",
		read: func(r *reading, put func(float64, ...string)) {
			if r.jour.DiskFreeKnown {
				put(float64(r.jour.DiskFreeBytes))
			}
		}},
	kept("disk_free_limit_bytes", "With less free than this orders are refused as READ_ONLY, disk_free_bytes_min. "+
		"Absent without a journal.", func(r *reading) float64 { return float64(r.jour.LowWaterBytes) }),
}

var quotes = []definition{
	by("quote_updates_total", "result",
		"Updates of quotes by feeds: applied, or refused since the quote is newer, bid and ask would cross, or a "+
			"number cannot be.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "applied", Count: r.from.Feed.Count(market.Applied)},
				{Name: "late", Count: r.from.Feed.Count(market.Late)},
				{Name: "crossed", Count: r.from.Feed.Count(market.Crossed)},
				{Name: "bad", Count: r.from.Feed.Count(market.BadPrice)},
			}
		}),
	level("quotes_changed_timestamp_seconds",
		"When a quote changed last, by the clock of the server; 0: all are those of the opening.",
		func(r *reading) float64 { return float64(r.from.Feed.Snapshot().Time()) / float64(time.Second) }),
}

var others = []definition{
	level("simulator_rate",
		"Simulated fills a second that are asked for.", func(r *reading) float64 { return r.flow.Rate }),
	by("simulator_fills_total", "result",
		"Draws of the simulator. nothing: the account had no suitable trade. skipped: dropped, as the server was busy.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "executed", Count: r.flow.Fills}, {Name: "refused", Count: r.flow.Refused},
				{Name: "nothing", Count: r.flow.None}, {Name: "skipped", Count: r.flow.Skipped},
			}
		}),
	by("http_requests_total", "code", "Answers of the console, by class of status.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{
				{Name: "2xx", Count: r.http.Answers[0]}, {Name: "3xx", Count: r.http.Answers[1]},
				{Name: "4xx", Count: r.http.Answers[2]}, {Name: "5xx", Count: r.http.Answers[3]},
			}
		}),
	by("http_denied_total", "cause",
		"Of the requests to the console: those without a key or with a wrong one, and those refused since too many "+
			"wrong ones had come from their address.",
		func(r *reading) []gateway.Count {
			return []gateway.Count{{Name: "key", Count: r.http.Unauthorized}, {Name: "limited", Count: r.http.Limited}}
		}),
	level("live_streams", "Live streams of the console that are open.",
		func(r *reading) float64 { return float64(r.http.Streams) }),
}
