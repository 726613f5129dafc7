package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	connectPatience = 15 * time.Second // for connecting and logging in
	mismatchesMax   = 2                // consecutive mismatches of the state hash; one more snapshot would not help
	doublingsMax    = 32               // doublings of the backoff, which is then at its maximum
)

// session is a connection that has logged in but is not started, and the update with which
// Next will report it.
type session struct {
	client    *Client
	connected *Connected
}

// runKeeper keeps the account connected. It is the only goroutine of an account besides those
// of its connection. It begins with the result of Open's attempt to log in.
func (a *Account) runKeeper(s *session, err error) {
	defer close(a.keeperDone)
	attempt, since := 1, time.Now()
	for {
		if s != nil {
			err = a.serve(s)
			attempt, since = 0, time.Now()
		}
		if s, err = a.reconnect(attempt, since, err); err != nil {
			a.fail(err)
			return
		}
	}
}

// serve runs a connection until it ends and returns why it ended.
func (a *Account) serve(s *session) error {
	c, began := s.client, time.Now()
	if !a.stream.put(s.connected, a.lifetime.Done()) {
		_ = c.Close() // never fails
		return ErrClosed
	}
	if s.connected.After != nil {
		a.received = position{s.connected.Epoch, s.connected.After.Seq}
	}
	c.start()
	stop := context.AfterFunc(a.lifetime, func() { c.fail(ErrClosed) })
	defer stop()
	a.setClient(c)
	a.subscribeAndCompare(s)
	<-c.done
	c.goroutines.Wait()
	a.setClient(nil)
	a.received.seq = c.last
	if errors.Is(c.err, ErrStateHash) {
		a.noteMismatch()
	}
	if a.flaps = min(a.flaps+1, doublingsMax); time.Since(began) >= a.options.BackoffMax {
		a.flaps = 0
	}
	return c.err
}

// subscribeAndCompare sends the subscriptions on a new connection. It also compares the state,
// unless the login brought a new snapshot of it. What fails because the connection ends is
// repeated on the next one.
func (a *Account) subscribeAndCompare(s *session) {
	_ = a.subscribe(a.lifetime, s.client, false)
	if s.connected.Resumed || a.mismatches > 0 {
		if a.compare(a.lifetime, s.client) == nil {
			a.mismatches = 0
		}
	}
}

// noteMismatch records that the state was found wrong.
func (a *Account) noteMismatch() {
	a.resync = true
	a.mismatches++
}

// reconnect makes the next connection, however many attempts that takes. attempt is how many
// have failed so far; err is why the last attempt failed or the last connection ended.
// reconnect fails only if another attempt would not help.
func (a *Account) reconnect(attempt int, since time.Time, err error) (*session, error) {
	for {
		switch {
		case a.lifetime.Err() != nil:
			return nil, ErrClosed
		case a.mismatches >= mismatchesMax || attempt > 0 && permanent(err):
			return nil, err
		}
		retry := a.backoff(attempt, err)
		if !a.stream.put(&Disconnected{Err: err, Attempt: attempt, Retry: retry}, a.lifetime.Done()) ||
			!a.sleep(retry) {
			return nil, ErrClosed
		}
		attempt++
		var s *session
		if s, err = a.login(a.lifetime, attempt, since); err == nil {
			return s, nil
		}
	}
}

// backoff returns how long to wait: the time that the server asked for, plus a random time up
// to a bound. The bound doubles with every failed attempt and every connection that did not
// last. The random time keeps the clients of a stopped server from all returning at once.
func (a *Account) backoff(attempt int, err error) time.Duration {
	bound := a.options.BackoffMin
	for range min(attempt+a.flaps, doublingsMax) {
		bound = min(2*bound, a.options.BackoffMax)
	}
	return retryAfterOf(err) + rand.N(min(bound, a.options.BackoffMax)) + 1
}

