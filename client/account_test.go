package client_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

func TestAccountFollows(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(3)
		p.push(4, 0)
		p.executeOrder(5, 0)
		p.push(6, 0)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	checkState(t, a, 3) // before the first Next
	if s := a.State(); s.Epoch != epoch || s.Account != account {
		t.Errorf("the state is of account %d and epoch %d", s.Account, s.Epoch)
	}
	c := take[*client.Connected](t, a)
	if c.UID != 7 || c.Addr != addr || c.Server != "test" || c.HeadSeq != 3 || c.Epoch != epoch || c.Instance != 8 ||
		c.Attempts != 1 ||
		c.Resumed || c.Resynced || c.Before != nil || c.After.Seq != 3 || c.Missed != 0 {
		t.Errorf("Connected says %+v", c)
	}
	ev, err := a.Order(patience(t), client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 5})
	if err != nil || ev.Seq != 5 || !ev.Execution {
		t.Fatalf("execution %v, error %v", ev, err)
	}
	checkState(t, a, 3) // Next has not been called
	for i, ev := range takeEvents(t, a, 4, 6) {
		if ev.Replay || ev.Execution != (i == 1) {
			t.Errorf("seq %d: replay %v, execution %v", ev.Seq, ev.Replay, ev.Execution)
		}
	}
	checkState(t, a, 6)
}

// An update belongs to the caller of Next: modifying it does not change the state.
func TestStateIsACopy(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(3)
		p.push(4, 0)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a).After.Positions[1].Quantity = 1
	ev := takeEvents(t, a, 4, 4)[0]
	ev.Positions[0].Quantity, ev.Cash.Balance = 1, 1
	s := a.State()
	s.Positions[1].Cost, s.Cash.FeesPaid = 1, 1
	s.Positions = s.Positions[:1]
	checkState(t, a, 4)
}

func TestAccountResumes(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.push(2, 0)
		p.push(3, 0)
	}, func(p *peer) {
		p.logInResumed(3, 5)
		p.push(6, 0)
		p.sendBookHoldings(6)
		p.push(7, 0)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 3)
	d := take[*client.Disconnected](t, a)
	if !errors.Is(d.Err, io.EOF) || d.Attempt != 0 || d.Retry <= 0 || d.Retry > 20*time.Millisecond+1 {
		t.Errorf("Disconnected says %+v", d)
	}
	c := take[*client.Connected](t, a)
	if !c.Resumed || c.Resynced || c.Missed != 2 || c.HeadSeq != 5 || c.Before != nil || c.After != nil ||
		c.Attempts != 1 || c.Away <= 0 {
		t.Errorf("Connected says %+v", c)
	}
	for _, ev := range takeEvents(t, a, 4, 7) {
		if ev.Replay != (ev.Seq <= 5) {
			t.Errorf("seq %d: replay %v", ev.Seq, ev.Replay)
		}
	}
	checkState(t, a, 7)
}

// Events that were received but not yet returned by Next when the connection broke are not
// requested again, and not lost.
func TestResumeAfterWhatWaits(t *testing.T) {
	back := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		for seq := uint64(2); seq <= 50; seq++ {
			p.push(seq, 0)
		}
	}, func(p *peer) {
		p.logInResumed(50, 51)
		p.sendBookHoldings(51) // the comparison includes the updates that wait
		p.push(52, 0)
		close(back)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	within(t, back)
	checkState(t, a, 1)
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 50)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	takeEvents(t, a, 51, 52)
	checkState(t, a, 52)
}

// More events come than may wait: the account stops reading, and nothing is lost once Next is
// called.
func TestSlowCallerOfAnAccountLosesNothing(t *testing.T) {
	const n = 5000
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(0)
		for seq := uint64(1); seq <= n; seq++ {
			p.send(event(seq, 0))
		}
	}, func(p *peer) {
		p.acceptResume(n, n)
		s := book(0)
		s.Seq = n
		p.sendHoldings(holdingsOf(s))
		p.send(event(n+1, 0))
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	takeEvents(t, a, 1, n)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	takeEvents(t, a, n+1, n+1)
}

