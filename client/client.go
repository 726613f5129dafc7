package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// Bounds of a client's queues.
const (
	outFramesMax        = 256  // frames that wait to be written; full: the caller waits, a PONG is dropped
	inFlightRequestsMax = 4096 // requests that wait for their answers; full: ErrInFlight
)

const (
	heartbeatDefault = 15 * time.Second // where the server names no interval
	loginPatience    = 10 * time.Second // for a byte before the login is through; a server gives up after 5 s
)

// Options say who logs in and how the session begins. Account is all that is needed.
type Options struct {
	Account uint64
	Mode    ResumeMode // zero: ModeSnapshot
	Epoch   uint64     // ModeResume: what LoginReply said when LastSeq was received
	LastSeq uint64     // ModeResume: the last sequence applied
	Name    string     // name and version of the program, for the server's log; at most 64 bytes

	// DiscardEvents is for callers who do not call Next: events are checked for order and dropped, quotes and presence are
	// dropped too, answers still come.
	DiscardEvents bool

	// Key proves who logs in, where the server asks for it.
	Key *Key

	// Dial opens the connection; nil: TCP with net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is a connection that is logged in to one account; an Account is kept over many. All methods may be called from any
// goroutine; Next from one at a time if the order matters.
type Client struct {
	// Constant after Dial.
	conn       net.Conn
	welcome    *Welcome
	login      *LoginReply
	heartbeat  time.Duration
	discard    bool
	goroutines sync.WaitGroup

	// Owned by the reader (by Dial before it starts).
	frames   frameReader
	event    papertapev1.AccountEvent // what a frame is decoded into before it becomes an Event
	last     uint64                   // the last sequence that was put into the stream
	rejected *Reject                  // a REJECT that answers no request: it says why a GOODBYE follows

	// Shared.
	stream *stream       // from the reader to Next; an Account's is shared by its connections, one after the other
	out    chan []byte   // whole frames, from anybody to the writer
	done   chan struct{} // closed when the client has ended and err is set
	end    sync.Once
	err    error // what ended the client; read after done is closed

	mu       sync.Mutex
	lastID   uint64           // under mu
	inFlight map[uint64]*call // under mu: requests by id
}

// Dial connects to a server, takes its WELCOME, logs in and waits for the answer. ctx bounds all of that and nothing
// after it. The error is a [*Reject] where the login was refused, a [*Goodbye] where the server would not have the
// connection.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	c, err := connect(ctx, addr, &o, newStream(nil))
	if err != nil {
		return nil, err
	}
	c.start()
	return c, nil
}

// connect is Dial without the goroutines: nothing after the answer to the login is read yet.
func connect(ctx context.Context, addr string, o *Options, to *stream) (*Client, error) {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	c := &Client{
		conn: conn, discard: o.DiscardEvents, frames: frameReader{conn: conn, patience: loginPatience},
		stream: to, out: make(chan []byte, outFramesMax), done: make(chan struct{}),
		inFlight: make(map[uint64]*call),
	}
	interrupt := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = c.handshake(o)
	if !interrupt() {
		err = errors.Join(ctx.Err(), err) // the closed connection is ctx's doing
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("log in to account %d at %s: %w", o.Account, addr, err)
	}
	return c, nil
}

// start starts the reader and the writer.
func (c *Client) start() {
	c.frames.patience = 3 * c.heartbeat
	c.goroutines.Add(2)
	go c.read()
	go c.write()
}

// Welcome is the server's first message on this connection.
func (c *Client) Welcome() *Welcome { return c.welcome }

// LoginReply is the server's answer to the login: with ModeSnapshot, or where it could not resume, with the holdings.
func (c *Client) LoginReply() *LoginReply { return c.login }

// Close ends the client and returns when its goroutines have ended. Requests under way and Next report [ErrClosed].
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.goroutines.Wait()
	return nil
}

// Err is what ended the client, nil while it runs.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Next returns the next event of the account. When the client has ended it first returns the events that came before
// that, then what ended it. With DiscardEvents it only waits for the end.
func (c *Client) Next(ctx context.Context) (*Event, error) {
	for {
		if ev := c.stream.takeEvent(); ev != nil {
			return ev, nil
		}
		if ended, err := c.stream.wait(ctx, c.done, false); err != nil {
			return nil, err
		} else if ended {
			c.goroutines.Wait() // the reader may be putting its last event
			if ev := c.stream.takeEvent(); ev != nil {
				return ev, nil
			}
			return nil, c.err
		}
	}
}

