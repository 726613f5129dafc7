package client

import (
	"context"
	"crypto/tls"
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
	outFramesMax        = 256  // frames waiting to be written; if full, callers wait and a PONG is dropped
	inFlightRequestsMax = 4096 // requests waiting for their answers; if full, ErrInFlight
)

const (
	heartbeatDefault = 15 * time.Second // if the server names no interval
	loginPatience    = 10 * time.Second // for each read until the login is complete; a server gives up after 5 s
)

// Options say who logs in and how the session begins. Only the field Account is required.
type Options struct {
	Account uint64
	Mode    ResumeMode // zero means ModeSnapshot
	Epoch   uint64     // for ModeResume: the epoch of LastSeq, from that session's LoginReply
	LastSeq uint64     // for ModeResume: the last sequence applied
	Name    string     // name and version of the program for the server's log, at most 64 bytes

	// DiscardEvents is for callers who do not call Next. Events are checked for order and then
	// dropped, as are quotes and presence. Answers still come.
	DiscardEvents bool

	// Key proves who logs in, if the server asks for it. Without one, ErrKeyNeeded is returned then.
	Key *Key

	// TLS encrypts the connection: with its RootCAs, and its Certificates if the server asks for
	// one. Without a ServerName the server has to be who the address says. If TLS is nil, the
	// connection is plain, and a Key is then refused with ErrPlaintext unless the server is on
	// this machine or AllowPlaintext is set.
	TLS            *tls.Config
	AllowPlaintext bool

	// Dial opens the connection. If it is nil, a net.Dialer opens it over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is one connection that is logged in to one account; an Account outlives many. All
// methods may be called from any goroutine, but Next only from one at a time if the order of
// events matters.
type Client struct {
	// Constant after Dial.
	conn       net.Conn
	welcome    *Welcome
	login      *LoginReply
	heartbeat  time.Duration
	discard    bool
	goroutines sync.WaitGroup

	// Owned by the reader goroutine; by Dial before that starts.
	frames   frameReader
	event    papertapev1.AccountEvent // a frame is decoded into it before it becomes an Event
	last     uint64                   // the last sequence put into the stream
	rejected *Reject                  // a REJECT that answers no request and says why a GOODBYE follows

	// Shared.
	stream  *stream       // from the reader to Next; the connections of an Account use one stream in turn
	out     chan []byte   // whole frames, from any goroutine to the writer
	done    chan struct{} // closed when the client has ended and err is set
	endOnce sync.Once
	err     error // what ended the client; set before done is closed, read after

	mu       sync.Mutex
	lastID   uint64           // under mu
	inFlight map[uint64]*call // under mu: the requests under way, by id
}

// Dial connects to a server, reads its WELCOME, logs in and waits for the answer. ctx bounds
// all of that and nothing after it. The error is a [*Reject] if the login was refused, a
// [*Goodbye] if the server did not accept the connection.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	c, err := connect(ctx, addr, &o, newStream(nil))
	if err != nil {
		return nil, err
	}
	c.start()
	return c, nil
}

// connect does what Dial does, but starts no goroutines: nothing after the answer to the login
// has been read when it returns.
func connect(ctx context.Context, addr string, o *Options, to *stream) (*Client, error) {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	interrupt := context.AfterFunc(ctx, func() { _ = conn.Close() })
	line, err := encrypt(ctx, conn, addr, o)
	if err != nil {
		if !interrupt() {
			err = errors.Join(ctx.Err(), err) // it was ctx that closed the connection
		}
		_ = conn.Close()
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	c := &Client{
		conn: line, discard: o.DiscardEvents, frames: frameReader{conn: line, patience: loginPatience},
		stream: to, out: make(chan []byte, outFramesMax), done: make(chan struct{}),
		inFlight: make(map[uint64]*call),
	}
	err = c.handshake(o)
	if !interrupt() {
		err = errors.Join(ctx.Err(), err) // it was ctx that closed the connection
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

// Welcome returns the server's first message on this connection.
func (c *Client) Welcome() *Welcome { return c.welcome }

// LoginReply returns the server's answer to the login. It includes the holdings if the session
// begins with a snapshot, because ModeSnapshot was asked for or the server could not resume.
func (c *Client) LoginReply() *LoginReply { return c.login }

// Close ends the client and returns when its goroutines have ended. Next and the requests under
// way return [ErrClosed].
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.goroutines.Wait()
	return nil
}

// Err returns what ended the client, or nil while it runs.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Next returns the next event of the account. After the client has ended, Next returns the
// events that came before that, and then what ended the client. With DiscardEvents it only
// waits for the end.
func (c *Client) Next(ctx context.Context) (*Event, error) {
	for {
		if ev := c.stream.takeEvent(); ev != nil {
			return ev, nil
		}
		if ended, err := c.stream.wait(ctx, c.done, false); err != nil {
			return nil, err
		} else if ended {
			c.goroutines.Wait() // the reader may still be putting its last event
			if ev := c.stream.takeEvent(); ev != nil {
				return ev, nil
			}
			return nil, c.err
		}
	}
}

// NextUpdate is Next for a caller who has subscribed: it returns an [*Event] or, between
// events, [*Quotes] and [*Presence]. A slow caller gets only the latest quotes and presence.
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

// fail ends the client. Only the first reason is kept.
func (c *Client) fail(err error) {
	c.endOnce.Do(func() {
		c.err = err
		close(c.done)
		_ = c.conn.Close()
	})
}

// handshake exchanges everything from WELCOME to the answer to the login.
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
	if err := c.welcome.proveTo(o.Key, request); err != nil {
		return err
	}
	if _, err := c.conn.Write(codec.Append(nil, codec.TypeLogin, 0, c.lastID, request)); err != nil {
		// What the server said before it closed explains more than the failed write.
		return errors.Join(c.awaitLogin(o), fmt.Errorf("write to the server: %w", err))
	}
	return c.awaitLogin(o)
}

// awaitLogin reads up to the answer to the login. Only heartbeats, a REJECT and a GOODBYE may
// come before it.
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
			pong := codec.Append(nil, codec.TypePong, codec.FlagReply, f.ID, &papertapev1.Pong{})
			if _, err := c.conn.Write(pong); err != nil {
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
			return c.goodbyeError(f)
		default:
			return protocolErrorf("%v came before the answer to LOGIN", f.Type)
		}
	}
}

// loggedIn takes the answer to the login and determines where the stream begins.
func (c *Client) loggedIn(f codec.Frame, o *Options) error {
	m := new(papertapev1.LoginReply)
	if err := decode(f, m); err != nil {
		return err
	}
	r := loginReplyFrom(m)
	if f.ID != c.lastID || f.Flags&codec.FlagReply == 0 {
		return protocolErrorf("the answer to LOGIN has id %d and flags %#x: expected id %d and REPLY", f.ID,
			uint16(f.Flags), c.lastID)
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