// The connection ends while the reader waits for room. The event that found none comes again on
// the next connection.
func TestConnectionEndsWhileTheQueueIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	const n = 1500
	addr := serve(t, func(p *peer) {
		p.send(welcome(100))
		id := p.expect(codec.TypeLogin).ID
		p.send(loggedIn(id, bookSnapshot(0, epoch)))
		for seq := uint64(1); seq <= n; seq++ {
			p.send(event(seq, 0))
		}
		for range 4 { // by then the reader is waiting
			p.ping()
		}
		reset(p.Conn)
	}, func(p *peer) {
		id, login := p.greet()
		p.send(loggedIn(id, &papertapev1.LoginReply{Account: account, HeadSeq: n, OldestSeq: 1, Epoch: epoch,
			Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME}))
		for seq := login.GetLastSeq() + 1; seq <= n; seq++ {
			p.send(event(seq, codec.FlagReplay))
		}
		s := book(0)
		s.Seq = n
		p.sendHoldings(holdingsOf(s))
		p.waitClosed()
	})
	a := open(t, addr, nil)
	if err := a.Ping(patience(t)); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("Ping reports %v: expected that the connection broke", err)
	}
	for last := uint64(0); last < n; {
		if ev, ok := nextOf(t, a).(*client.Event); ok {
			last = follows(t, ev, last)
		}
	}
}

// After a new history the state is replaced, and the caller is told what changed.
func TestAccountResyncs(t *testing.T) {
	for name, test := range map[string]struct {
		epoch, head, missed uint64
	}{
		"new epoch, less than before": {epoch + 1, 2, 0},
		"new epoch, more than before": {epoch + 1, 9, 0},
		"history not kept":            {epoch, 9, 5},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.logInWithSnapshot(3)
				p.push(4, 0)
			}, func(p *peer) {
				id, login := p.greet()
				if login.GetMode() != papertapev1.ResumeMode_RESUME_MODE_RESUME {
					t.Errorf("the login asks for mode %v", login.GetMode())
				}
				r := bookSnapshot(test.head, test.epoch)
				r.Resynced = true
				p.send(loggedIn(id, r))
				p.push(test.head+1, 0)
			}, func(p *peer) {
				id, login := p.greet()
				if login.GetEpoch() != test.epoch || login.GetLastSeq() != test.head+1 {
					t.Errorf("the login asks to resume after seq %d of epoch %d", login.GetLastSeq(), login.GetEpoch())
				}
				p.send(loggedIn(id, &papertapev1.LoginReply{
					Account: account, HeadSeq: test.head + 1, OldestSeq: 1, Epoch: test.epoch,
					Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME,
				}))
				p.sendBookHoldings(test.head + 1)
				p.waitClosed()
			})
			a := open(t, addr, nil)
			take[*client.Connected](t, a)
			takeEvents(t, a, 4, 4)
			take[*client.Disconnected](t, a)
			c := take[*client.Connected](t, a)
			if c.Resumed || !c.Resynced || c.Missed != test.missed || c.Before.Hash() != book(4).Hash() ||
				c.Before.Epoch != epoch ||
				c.After.Hash() != book(test.head).Hash() || c.After.Epoch != test.epoch {
				t.Errorf("Connected says %+v", c)
			}
			checkState(t, a, test.head)
			takeEvents(t, a, test.head+1, test.head+1)
			checkState(t, a, test.head+1)
			take[*client.Disconnected](t, a)
			if c := take[*client.Connected](t, a); !c.Resumed || c.Missed != 0 {
				t.Errorf("Connected says %+v", c)
			}
		})
	}
}

