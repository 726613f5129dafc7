package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	connectPatience = 15 * time.Second // for a connection and its login
	mismatchesMax   = 2                // state hashes in a row that differ; then a snapshot is no cure
	doublingsMax    = 32               // of the backoff; by then it is as long as it gets
)

// session is a connection that is logged in and not started, and what Next will be told of it.
type session struct {
	client    *Client
	connected *Connected
}

// keep is the keeper: the one goroutine of an account beside those of its connection. It begins with what Open's
// attempt came to.
func (a *Account) keep(s *session, err error) {
	defer close(a.kept)
	attempt, since := 1, time.Now()
	for {
		if s != nil {
			err = a.serve(s)
			attempt, since = 0, time.Now()
		}
		if s, err = a.again(attempt, since, err); err != nil {
			a.fail(err)
			return
		}
	}
}

// serve has a connection work until it ends, and returns why it did.
func (a *Account) serve(s *session) error {
	c, began := s.client, time.Now()
	if !a.stream.put(s.connected, a.open.Done()) {
		_ = c.Close() // never fails
		return ErrClosed
	}
	if s.connected.After != nil {
		a.at = position{s.connected.Epoch, s.connected.After.Seq}
	}
	c.start()
	stop := context.AfterFunc(a.open, func() { c.fail(ErrClosed) })
	defer stop()
	a.setClient(c)
	a.settle(s)
	<-c.done
	c.goroutines.Wait()
	a.setClient(nil)
	a.at.seq = c.last
	if errors.Is(c.err, ErrStateHash) {
		a.mismatched()
	}
	if a.flaps = min(a.flaps+1, doublingsMax); time.Since(began) >= a.o.BackoffMax {
		a.flaps = 0
	}
	return c.err
}

// settle does what a new connection needs: the subscriptions, and the comparison of the state where it did not come with
// the login. What fails by the end of the connection is done on the next one.
func (a *Account) settle(s *session) {
	_ = a.subscribe(a.open, s.client, false)
	if s.connected.Resumed || a.mismatches > 0 {
		if a.compare(a.open, s.client) == nil {
			a.mismatches = 0
		}
	}
}

// mismatched notes that the state was found wrong.
func (a *Account) mismatched() {
	a.resync = true
	a.mismatches++
}

// again makes the next connection, however many attempts it takes. attempt is how many have failed, err why the last one,
// or the connection before, ended. The error is one that another attempt cannot cure.
func (a *Account) again(attempt int, since time.Time, err error) (*session, error) {
	for {
		switch {
		case a.open.Err() != nil:
			return nil, ErrClosed
		case a.mismatches >= mismatchesMax || attempt > 0 && hopeless(err):
			return nil, err
		}
		retry := a.backoff(attempt, err)
		if !a.stream.put(&Disconnected{Err: err, Attempt: attempt, Retry: retry}, a.open.Done()) || !a.sleep(retry) {
			return nil, ErrClosed
		}
		attempt++
		var s *session
		if s, err = a.login(a.open, attempt, since); err == nil {
			return s, nil
		}
	}
}

// backoff is how long to wait: as long as the server asks, and a random part of a bound that doubles with every attempt
// that failed and every connection that did not last. The random part comes on top, or all clients of a server that
// stopped would be back at the same moment.
func (a *Account) backoff(attempt int, err error) time.Duration {
	bound := a.o.BackoffMin
	for range min(attempt+a.flaps, doublingsMax) {
		bound = min(2*bound, a.o.BackoffMax)
	}
	return retryAfterOf(err) + rand.N(min(bound, a.o.BackoffMax)) + 1
}

// retryAfterOf is how long the server asked to wait.
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

// sleep returns false if the account has ended meanwhile.
func (a *Account) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.open.Done():
		return false
	}
}

// hopeless says that another attempt to log in would end like this one.
func hopeless(err error) bool {
	var reject *Reject
	if errors.As(err, &reject) {
		switch reject.Code {
		case Busy, RateLimited, Draining, Internal:
			return false
		}
		return true
	}
	return false
}

// login makes one attempt at a connection that goes on where the stream is.
func (a *Account) login(ctx context.Context, attempt int, since time.Time) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	o := Options{Account: a.o.Account, Name: a.o.Name, Dial: a.o.Dial, Key: a.o.Key, Mode: ModeSnapshot}
	if a.at.epoch != 0 && !a.resync {
		o.Mode, o.Epoch, o.LastSeq = ModeResume, a.at.epoch, a.at.seq
	}
	c, err := connect(ctx, a.addr, &o, a.stream)
	if err != nil {
		return nil, err
	}
	connected, err := a.greeted(c, &o)
	if err != nil {
		_ = c.conn.Close() // nothing was started
		return nil, fmt.Errorf("log in to account %d at %s: %w", a.o.Account, a.addr, err)
	}
	connected.Attempts, connected.Away = attempt, time.Since(since)
	return &session{c, connected}, nil
}

// greeted takes the answer to a login for what it means to the account.
func (a *Account) greeted(c *Client, o *Options) (*Connected, error) {
	r := c.login
	u := &Connected{
		UID: c.welcome.UID, Addr: a.addr, Server: c.welcome.Server, Epoch: r.Epoch, HeadSeq: r.HeadSeq,
		Instance: c.welcome.Instance,
	}
	switch {
	case r.Epoch == 0:
		return nil, protocolErrorf("the answer to LOGIN is of epoch 0")
	case r.Mode == ModeSnapshot:
		return u, a.replaced(u, r)
	case r.Mode != o.Mode:
		return nil, protocolErrorf("the answer to LOGIN is of mode %v: asked for %v", r.Mode, o.Mode)
	case r.Epoch != o.Epoch || r.HeadSeq < o.LastSeq:
		return nil, protocolErrorf("the answer to LOGIN resumes epoch %#x, up to seq %d: asked for epoch %#x after seq %d",
			r.Epoch, r.HeadSeq, o.Epoch, o.LastSeq)
	}
	u.Resumed, u.Missed = true, r.HeadSeq-a.at.seq
	return u, nil
}

// replaced takes a snapshot in.
func (a *Account) replaced(u *Connected, r *LoginReply) error {
	u.After = stateOf(r.Holdings, r.Epoch)
	if hash := u.After.Hash(); hash != r.Holdings.StateHash {
		a.mismatched()
		return &StateMismatch{Account: a.o.Account, Seq: u.After.Seq, Local: hash, Server: r.Holdings.StateHash}
	}
	if u.After.Account != a.o.Account {
		return protocolErrorf("the answer to LOGIN has the holdings of account %d", u.After.Account)
	}
	a.resync = false
	if u.Resynced = a.at.epoch != 0; u.Resynced && u.Epoch == a.at.epoch && u.After.Seq > a.at.seq {
		u.Missed = u.After.Seq - a.at.seq
	}
	return nil
}
