package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// AccountOptions configure an [Account]. Only the field Account is required.
type AccountOptions struct {
	Account uint64
	Name    string // name and version of the program for the server's log, at most 64 bytes

	// Dial opens a connection. If it is nil, a net.Dialer opens it over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Cursor names a file that keeps the state, and Save's note, across restarts of the
	// program. If it is empty, nothing is kept. Only one Account at a time may use the file.
	// Its directory must exist.
	Cursor string

	// Wait lets Open succeed although no server answers the first attempt. The account goes on
	// trying.
	Wait bool

	Subscribe []Topic       // the first topics, see (*Account).Subscribe
	Quotes    QuotesOptions // which quotes, if TopicQuotes is among them

	// BackoffMin bounds the wait before the first attempt. The bound doubles with every attempt
	// that fails, up to BackoffMax. The wait is a random part of the bound (full jitter), on
	// top of what the server asked for. Zero means 100 ms and 15 s.
	BackoffMin, BackoffMax time.Duration

	// NoOrderID leaves orders without a client_order_id as they are. Such an order is not sent
	// again if the connection breaks before its answer.
	NoOrderID bool

	Key *Key // proves who logs in, if the server asks for it

	TLS            *tls.Config // encrypts the connections, see Options
	AllowPlaintext bool        // permits a Key without TLS, see Options
}

const (
	backoffMinDefault = 100 * time.Millisecond
	backoffMaxDefault = 15 * time.Second
)

// Account keeps one account up to date over any number of connections. Next and Save must be
// called from one goroutine; all other methods may be called from any.
type Account struct {
	// Constant after Open.
	addr       string
	options    AccountOptions
	orderID    string          // the prefix of the order ids generated here
	lifetime   context.Context // ends with Close, or when the account cannot go on
	cancel     context.CancelFunc
	keeperDone chan struct{} // closed when the keeper goroutine has ended
	closeOnce  sync.Once

	// Owned by the keeper goroutine; by Open before that starts.
	received   position // the last event or snapshot put into the stream
	resync     bool     // the state was found wrong, so the next login asks for a snapshot
	mismatches int      // comparisons of the state that failed, in a row
	flaps      int      // connections that did not last, in a row

	// Shared.
	stream *stream

	mu      sync.Mutex
	client  *Client       // under mu: the logged-in connection; nil between two connections
	changed chan struct{} // under mu: closed and replaced when client changes
	err     error         // under mu: why the account cannot go on
	orders  uint64        // under mu: number of order ids generated

	subscribed *subscribed // under mu; replaced, never changed

	subscribing sync.Mutex // held while topics are sent, so that the last topics sent are the last set

	saving sync.Mutex
	note   []byte // under saving
}

// position is a place in the account's history.
type position struct{ epoch, seq uint64 }

// Open logs in to one account and keeps it up to date: from then on it reconnects, resumes
// after the last event, and maintains the state.
//
// ctx bounds only the first connection. Like every later one, that connection may take 15 s at
// most. If it fails, Open returns the error: a [*Reject] if the login was refused, a [*Goodbye]
// if the server did not accept the connection. With AccountOptions.Wait, Open returns only
// errors that another attempt cannot cure, and the end of ctx.
func Open(ctx context.Context, addr string, o AccountOptions) (*Account, error) {
	a, err := newAccount(addr, o)
	if err != nil {
		return nil, err
	}
	fresh := a.received.epoch == 0
	s, err := a.login(ctx, 1, time.Now())
	for errors.Is(err, ErrStateHash) && a.mismatches < mismatchesMax {
		s, err = a.login(ctx, 1, time.Now())
	}
	if err != nil && (!o.Wait || ctx.Err() != nil || !serverUnreachable(err)) {
		a.cancel()
		return nil, err
	}
	if err == nil && fresh {
		a.stream.setState(s.connected.After)
		if err := a.saveDue(true); err != nil {
			_ = s.client.Close() // never fails
			a.cancel()
			return nil, err
		}
	}
	go a.runKeeper(s, err)
	return a, nil
}

// serverUnreachable reports whether a first attempt failed because no server answered, and not
// because of what a server said.
func serverUnreachable(err error) bool {
	var stranger *ProtocolError
	return !permanent(err) && !errors.Is(err, ErrStateHash) && !errors.As(err, &stranger)
}

// newAccount checks the options and reads the cursor.
func newAccount(addr string, o AccountOptions) (*Account, error) {
	first := subscribed{o.Subscribe, o.Quotes}
	if _, err := first.message(); err != nil {
		return nil, err
	}
	if o.BackoffMin <= 0 {
		o.BackoffMin = backoffMinDefault
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = backoffMaxDefault
	}
	a := &Account{
		addr: addr, options: o, orderID: rand.Text()[:16] + "-", keeperDone: make(chan struct{}),
		changed: make(chan struct{}), subscribed: first.clone(),
	}
	state := &State{Account: o.Account}
	if o.Cursor != "" {
		saved, err := loadCursor(o.Cursor, o.Account)
		if err != nil {
			return nil, err
		}
		if saved != nil {
			state, a.note = saved.state, saved.note
			a.received = position{state.Epoch, state.Seq}
		}
	}
	a.stream = newStream(state)
	a.lifetime, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// State returns a copy of the account's state as of the last update that Next returned. Before
// the first update it is the state as of Open: the server's, or the cursor's if there is one.
// Epoch is 0 if nothing is known yet.
func (a *Account) State() *State {
	state, _ := a.stream.current()
	return state
}

// Next returns the next update, in order. An event is already in State when Next returns it,
// and each event comes once, over all connections. Calling Next says that the caller is done
// with the update before; Save explains what that means for the cursor.
//
// The error is ctx's; [ErrClosed] after Close; or one that a reconnect cannot cure, such as a
// [*Reject] of the login with UNKNOWN_ACCOUNT or a [*StateMismatch] that a snapshot did not
// cure. Such an error comes after all updates that preceded it. If saving the cursor fails,
// Next returns that error: nothing is lost, and the next call tries again.
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
		ended, err := a.stream.wait(ctx, a.keeperDone, true)
		if err != nil {
			return nil, err
		}
		if ended && a.stream.idle() {
			return nil, a.failure()
		}
	}
}

// Close ends the account and its goroutines. It saves the cursor, unless the cursor moves by
// Save alone. The update that Next returned last counts as done. Next and the requests under
// way return [ErrClosed].
func (a *Account) Close() error {
	a.fail(ErrClosed)
	<-a.keeperDone
	var err error
	a.closeOnce.Do(func() { err = a.saveDue(true) })
	return err
}

// fail ends the account. The first reason is kept, but ErrClosed replaces any other.
func (a *Account) fail(err error) {
	a.mu.Lock()
	if a.err == nil || errors.Is(err, ErrClosed) {
		a.err = err
	}
	a.mu.Unlock()
	a.cancel()
}

// failure returns why the account has ended, or nil if it has not.
func (a *Account) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *Account) closed() bool { return errors.Is(a.failure(), ErrClosed) }

// setClient sets the connection that requests use; nil means none.
func (a *Account) setClient(c *Client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = c
	close(a.changed)
	a.changed = make(chan struct{})
}

// connection returns a connection that is logged in and has not ended. It waits until there is
// one.
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
		case <-a.lifetime.Done():
		}
	}
}
