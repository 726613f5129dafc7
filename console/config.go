package console

import (
	"context"
	"crypto/tls"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Books answers questions about accounts. All methods wait for the ledger until ctx ends. Their
// errors include engine.ErrUnknownAccount, engine.ErrStopped and ErrNotReady.
type Books interface {
	Holdings(ctx context.Context, account uint64) (positions.Holdings, error)
	// History returns up to limit events with sequences below before (0: from the newest), newest
	// first, and the oldest sequence kept (0: none).
	History(ctx context.Context, account, before uint64, limit int) (events []positions.Event, oldest uint64, err error)
	// Accounts lists up to limit accounts with numbers above after, ascending, and tells how many there are.
	Accounts(ctx context.Context, after uint64, limit int) (list []engine.AccountInfo, total int, err error)
	Account(ctx context.Context, number uint64) (engine.AccountInfo, error)
	// FindAccounts and Holders look at every account.
	FindAccounts(ctx context.Context, q engine.AccountSearch) (list []engine.AccountInfo, total int, err error)
	Holders(ctx context.Context, id market.ID, limit int) (engine.Held, error)
	// Walk calls see for the account's events, in order, beginning with sequence from. Its errors also
	// include engine.ErrNotKept and engine.ErrBusy.
	Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error
}

// Busts takes trades back, and corrects them.
type Busts interface {
	// Bust returns the resulting event. repeated says that it had been done before, under the same id.
	// A refusal is an *engine.BustRefusedError. Other errors are those of Books, engine.ErrBusy and
	// engine.ErrReadOnly.
	Bust(ctx context.Context, r *positions.BustRequest) (ev positions.Event, repeated bool, err error)
	// PreviewBust returns what Bust would do. Its errors are those of Bust.
	PreviewBust(ctx context.Context, r *positions.BustRequest) (engine.BustPreview, error)
}

// Bookings opens accounts, books cash and resets accounts. Besides those named, its errors are those of
// Books, engine.ErrBusy and engine.ErrReadOnly.
type Bookings interface {
	// OpenAccount opens an account; number 0 stands for the next free one. Errors are also
	// engine.ErrAccountOpen and engine.ErrNoNumberFree.
	OpenAccount(ctx context.Context, number uint64, a positions.Adjustment) (positions.Event, error)
	// Book returns the resulting event. repeated says that it had been done before, under the same id.
	// A refusal is an *engine.BookingRefusedError.
	Book(ctx context.Context, r *positions.BookingRequest) (ev positions.Event, repeated bool, err error)
	// OpeningCash returns the cash with which an account was opened. A refusal is an
	// *engine.BookingRefusedError.
	OpeningCash(ctx context.Context, account uint64) (int64, error)
}

// SessionList lists the client connections. Its methods are safe for concurrent use.
type SessionList interface {
	Sessions() []gateway.SessionInfo
	FindSessions(q gateway.SessionSearch) (list []gateway.SessionInfo, total int, totals gateway.SessionTotals)
	// Ended returns up to limit of the wanted among those that ended last, newest first, and how many have ended.
	Ended(limit int, wanted func(*gateway.EndedSession) bool) (list []gateway.EndedSession, all uint64)
	Kick(uid uint64, reason string) bool // false: there is no such session
}

// LogLevel is the level of the log. Its methods are safe for concurrent use.
type LogLevel interface {
	Level() string
	SetLevel(level string) error // the error says which levels there are
}

// SimulatedFlow makes simulated trades. Its methods are safe for concurrent use.
type SimulatedFlow interface {
	// Change sets the rate, in fills per second, and pauses the flow or has it go on; nil leaves it. The error says
	// which
	// rates are allowed.
	Change(rate *float64, paused *bool) error
	State() simulator.State
}

// Config is what a console shows. Its functions are called by several goroutines at a time.
type Config struct {
	Universe   *market.Universe
	Prices     func() *market.Prices                                        // the current prices
	Market     Market                                                       // nil: quotes do not come in from outside
	Bars       gateway.Bars                                                 // nil: none are kept
	Clock      func(market string) gateway.ClockState                       // nil: no hours are kept
	Calendar   func(market, from, to string) ([]gateway.CalendarDay, error) // likewise; of dates, both inclusive
	Books      Books
	Busts      Busts
	Bookings   Bookings
	Sessions   SessionList
	Simulator  SimulatedFlow
	Script     func() simulator.Progress // nil: no script is played
	About      func() About
	Limits     func() []Limit
	Checks     func() []Check
	Journal    func() JournalState
	Settings   func() []Setting
	Latencies  Latencies    // nil: there are no percentiles
	AuditPages AuditPages   // nil: there is nothing at /api/v1/audit
	LogLevel   LogLevel     // nil: there is nothing at /api/v1/log
	Ready      func() error // nil, or why the server is not ready
	Counters   func() []Counter
	Metrics    http.Handler                              // answers GET /metrics; nil: there is nothing there
	Backup     func(dir string) (bytes int64, err error) // to a new directory; nil: the server keeps nothing on disk
	BackupDir  string                                    // where backups asked for by HTTP go; "": none may be
	Keys       Authenticator                             // nil: nobody has a key
	ReloadKeys func() (KeysReload, error)                // nil: there is nothing at /api/v1/keys/reload
	Anonymous  Role                                      // of who shows no key, and comes by HTTP
	Audit      Audit                                     // nil: nothing is written down
	TLS        func() *tls.Config                        // the current one, for each handshake; nil: no TLS
	Hosts      []string                                  // names besides localhost, as ParseHost returns them
	Log        zerolog.Logger
}