// NextUpdate is Next for a caller who has subscribed: it returns an [*Event], and between events [*Quotes] and
// [*Presence]. Of these a caller who is slow sees the latest and not all.
func (c *Client) NextUpdate(ctx context.Context) (Update, error) {
	for {
		if u := c.stream.take(); u != nil {
			return u, nil
		}
		if ended, err := c.stream.wait(ctx, c.done, true); err != nil {
			return nil, err
		} else if ended {
			c.goroutines.Wait()
			if u := c.stream.take(); u != nil {
				return u, nil
			}
			return nil, c.err
		}
	}
}

// fail ends the client; the first reason stays.
func (c *Client) fail(err error) {
	c.end.Do(func() {
		c.err = err
		close(c.done)
		_ = c.conn.Close()
	})
}

// handshake runs from WELCOME to the answer to the login.
func (c *Client) handshake(o *Options) error {
	f, err := c.frames.next()
	if err != nil {
		return err
	}
	if f.Type != codec.TypeWelcome {
		return protocolErrorf("the first frame is %v: expected WELCOME", f.Type)
	}
	welcome := new(papertapev1.Welcome)
	if err := decode(f, welcome); err != nil {
		return err
	}
	c.welcome = welcomeFrom(welcome)
	if c.heartbeat = c.welcome.Heartbeat; c.heartbeat == 0 {
		c.heartbeat = heartbeatDefault
	}
	c.lastID = 1
	request := &papertapev1.Login{
		Account: o.Account, Mode: papertapev1.ResumeMode(o.Mode), LastSeq: o.LastSeq, Epoch: o.Epoch, Client: o.Name,
	}
	if o.Key != nil && len(c.welcome.Nonce) > 0 {
		o.Key.prove(request, c.welcome.Nonce)
	}
	if _, err := c.conn.Write(codec.Append(nil, codec.TypeLogin, 0, c.lastID, request)); err != nil {
		// What the server said before it closed explains more than the failed write does.
		return errors.Join(c.awaitLogin(o), fmt.Errorf("write to the server: %w", err))
	}
	return c.awaitLogin(o)
}

// awaitLogin reads up to the answer to the login. Only the heartbeat may come before it.
func (c *Client) awaitLogin(o *Options) error {
	for {
		f, err := c.frames.next()
		if err != nil {
			if c.rejected != nil {
				return errors.Join(c.rejected, err)
			}
			return err
		}
		switch f.Type {
		case codec.TypeLoginReply:
			return c.loggedIn(f, o)
		case codec.TypePing:
			if _, err := c.conn.Write(codec.Append(nil, codec.TypePong, codec.FlagReply, f.ID, &papertapev1.Pong{})); err != nil {
				return fmt.Errorf("write to the server: %w", err)
			}
		case codec.TypeReject:
			reject, err := c.decodeReject(f)
			if err != nil {
				return err
			}
			if f.ID == c.lastID {
				return reject
			}
			c.rejected = reject
		case codec.TypeGoodbye:
			return c.goodbye(f)
		default:
			return protocolErrorf("%v came before the answer to LOGIN", f.Type)
		}
	}
}

// loggedIn takes the answer to the login, and from it where the stream begins.
func (c *Client) loggedIn(f codec.Frame, o *Options) error {
	m := new(papertapev1.LoginReply)
	if err := decode(f, m); err != nil {
		return err
	}
	r := loginReplyFrom(m)
	if f.ID != c.lastID || f.Flags&codec.FlagReply == 0 {
		return protocolErrorf("the answer to LOGIN has id %d and flags %#x: expected id %d and REPLY", f.ID, uint16(f.Flags), c.lastID)
	}
	if r.Account != o.Account {
		return protocolErrorf("logged in to account %d: asked for %d", r.Account, o.Account)
	}
	c.login = r
	switch r.Mode {
	case ModeSnapshot:
		if r.Holdings == nil {
			return protocolErrorf("the answer to LOGIN is of mode SNAPSHOT and has no holdings")
		}
		c.last = r.Holdings.AsOfSeq
	case ModeResume:
		c.last = o.LastSeq
	case ModeRestart:
		c.last = r.HeadSeq
		if r.OldestSeq > 0 {
			c.last = r.OldestSeq - 1
		}
	case ModeQuick:
		c.last = r.HeadSeq
	default:
		return protocolErrorf("the answer to LOGIN is of mode %v", m.GetMode())
	}
	return nil
}
