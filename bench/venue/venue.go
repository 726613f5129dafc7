// Package venue is the business logic of the servers that Papertape is compared with,
// implemented as in the old design: one book under one lock, the requests of an account one
// at a time, each event stored by itself. Books, prices, messages, opening accounts and
// simulated fills are Papertape's own, so that a difference in figures is a difference in
// design. Omitted, in the old design's favour, are history, resuming (which is answered
// with the current state), and client order ids.
//
//	v, err := venue.New(venue.Config{Accounts: 100, Storage: venue.StorageNone, Epoch: epoch})
//	s := v.Connect(peer)         // a connection; its answers are sent to the peer
//	...
//	r, err := v.Decode(s, frame) // where frames are read
//	v.Do(s, &r)                  // where requests are handled: for each session one at a time, in order
//	...
//	v.Leave(s)                   // the connection is gone
//	...
//	err = v.Close()              // after the last Do has returned
package venue

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// AccountsMax is the maximum number of accounts.
const AccountsMax = 1_000_000

// heartbeat is announced to clients. The venue itself sends no pings and accepts silence.
const heartbeat = 10 * time.Minute

// Config configures a venue.
type Config struct {
	Accounts       int // from simulator.FirstAccount on
	Seed           uint64
	Server         string // the server's name, for people
	Epoch          uint64 // not 0, and different for each start, as nothing is recovered
	Storage        Storage
	StorageWorkers int    // of StoragePool
	File           string // where events are stored; a new file
	// PriceInterval is the time between price changes; 0: prices never change.
	PriceInterval time.Duration
	// Fatal is called once, from any goroutine, if an event could not be stored. Nothing
	// that depends on that event has been shown.
	Fatal func(error)
}

// Peer is a connection as the venue sees it. Both methods may be called from any goroutine,
// and may block until the client reads or is dropped.
type Peer interface {
	// Send sends whole frames. They are shared with other peers and must not be modified.
	Send(frames []byte)
	// End closes the connection after everything that was sent has been written.
	End()
}

// Stats counts what a venue has done.
type Stats struct {
	Orders, Refused, Fills, Idle, Skipped, Events, Pushes atomic.Uint64
}

// Venue holds the accounts and the sessions logged in to them.
type Venue struct {
	cfg      Config
	universe *market.Universe
	feed     *market.Feed
	storage  *storage // nil: StorageNone
	stats    Stats
	uids     atomic.Uint64
	failed   atomic.Bool // an event could not be stored; nothing is shown any more

	// accounts is constant; the fields of each account are guarded by its own mutexes.
	accounts []account

	// users counts the goroutines that drain accounts.
	users sync.WaitGroup

	mu sync.Mutex
	// Shared, under mu: the one lock of the book.
	book *positions.Book
}

// New opens the accounts.
func New(cfg Config) (*Venue, error) {
	if cfg.Accounts < 1 || cfg.Accounts > AccountsMax {
		return nil, fmt.Errorf("%d accounts: there are 1 to %d", cfg.Accounts, AccountsMax)
	}
	u := market.Default()
	v := &Venue{cfg: cfg, universe: u, feed: market.Walk(u, cfg.Seed), book: positions.NewBook(u),
		accounts: make([]account, cfg.Accounts)}
	for i := range v.accounts {
		if err := v.open(uint64(simulator.FirstAccount + i)); err != nil {
			return nil, err
		}
	}
	var err error
	v.storage, err = openStorage(&cfg)
	return v, err
}

// open books the opening state of a Papertape account.
func (v *Venue) open(number uint64) error {
	a := &v.accounts[number-simulator.FirstAccount]
	a.number = number
	a.room.L = &a.queue
	opening := simulator.OpeningOf(number, v.cfg.Seed, v.universe)
	prices, now := v.universe.Opening(), time.Now().UnixNano()
	var ev positions.Event
	r := v.book.DecideAdjustment(number, &opening.Adjustment, prices, now, &ev)
	for i := 0; r.Reason == positions.NoRefusal; i++ {
		v.book.Apply(&ev)
		a.head = ev.Seq
		if i == len(opening.Orders) {
			return nil
		}
		r = v.book.Decide(&opening.Orders[i], prices, now, &ev)
	}
	return fmt.Errorf("account %d cannot be opened: %v", number, r.Reason)
}

// Stats returns the venue's live counters.
func (v *Venue) Stats() *Stats { return &v.stats }

// Universe returns the instruments that are traded.
func (v *Venue) Universe() *market.Universe { return v.universe }

// Close waits for requests still being handled, and closes the file. No request may follow.
func (v *Venue) Close() error {
	v.users.Wait()
	if v.storage == nil {
		return nil
	}
	return v.storage.close()
}

// fail reports once that nothing can be stored any more.
func (v *Venue) fail(err error) {
	if v.failed.CompareAndSwap(false, true) {
		v.cfg.Fatal(err)
	}
}

// Session is one connection.
type Session struct {
	peer Peer
	uid  uint64

	// account is set once, by a login.
	account atomic.Pointer[account]
	left    atomic.Bool // may be set before or after the login

	// Owned by the goroutine that handles its requests.
	logins int
}

// Connect creates the session of a new connection and sends the WELCOME.
func (v *Venue) Connect(p Peer) *Session {
	s := &Session{peer: p, uid: v.uids.Add(1)}
	p.Send(codec.AppendWelcome(nil, &papertapev1.Welcome{
		Uid: s.uid, Protocol: 1, Server: v.cfg.Server, Epoch: v.cfg.Epoch,
		HeartbeatMs: uint32(heartbeat / time.Millisecond), MaxFrame: codec.LimitAfterLogin,
	}))
	return s
}

// Limit returns the longest frame that the session may send.
func (s *Session) Limit() int {
	if s.account.Load() == nil {
		return codec.LimitBeforeLogin
	}
	return codec.LimitAfterLogin
}

// Leave removes a session whose connection is gone; its peer must not block any more. A
// login that is still waiting then finds that the session has left.
func (v *Venue) Leave(s *Session) {
	s.left.Store(true)
	if a := s.account.Load(); a != nil {
		a.leave(s)
	}
}
