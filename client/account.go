package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// AccountOptions say whose account it is and how it is kept. Account is all that is needed.
type AccountOptions struct {
	Account uint64
	Name    string // name and version of the program, for the server's log; at most 64 bytes

	// Dial opens a connection; nil: TCP with net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Cursor names a file that keeps the state, and Save's note, across restarts of the program; empty: none. One Account
	// at a time may use it. Its directory must exist.
	Cursor string

	Wait      bool    // where no server answers the first attempt, Open returns all the same and the account goes on trying
	Subscribe []Topic // to begin with, see (*Account).Subscribe

	// BackoffMin doubles with every attempt that fails, up to BackoffMax; the wait is a random part of that (full jitter),
	// after what the server asked for. Zero: 100 ms and 15 s.
	BackoffMin, BackoffMax time.Duration

	// NoOrderID leaves orders without a client_order_id as they are. Such an order is not sent again when the connection
	// breaks under it.
	NoOrderID bool

	Key *Key // where the server asks for a proof at the login
}

const (
	backoffMinDefault = 100 * time.Millisecond
	backoffMaxDefault = 15 * time.Second
)

// Account is one account kept up to date over any number of connections. All methods may be called from any goroutine;
// Next and Save from one.
type Account struct {
	// Constant after Open.
	addr      string
	o         AccountOptions
	orderID   string          // what the order ids given out here begin with
	open      context.Context // ends with Close, and when the account cannot go on
	shut      context.CancelFunc
	kept      chan struct{} // closed when the keeper has ended
	closeOnce sync.Once

	// Owned by the keeper, by Open before it starts.
	at         position // what was put into the stream
	resync     bool     // the state was found wrong: the next login asks for a snapshot
	mismatches int      // in a row
	flaps      int      // connections in a row that did not last

	// Shared.
	stream *stream

	mu      sync.Mutex
	client  *Client       // under mu: logged in; nil between two connections
	changed chan struct{} // under mu: closed, and replaced, when client changes
	err     error         // under mu: why the account cannot go on
	orders  uint64        // under mu: ids given out
	topics  []Topic       // under mu

	subscribing sync.Mutex // held while topics are sent, so that the last ones sent are the last ones set

	saving sync.Mutex
	note   []byte // under saving
}

// position is a place in the account's history.
type position struct{ epoch, seq uint64 }

// Open logs in to one account and keeps it: from then on it reconnects, resumes after the last event, and keeps the state.
// ctx bounds the first connection only (which gets 15 s at most, as all later ones do). Where that fails the error is
// returned: a [*Reject] where the login was refused, a [*Goodbye] where the server would not have the connection; with
// AccountOptions.Wait only what trying again cannot cure, and the end of ctx.
func Open(ctx context.Context, addr string, o AccountOptions) (*Account, error) {
	a, err := newAccount(addr, o)
	if err != nil {
		return nil, err
	}
	fresh := a.at.epoch == 0
	s, err := a.login(ctx, 1, time.Now())
	for errors.Is(err, ErrStateHash) && a.mismatches < mismatchesMax {
		s, err = a.login(ctx, 1, time.Now())
	}
	if err != nil && (!o.Wait || ctx.Err() != nil || !nobody(err)) {
		a.shut()
		return nil, err
	}
	if err == nil && fresh {
		a.stream.begin(s.connected.After)
		if err := a.saveDue(true); err != nil {
			_ = s.client.Close() // never fails
			a.shut()
			return nil, err
		}
	}
	go a.keep(s, err)
	return a, nil
}

// nobody says that a first attempt failed for lack of a server, and not by what a server said.
func nobody(err error) bool {
	var stranger *ProtocolError
	return !hopeless(err) && !errors.Is(err, ErrStateHash) && !errors.As(err, &stranger)
}

// newAccount checks the options and reads the cursor.
func newAccount(addr string, o AccountOptions) (*Account, error) {
	if _, err := subscription(o.Subscribe); err != nil {
		return nil, err
	}
	if o.BackoffMin <= 0 {
		o.BackoffMin = backoffMinDefault
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = backoffMaxDefault
	}
	a := &Account{
		addr: addr, o: o, orderID: rand.Text()[:16] + "-", kept: make(chan struct{}), changed: make(chan struct{}),
		topics: slices.Clone(o.Subscribe),
	}
	state := &State{Account: o.Account}
	if o.Cursor != "" {
		saved, err := loadCursor(o.Cursor, o.Account)
		if err != nil {
			return nil, err
		}
		if saved != nil {
			state, a.note = saved.state, saved.note
			a.at = position{state.Epoch, state.Seq}
		}
	}
	a.stream = newStream(state)
	a.open, a.shut = context.WithCancel(context.Background())
	return a, nil
}

// State is a copy of the account's state as of the last update that Next handed out; before the first one it is as of
// Open: the server's, or the cursor's where there is one. What nothing is known of has Epoch 0.
func (a *Account) State() *State {
	state, _ := a.stream.current()
	return state
}

// Next returns what comes next, in order. An event is in State before Next returns it, and it comes once, over all
// connections. Calling Next says that the caller is done with what came before: see Save for what that means to the
// cursor. The errors are ctx's; [ErrClosed] after Close; one that a reconnect cannot cure, such as a [*Reject] of the
// login UNKNOWN_ACCOUNT or a [*StateMismatch] that a snapshot did not cure, after all that came before it; and what
// saving the cursor failed with: nothing is lost by that, and the next call tries again.
func (a *Account) Next(ctx context.Context) (Update, error) {
	for {
		if a.closed() {
			return nil, ErrClosed
		}
		if err := a.saveDue(a.stream.idle()); err != nil {
			return nil, err
		}
		if u := a.stream.take(); u != nil {
			return u, nil
		}
		ended, err := a.stream.wait(ctx, a.kept, true)
		if err != nil {
			return nil, err
		}
		if ended && a.stream.idle() {
			return nil, a.failure()
		}
	}
}

// Close ends the account and its goroutines, and saves the cursor unless only Save does. What Next returned last counts as
// done. Next and requests under way report [ErrClosed].
func (a *Account) Close() error {
	a.fail(ErrClosed)
	<-a.kept
	var err error
	a.closeOnce.Do(func() { err = a.saveDue(true) })
	return err
}

// fail ends the account; the first reason stays, but Close comes before all.
func (a *Account) fail(err error) {
	a.mu.Lock()
	if a.err == nil || errors.Is(err, ErrClosed) {
		a.err = err
	}
	a.mu.Unlock()
	a.shut()
}

// failure is why the account has ended, nil while it goes on.
func (a *Account) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *Account) closed() bool { return errors.Is(a.failure(), ErrClosed) }

// setClient says which connection requests go to, nil for none.
func (a *Account) setClient(c *Client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = c
	close(a.changed)
	a.changed = make(chan struct{})
}

// connection is one that is logged in and has not ended; it waits for it.
func (a *Account) connection(ctx context.Context) (*Client, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a.mu.Lock()
		c, changed, err := a.client, a.changed, a.err
		a.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if c != nil && c.Err() == nil {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-a.open.Done():
		}
	}
}
