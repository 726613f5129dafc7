package main

import (
	"fmt"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/simulator"
)

// about is what the console says of the server.
func (s *server) about() console.About {
	a := console.About{
		Version: version, Epoch: s.epoch(), Started: s.started.UTC(), Durability: s.cfg.Durability,
		State: console.StateReady,
		Addresses: console.Addresses{Clients: orEmpty(s.listening.Load()), Console: orEmpty(s.admin.Load()),
			Health: orEmpty(s.health.Load())},
		Accounts: console.AccountRange{First: simulator.FirstAccount, Count: s.opening.Accounts},
		Tape:     s.tapeState(),
	}
	why := s.unready.Load()
	switch late := s.gw.Late(); {
	case why != nil:
		a.State, a.Reason = why.state, why.why
		if why.state == console.StateRecovering {
			a.Percent = &why.percent
		}
	case late != nil:
		a.State, a.Reason = console.StateLate, late.Error()
	}
	return a
}

// epoch returns the epoch of the ledger, or nil before it is recovered.
func (s *server) epoch() *console.Hash {
	if !s.recovered.Load() {
		return nil
	}
	epoch := console.Hash(s.engine.Epoch())
	return &epoch
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// limits are what the server holds, beside what it may hold.
func (s *server) limits() []console.Limit {
	e, limits := s.engine.Stats(), s.gw.CurrentLimits()
	all := []console.Limit{
		{Name: "connections", Unit: "connections", Value: uint64(s.gw.Connections()),
			Limit: uint64(limits.ConnectionsMax),
			What:  "connections of clients (connections_max)"},
		{Name: "connections_prelogin", Unit: "connections", Value: uint64(s.gw.Prelogin()),
			Limit: uint64(limits.ConnectionsPreloginMax), What: "those not logged in (connections_prelogin_max)"},
		{Name: "outboxes", Unit: "bytes", Value: uint64(s.gw.OutboxBytes()), Limit: uint64(s.cfg.OutboxTotalBytesMax),
			What: "what clients have still to take (outbox_total_bytes_max)"},
		{Name: "history_memory", Unit: "bytes", Value: uint64(e.HistoryBytes),
			Limit: uint64(s.cfg.HistoryMemoryBytesMax),
			What:  "events in memory; beyond it the oldest are read from the disk (history_memory_bytes_max)"},
	}
	if s.ledger == nil {
		return all
	}
	all = append(all, console.Limit{Name: "uncheckpointed", Unit: "bytes", Value: uint64(e.UncheckpointedBytes),
		Limit: uint64(s.cfg.UncheckpointedBytesMax), What: "events that no checkpoint has (uncheckpointed_bytes_max)"})
	if free, ok := s.diskFree(); ok {
		all = append(all, console.Limit{Name: "disk_free", Unit: "bytes", Value: free,
			Limit: uint64(s.cfg.DiskFreeBytesMin),
			Low:   true, What: "what is free on the disk; below it orders are refused (disk_free_bytes_min)"})
	}
	return all
}

// diskFree returns how much of the ledger's disk is free, if that is known.
func (s *server) diskFree() (bytes uint64, ok bool) {
	if s.ledger == nil {
		return 0, false
	}
	j := s.ledger.journal.Load()
	if j == nil {
		return 0, false
	}
	free, err := j.FreeBytes()
	return free, err == nil
}

// journalState is what the console says of the journal.
func (s *server) journalState() console.JournalState {
	st := console.JournalState{Durability: s.cfg.Durability, Epoch: s.epoch()}
	if s.ledger == nil {
		return st
	}
	st.Kept, st.Directory, st.ReadOnly = true, s.cfg.Data, s.ledger.readOnly()
	st.UncheckpointedBytes = uint64(s.engine.Stats().UncheckpointedBytes)
	st.UncheckpointedLimitBytes, st.DiskFreeLimitBytes = uint64(s.cfg.UncheckpointedBytesMax),
		uint64(s.cfg.DiskFreeBytesMin)
	st.DiskFreeBytes, _ = s.diskFree()
	j := s.ledger.journal.Load()
	if j == nil {
		return st
	}
	from := j.Stats()
	st.Commits, st.Events, st.Bytes, st.Checkpoints = from.Commits, from.Events, from.Bytes, from.Checkpoints
	st.CheckpointMS, st.DiskBytes = uint64(from.CheckpointTook.Milliseconds()), from.DiskBytes
	if n := from.Commits - from.CommitsBefore; n > 0 {
		st.EventsACommit = float64(from.Events) / float64(n)
	}
	if !from.CheckpointAt.IsZero() {
		at := from.CheckpointAt.UTC()
		st.CheckpointAt = &at
	}
	return st
}

// What a check has to exceed to fail.
const (
	checkpointLate = 5 * time.Minute // since the last checkpoint; the alert has the same bound
	syncSlow       = 50 * time.Millisecond
	loopSlow       = 100 * time.Millisecond
)

// checks are what readiness is made of, and what an operator should know beside it.
func (s *server) checks() []console.Check {
	ok := func(name, detail string) console.Check { return console.Check{Name: name, OK: true, Detail: detail} }
	not := func(name, detail string) console.Check { return console.Check{Name: name, Detail: detail} }
	checks := []console.Check{ok("recovered", "the books are restored")}
	if !s.recovered.Load() {
		checks[0] = not("recovered", s.about().Reason)
	}
	switch at, why := s.listening.Load(), s.unready.Load(); {
	case at == nil:
		checks = append(checks, not("listening", "clients cannot connect yet"))
	case why != nil:
		checks = append(checks, not("listening", why.why))
	default:
		checks = append(checks, ok("listening", "clients connect to "+*at))
	}
	checks = append(checks, checkLoops(s.gw.Lag(), s.gw.Late()))
	if s.ledger != nil {
		checks = append(checks, s.checkDisk(), s.checkCheckpoint(), s.checkSync())
	}
	if n := s.engine.Stats().Panics + s.gw.Stats().Panics.Load(); n > 0 {
		return append(checks, not("panics",
			fmt.Sprintf("%d panics were contained since the start; the log says where", n)))
	}
	return append(checks, ok("panics", "none since the start"))
}

func checkLoops(lag time.Duration, late error) console.Check {
	if late != nil {
		return console.Check{Name: "loops", Detail: late.Error()}
	}
	return console.Check{
		Name: "loops", OK: lag <= loopSlow,
		Detail: fmt.Sprintf("all event loops turn; the slowest took %s to answer", lag.Round(time.Microsecond)),
	}
}

func (s *server) checkSync() console.Check {
	c := console.Check{Name: "sync", OK: true, Detail: "none yet"}
	j := s.ledger.journal.Load()
	if j == nil {
		return c
	}
	if m := j.Measures(); m.SyncTook > 0 {
		c.OK = m.SyncTook <= syncSlow
		c.Detail = fmt.Sprintf("the last took %s, %s ago", m.SyncTook, m.SyncAge.Round(time.Millisecond))
	}
	return c
}

func (s *server) checkDisk() console.Check {
	free, known := s.diskFree()
	c := console.Check{Name: "disk", OK: !s.ledger.readOnly(), Detail: "the file system does not say how much is free"}
	if known {
		c.Detail = fmt.Sprintf("%d MiB are free; orders are refused below %d MiB", free>>20, s.cfg.DiskFreeBytesMin>>20)
	}
	return c
}

func (s *server) checkCheckpoint() console.Check {
	st := s.journalState()
	switch {
	case st.CheckpointAt == nil && st.UncheckpointedBytes == 0:
		return console.Check{Name: "checkpoint", OK: true, Detail: "none since the start, and none is due"}
	case st.CheckpointAt == nil:
		return console.Check{Name: "checkpoint", OK: time.Since(s.started) < checkpointLate,
			Detail: "none since the start"}
	}
	age := time.Since(*st.CheckpointAt)
	return console.Check{
		Name: "checkpoint", OK: age < checkpointLate || st.UncheckpointedBytes == 0,
		Detail: fmt.Sprintf("the last ended %s ago", age.Round(time.Second)),
	}
}

// settings are all settings in force, for the console.
func (s *server) settings() []console.Setting {
	list := []console.Setting{}
	if s.inForce == nil { // a server of demo, whose settings are its own
		return list
	}
	for _, line := range s.inForce() {
		one := console.Setting{Key: line.Key, Value: line.Value, From: line.Source, Live: line.Live,
			Meaning: line.Meaning}
		if line.Secret != "" {
			one.Secret = "set"
		}
		list = append(list, one)
	}
	return list
}