// retryAfterOf returns how long the server asked to wait.
func retryAfterOf(err error) (d time.Duration) {
	var bye *Goodbye
	if errors.As(err, &bye) {
		d = bye.RetryAfter
	}
	var reject *Reject
	if errors.As(err, &reject) {
		d = max(d, reject.RetryAfter)
	}
	return d
}

// sleep waits. It returns false if the account ends meanwhile.
func (a *Account) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.lifetime.Done():
		return false
	}
}

// permanent reports whether another attempt to log in would fail in the same way.
func permanent(err error) bool {
	var reject *Reject
	if errors.As(err, &reject) {
		switch reject.Code {
		case Busy, RateLimited, Draining, Internal:
			return false
		}
		return true
	}
	return errors.Is(err, ErrPlaintext) || errors.Is(err, ErrKeyNeeded) || errors.Is(err, errProofVersion)
}

// login makes one attempt to connect and log in, such that the new connection continues where
// the account's stream ends.
func (a *Account) login(ctx context.Context, attempt int, since time.Time) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	o := Options{Account: a.options.Account, Name: a.options.Name, Dial: a.options.Dial, Key: a.options.Key,
		Mode: ModeSnapshot, TLS: a.options.TLS, AllowPlaintext: a.options.AllowPlaintext}
	if a.received.epoch != 0 && !a.resync {
		o.Mode, o.Epoch, o.LastSeq = ModeResume, a.received.epoch, a.received.seq
	}
	c, err := connect(ctx, a.addr, &o, a.stream)
	if err != nil {
		return nil, err
	}
	connected, err := a.acceptLogin(c, &o)
	if err != nil {
		_ = c.conn.Close() // its goroutines have not started
		return nil, fmt.Errorf("log in to account %d at %s: %w", a.options.Account, a.addr, err)
	}
	connected.Attempts, connected.Away = attempt, time.Since(since)
	return &session{c, connected}, nil
}

// acceptLogin checks the answer to a login and returns the update that reports it.
func (a *Account) acceptLogin(c *Client, o *Options) (*Connected, error) {
	r := c.login
	update := &Connected{
		UID: c.welcome.UID, Addr: a.addr, Server: c.welcome.Server, Epoch: r.Epoch, HeadSeq: r.HeadSeq,
		Instance: c.welcome.Instance,
	}
	switch {
	case r.Epoch == 0:
		return nil, protocolErrorf("the answer to LOGIN is of epoch 0")
	case r.Mode == ModeSnapshot:
		return update, a.acceptSnapshot(update, r)
	case r.Mode != o.Mode:
		return nil, protocolErrorf("the answer to LOGIN is of mode %v: asked for %v", r.Mode, o.Mode)
	case r.Epoch != o.Epoch || r.HeadSeq < o.LastSeq:
		return nil, protocolErrorf("the answer to LOGIN resumes epoch %#x, up to seq %d: asked for epoch %#x "+
			"after seq %d",
			r.Epoch, r.HeadSeq, o.Epoch, o.LastSeq)
	}
	update.Resumed, update.Missed = true, r.HeadSeq-a.received.seq
	return update, nil
}

// acceptSnapshot checks the snapshot in the answer to a login, with which the state is replaced.
func (a *Account) acceptSnapshot(update *Connected, r *LoginReply) error {
	update.After = stateOf(r.Holdings, r.Epoch)
	if hash := update.After.Hash(); hash != r.Holdings.StateHash {
		a.noteMismatch()
		return &StateMismatch{
			Account: a.options.Account, Seq: update.After.Seq, Local: hash, Server: r.Holdings.StateHash,
		}
	}
	if update.After.Account != a.options.Account {
		return protocolErrorf("the answer to LOGIN has the holdings of account %d", update.After.Account)
	}
	a.resync = false
	update.Resynced = a.received.epoch != 0
	if update.Resynced && update.Epoch == a.received.epoch && update.After.Seq > a.received.seq {
		update.Missed = update.After.Seq - a.received.seq
	}
	return nil
}