// With Wait, Open succeeds before the server is there. Notices of attempts that nobody took do
// not pile up.
func TestWaitForAServer(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.acceptSubscription(false, false)
		p.waitClosed()
	})
	var attempts atomic.Int32
	const failing = 30
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if attempts.Add(1) <= failing {
			return nil, errors.New("nobody there")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	o := accountOptions(func(o *client.AccountOptions) { o.Dial = dial })
	if _, err := client.Open(patience(t), addr, o); err == nil {
		t.Error("Open has no error, and was not told to wait")
	}
	a := open(t, addr, func(o *client.AccountOptions) { o.Dial, o.Wait, o.BackoffMax = dial, true, time.Millisecond })
	if _, err := a.Holdings(cancelled(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := a.Subscribe(patience(t)); err != nil { // it waits for the connection
		t.Errorf("Subscribe: %v", err)
	}
	d := take[*client.Disconnected](t, a)
	if d.Attempt != failing-1 || !strings.Contains(d.Err.Error(), "nobody there") {
		t.Errorf("the one notice that is left is %+v: expected the last of %d", d, failing-1)
	}
	take[*client.Connected](t, a)
	checkState(t, a, 1)
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func within(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-patience(t).Done():
		t.Fatal("it did not happen")
	}
}

func TestCloseEndsAnAccount(t *testing.T) {
	under := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.expect(codec.TypeOrder)
		close(under)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	nexts, orders := make(chan error, 1), make(chan error, 1)
	go func() {
		for {
			if _, err := a.Next(patience(t)); err != nil {
				nexts <- err
				return
			}
		}
	}()
	go func() { _, err := a.Buy(patience(t), "SZ", "000001", 1); orders <- err }()
	within(t, under)
	closeTwice(t, a)
	if err := <-nexts; !errors.Is(err, client.ErrClosed) {
		t.Errorf("Next reports %v", err)
	}
	if err := <-orders; !errors.Is(err, client.ErrClosed) || !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("the order under way reports %v", err)
	}
	if _, err := a.Buy(patience(t), "SZ", "000001", 1); !errors.Is(err, client.ErrClosed) ||
		errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("an order after the end reports %v", err)
	}
	if _, err := a.Holdings(patience(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Holdings reports %v", err)
	}
	checkState(t, a, 1)
}

// Close is called between two connections while orders wait for the next one.
func TestCloseWithoutAConnection(t *testing.T) {
	addr := serve(t, func(p *peer) { p.logInWithSnapshot(1) })
	a := open(t, addr, func(o *client.AccountOptions) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	take[*client.Connected](t, a)
	take[*client.Disconnected](t, a)
	orders := make(chan error, 1)
	go func() { _, err := a.Buy(patience(t), "SZ", "000001", 1); orders <- err }()
	closeTwice(t, a)
	if err := <-orders; !errors.Is(err, client.ErrClosed) || errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("the order reports %v", err)
	}
	if _, err := a.Next(patience(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Next reports %v", err)
	}
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func closeTwice(t *testing.T, a *client.Account) {
	t.Helper()
	for range 2 {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// If the server asks for a proof, the login contains it.
func TestKey(t *testing.T) {
	secret := []byte("thirty-two bytes between us only")
	key, err := client.NewKey("desk", base64.RawURLEncoding.EncodeToString(secret))
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("thirty-two bytes of the server's")
	addr := serve(t, func(p *peer) {
		p.send(codec.AppendWelcome(nil, &papertapev1.Welcome{Protocol: 1, Epoch: epoch, HeartbeatMs: 60_000,
			Nonce: nonce, ProofVersion: 2}))
		f := p.expect(codec.TypeLogin)
		login := new(papertapev1.Login)
		p.unmarshal(f, login)
		clientKey := hmacOf(secret, "papertape-v2 client key")
		verifier := sha256.Sum256(clientKey)
		proof := hmacOf(verifier[:], "papertape-v2"+string(nonce)+string(login.GetClientNonce())+
			"\x00\x00\x00\x00\x00\x01\x86\xb1")
		for i := range proof {
			proof[i] ^= clientKey[i]
		}
		if len(login.GetClientNonce()) != 32 || login.GetKeyId() != "desk" ||
			!bytes.Equal(proof, login.GetProof()) {
			t.Errorf("the login is %v", login)
		}
		p.send(loggedIn(f.ID, bookSnapshot(1, epoch)))
		p.waitClosed()
	}, func(p *peer) {
		if _, login := p.greet(); login.GetProof() != nil || login.GetKeyId() != "" {
			t.Error("a proof that nobody asked for")
		}
	})
	closeTwice(t, open(t, addr, func(o *client.AccountOptions) { o.Key = key }))
	_, _ = client.Open(patience(t), addr, accountOptions(func(o *client.AccountOptions) { o.Key = key }))
}
