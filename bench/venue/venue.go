// Package venue is the business of the servers that Papertape is measured against, done as the old design does it: one book
// under one lock, an account's requests one at a time, each event stored by itself. Books, prices, messages, opening accounts
// and simulated fills are Papertape's own, so that a difference in the figures is a difference of design. What is left out of
// it, in the old design's favour: history, resuming (it is answered by the state now), and client order ids.
//
//	v, err := venue.New(venue.Config{Accounts: 100, Storage: venue.StorageNone, Epoch: epoch})
//	s := v.Connect(peer)                    // a connection; the peer is what its answers are sent to
//	...
//	r, err := v.Decode(s, frame)            // where frames are read
//	v.Do(s, &r)                             // where requests are done: in their order, one at a time, of one session
//	...
//	v.Leave(s)                              // the connection is gone
//	...
//	err = v.Close()                         // after the last Do has returned
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

// AccountsMax bounds how many accounts there are.
const AccountsMax = 1_000_000

// heartbeat is told to clients. The venue itself pings nobody and leaves silence alone.
const heartbeat = 10 * time.Minute

// Config says what a venue is like.
type Config struct {
	Accounts       int // from simulator.FirstAccount on
	Seed           uint64
	Server         string // its name, for people
	Epoch          uint64 // not 0, and another one with each start: nothing is recovered
	Storage        Storage
	StorageWorkers int    // of StoragePool
	File           string // where events are stored; a new file
	// PriceInterval is how often prices change. 0: never.
	PriceInterval time.Duration
	// Fatal is called once, from any goroutine, when an event could not be stored. Nothing that rests on it has been shown.
	Fatal func(error)
}

// Peer is a connection as far as the venue knows it. Both may be called from any goroutine, and may block until the client
// reads or is given up.
type Peer interface {
	// Send sends whole frames. They are shared with other peers, and never changed.
	Send(frames []byte)
	// End closes the connection when all that was sent is written.
	End()
}

// Stats counts what a venue has done.
type Stats struct {
	Orders, Refused, Fills, Idle, Skipped, Events, Pushes atomic.Uint64
}

// Venue is accounts, and whoever is logged in to them.
type Venue struct {
	cfg      Config
	universe *market.Universe
	feed     *market.Feed
	storage  *storage // nil: StorageNone
	stats    Stats
	uids     atomic.Uint64
	failed   atomic.Bool // an event could not be stored, and nothing is shown any more

	// accounts are constant; what is in each is guarded by its own mutex.
	accounts []account

	// users are the goroutines that drain accounts.
	users sync.WaitGroup

	mu sync.Mutex
	// Shared, under mu: the one lock over the book.
	book *positions.Book
}

// New opens the accounts.
func New(cfg Config) (*Venue, error) {
	if cfg.Accounts < 1 || cfg.Accounts > AccountsMax {
		return nil, fmt.Errorf("%d accounts: there are 1 to %d", cfg.Accounts, AccountsMax)
	}
	u := market.Default()
	v := &Venue{cfg: cfg, universe: u, feed: market.Walk(u, cfg.Seed), book: positions.NewBook(u), accounts: make([]account, cfg.Accounts)}
	for i := range v.accounts {
		if err := v.open(uint64(simulator.FirstAccount + i)); err != nil {
			return nil, err
		}
	}
	var err error
	v.storage, err = openStorage(&cfg)
	return v, err
}

// open books what an account of Papertape begins with.
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

// Stats are the venue's counters, which go on counting.
func (v *Venue) Stats() *Stats { return &v.stats }

// Universe is what is traded.
func (v *Venue) Universe() *market.Universe { return v.universe }

// Close waits for what is still being done, and closes the file. No request may come any more.
func (v *Venue) Close() error {
	v.users.Wait()
	if v.storage == nil {
		return nil
	}
	return v.storage.close()
}

// fail says once that nothing can be stored any more.
func (v *Venue) fail(err error) {
	if v.failed.CompareAndSwap(false, true) {
		v.cfg.Fatal(err)
	}
}

// Session is one connection.
type Session struct {
	peer Peer
	uid  uint64

	// account is set by a login, for good.
	account atomic.Pointer[account]
	left    atomic.Bool // before or after the login

	// Owned by whoever does its requests.
	logins int
}

// Connect makes the session of a new connection and welcomes it.
func (v *Venue) Connect(p Peer) *Session {
	s := &Session{peer: p, uid: v.uids.Add(1)}
	p.Send(codec.AppendWelcome(nil, &papertapev1.Welcome{
		Uid: s.uid, Protocol: 1, Server: v.cfg.Server, Epoch: v.cfg.Epoch,
		HeartbeatMs: uint32(heartbeat / time.Millisecond), MaxFrame: codec.LimitAfterLogin,
	}))
	return s
}

// Limit is the longest frame that the session may send.
func (s *Session) Limit() int {
	if s.account.Load() == nil {
		return codec.LimitBeforeLogin
	}
	return codec.LimitAfterLogin
}

// Leave forgets a session whose connection is gone: its peer must not block any more. A login that is still waiting to be done
// finds it left.
func (v *Venue) Leave(s *Session) {
	s.left.Store(true)
	if a := s.account.Load(); a != nil {
		a.leave(s)
	}
}
