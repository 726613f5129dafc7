package console

import (
	"net/http"
	"time"
)

// The states of a server.
const (
	StateStarting   = "starting"
	StateRecovering = "recovering"
	StateOpening    = "opening" // accounts
	StateReady      = "ready"
	StateLate       = "late" // an event loop stands still
	StateDraining   = "draining"
)

// About is what a server is, and what it does right now.
type About struct {
	Version    string       `json:"version"`
	Epoch      *Hash        `json:"epoch,omitempty"` // nil: the ledger is not recovered yet
	Started    time.Time    `json:"started"`
	State      string       `json:"state"`
	Reason     string       `json:"reason,omitempty"`  // why it is not ready
	Percent    *int         `json:"percent,omitempty"` // of the recovery
	Durability string       `json:"durability"`
	Addresses  Addresses    `json:"addresses"`
	Accounts   AccountRange `json:"accounts"`
	Tape       *TapeClock   `json:"tape,omitempty"` // nil: the server goes by the machine's clock
}

// TapeClock is how far a server is whose time is that of a tape.
type TapeClock struct {
	First        time.Time `json:"first"` // the tape's first moment
	Now          time.Time `json:"now"`   // what the server's clock shows
	Moments      uint64    `json:"moments"`
	Updates      uint64    `json:"updates"` // of quotes
	Ended        bool      `json:"ended"`
	InterferedBy string    `json:"interfered_by,omitempty"` // who; empty: another run comes to the same histories
}

// Addresses are where a server listens; empty: it does not.
type Addresses struct {
	Clients string `json:"clients"`
	Console string `json:"console"`
	Health  string `json:"health"`
}

// AccountRange are the accounts that a server has opened itself.
type AccountRange struct {
	First uint64 `json:"first"`
	Count int    `json:"count"`
}

// Limit is what there is of something, beside what there may be.
type Limit struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
	Limit uint64 `json:"limit"`
	Unit  string `json:"unit"`          // connections, bytes, requests
	Low   bool   `json:"low,omitempty"` // the value is to stay above the limit
	What  string `json:"what"`
}

// ServerInfo is About with the limits, and who asks.
type ServerInfo struct {
	About
	Limits []Limit `json:"limits"`
	Role   string  `json:"role"`
	Name   string  `json:"name"`
	Key    string  `json:"key"`
}

func (s *Server) about(w http.ResponseWriter, r *http.Request) {
	who := identityOf(r)
	answer(w, ServerInfo{s.cfg.About(), s.cfg.Limits(), who.Role.String(), who.Name, who.Key})
}

// HealthReport is what readiness is made of.
type HealthReport struct {
	Ready  bool    `json:"ready"`
	Reason string  `json:"reason,omitempty"` // why not
	Checks []Check `json:"checks"`
}

// Check is one thing that should be well.
type Check struct {
	Name   string `json:"name"` // recovered, listening, loops, disk, checkpoint, sync, panics
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // a sentence
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	h := HealthReport{Ready: true, Checks: s.cfg.Checks()}
	if err := s.cfg.Ready(); err != nil {
		h.Ready, h.Reason = false, err.Error()
	}
	answer(w, h)
}

// JournalState is what is kept on the disk, and how far.
type JournalState struct {
	Kept                     bool       `json:"kept"` // false: in memory alone
	Durability               string     `json:"durability"`
	Epoch                    *Hash      `json:"epoch,omitempty"`
	Directory                string     `json:"directory,omitempty"`
	Commits                  uint64     `json:"commits"` // the number of the newest
	Events                   uint64     `json:"events"`  // since the start, as bytes are
	Bytes                    uint64     `json:"bytes"`
	EventsACommit            float64    `json:"events_a_commit"` // of those since the start
	Checkpoints              uint64     `json:"checkpoints"`
	CheckpointMS             uint64     `json:"checkpoint_ms"` // what the last took
	CheckpointAt             *time.Time `json:"checkpoint_at,omitempty"`
	UncheckpointedBytes      uint64     `json:"uncheckpointed_bytes"`
	UncheckpointedLimitBytes uint64     `json:"uncheckpointed_limit_bytes"`
	DiskBytes                uint64     `json:"disk_bytes"`
	DiskFreeBytes            uint64     `json:"disk_free_bytes"`
	DiskFreeLimitBytes       uint64     `json:"disk_free_limit_bytes"`
	ReadOnly                 bool       `json:"read_only"`
}

func (s *Server) journal(w http.ResponseWriter, _ *http.Request) { answer(w, s.cfg.Journal()) }

// Settings are all settings of a server.
type Settings struct {
	Settings []Setting `json:"settings"`
}

// Setting is a setting with its value, and where that comes from.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	From    string `json:"from"` // default, papertape.yaml:3, PAPERTAPE_HEARTBEAT or --heartbeat
	Live    bool   `json:"live"` // SIGHUP changes it
	Meaning string `json:"meaning"`
	Secret  string `json:"secret,omitempty"` // set: the file that Value names holds a secret
}

func (s *Server) settings(w http.ResponseWriter, _ *http.Request) {
	answer(w, Settings{s.cfg.Settings()})
}
