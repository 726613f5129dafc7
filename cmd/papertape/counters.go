package main

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
)

// counters returns the counters of all parts of the server, under the names that operators see.
// docs/operations.md says which counter belongs to which limit.
func (s *server) counters() []console.Counter {
	e, g := s.engine.Stats(), s.gw.Stats()
	var wrong, limited uint64
	if c := s.console.Load(); c != nil {
		wrong, limited = c.Refused()
	}
	return append([]console.Counter{
		{Name: "connections", Value: uint64(s.gw.Connections()), What: "open now"},
		{Name: "accepted", Value: g.Accepted.Load(), What: "connections accepted"},
		{Name: "logins", Value: g.Logins.Load(), What: "logins that succeeded"},
		{Name: "logins_refused", Value: g.LoginsRefused.Load(),
			What: "logins refused: unknown account, too many sessions, malformed"},
		{Name: "auth_failed", Value: g.AuthFailed.Load(), What: "logins refused: no key, a wrong one, or not for that"},
		{Name: "auth_limited", Value: g.AuthLimited.Load(),
			What: "logins refused unseen: too many of their address had failed"},
		{Name: "auth_revoked", Value: g.AuthRevoked.Load(),
			What: "sessions ended since their key was revoked or expired"},
		{Name: "refused_full", Value: g.RefusedFull.Load(), What: "connections over a limit (GOODBYE FULL)"},
		{Name: "tls_handshakes", Value: g.Handshakes.Load(), What: "TLS handshakes that were completed"},
		{Name: "tls_failed", Value: g.HandshakesFailed.Load(), What: "TLS handshakes that failed"},
		{Name: "tls_refused", Value: g.HandshakesRefused.Load(),
			What: "connections closed since too many TLS handshakes began at once"},
		{Name: "login_timeouts", Value: g.LoginTimeouts.Load(), What: "connections that did not log in in time"},
		{Name: "idle", Value: g.Idle.Load(), What: "sessions that were silent for three heartbeats"},
		{Name: "kicked", Value: g.Kicked.Load(), What: "sessions ended by an operator"},
		{Name: "protocol_errors", Value: g.ProtocolErrors.Load(), What: "connections ended for what they sent"},
		{Name: "cut_outbox", Value: g.CutOutbox.Load(), What: "sessions with too much waiting (GOODBYE SLOW)"},
		{Name: "cut_stalled", Value: g.CutStalled.Load(),
			What: "sessions that read nothing for the stall timeout (GOODBYE SLOW)"},
		{Name: "cut_total", Value: g.CutTotal.Load(), What: "sessions cut since all outboxes together had too much"},
		{Name: "lost", Value: g.Lost.Load(), What: "sessions whose next event was no longer kept"},
		{Name: "quotes_skipped", Value: g.QuotesSkipped.Load(), What: "rounds of quotes left out for a subscriber"},
		{Name: "busy", Value: g.Busy.Load(), What: "requests refused: inbox full, or too many in flight"},
		{Name: "rate_limited", Value: e.RateLimited,
			What: "orders refused since their account sends too many a second"},
		{Name: "history_busy", Value: e.HistoryBusy,
			What: "requests refused since too many reads of history were under way"},
		{Name: "requests", Value: e.Requests, What: "requests served by the shards"},
		{Name: "events", Value: e.Events, What: "changes of accounts"},
		{Name: "orders_refused", Value: e.Refused, What: "orders refused by the book"},
		{Name: "steps", Value: e.Steps, What: "steps of the shards: one commit and one round of writes each"},
		{Name: "events_dropped", Value: e.EventsDropped, What: "events that memory no longer holds"},
		{Name: "history_events", Value: uint64(e.HistoryEvents), What: "events in memory"},
		{Name: "history_bytes", Value: uint64(e.HistoryBytes), What: "what the events in memory take"},
		{Name: "pool_overflows", Value: e.PoolOverflows, What: "drains that found the pool full; should be 0"},
		{Name: "panics", Value: e.Panics + g.Panics.Load(), What: "panics contained; should be 0"},
		{Name: "console_unauthorized", Value: wrong,
			What: "requests to the console without a key, or with a wrong one"},
		{Name: "console_limited", Value: limited,
			What: "requests to the console refused since too many wrong keys came from their address"},
		{Name: "log_lines_lost", Value: s.logLinesLost(),
			What: "lines of the log that could not be written, or that nobody read"},
	}, s.ledger.counters()...)
}

// counters returns the journal's counters, or none if the server keeps no journal or is still
// recovering it.
func (l *ledger) counters() []console.Counter {
	if l == nil || l.journal.Load() == nil {
		return nil
	}
	j := l.journal.Load().Stats()
	readOnly := uint64(0)
	if l.readOnly() {
		readOnly = 1
	}
	return []console.Counter{
		{Name: "journal_commits", Value: j.Commits,
			What: "commits in the journal: each a block, and with durability sync one sync"},
		{Name: "journal_events", Value: j.Events, What: "events committed since the start"},
		{Name: "journal_bytes", Value: j.Bytes, What: "bytes of these commits"},
		{Name: "journal_checkpoints", Value: j.Checkpoints, What: "checkpoints made since the start"},
		{Name: "journal_checkpoint_ms", Value: uint64(j.CheckpointTook.Milliseconds()),
			What: "what the last checkpoint took"},
		{Name: "journal_disk_bytes", Value: j.DiskBytes, What: "what the journal takes up on the disk"},
		{Name: "read_only", Value: readOnly, What: "1: the disk is nearly full, and orders are refused"},
	}
}

func newStats() *cobra.Command {
	var server consoleFlags
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "What a running server has counted: logins, events, and what its limits did",
		Example: `  papertape stats
  papertape stats -o json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			n, err := c.Counters(cmd.Context())
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, n, func(w io.Writer) error {
				t := newTable(table.Row{"counter", "what", "value"}, 3)
				for _, c := range n.Counters {
					t.AppendRow(table.Row{c.Name, c.What, c.Value})
				}
				_, err := fmt.Fprintln(w, t.Render())
				return err
			})
		},
	}
	server.register(cmd.Flags())
	return cmd
}
