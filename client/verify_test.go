package client_test

import (
	"errors"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// wrongHoldings returns holdings whose hash is not the book's.
func wrongHoldings(seq uint64) *papertapev1.Holdings {
	h := holdingsOf(book(seq))
	h.StateHash++
	return h
}

func expectMismatch(t *testing.T, err error, seq, server uint64) {
	t.Helper()
	var m *client.StateMismatch
	if !errors.As(err, &m) || !errors.Is(err, client.ErrStateHash) || m.Account != account || m.Seq != seq ||
		m.Local != book(seq).Hash() || m.Server != server {
		t.Errorf("got %v: expected a mismatch as of seq %d, %016x here and %016x there", err, seq, book(seq).Hash(),
			server)
	}
}

// A state that differs after a reconnect is replaced by a snapshot, and the caller is told.
func TestMismatchIsCuredBySnapshot(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(2)
		p.push(3, 0)
	}, func(p *peer) {
		p.logInResumed(3, 4)
		p.sendHoldings(wrongHoldings(4))
		p.waitClosed()
	}, func(p *peer) {
		p.logInWithSnapshot(6) // asked for by the client
		p.sendBookHoldings(6)
		p.push(7, 0)
	}, func(p *peer) {
		p.logInResumed(7, 7)
		p.sendHoldings(wrongHoldings(7)) // the first mismatch in a new row, so not the end yet
		p.waitClosed()
	}, func(p *peer) {
		p.logInWithSnapshot(8)
		p.sendBookHoldings(8)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	takeEvents(t, a, 3, 3)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	takeEvents(t, a, 4, 4)
	expectMismatch(t, take[*client.Disconnected](t, a).Err, 4, wrongHoldings(4).StateHash)
	if c := take[*client.Connected](t, a); !c.Resynced || c.Before.Seq != 4 || c.After.Seq != 6 || c.Missed != 2 {
		t.Errorf("Connected says %+v", c)
	}
	checkState(t, a, 6)
	takeEvents(t, a, 7, 7)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	expectMismatch(t, take[*client.Disconnected](t, a).Err, 7, wrongHoldings(7).StateHash)
	take[*client.Connected](t, a)
	checkState(t, a, 8)
}

// Wrong events are detected: here one that is not what happened.
func TestWrongEventIsFoundOut(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(2)
	}, func(p *peer) {
		p.acceptResume(2, 3)
		wrong := bookEvent(3)
		wrong.Positions[0].Quantity++
		p.send(codec.Append(nil, codec.TypeEvent, codec.FlagReplay, 0, wrong))
		p.sendBookHoldings(3)
		p.waitClosed()
	}, func(p *peer) {
		p.logInWithSnapshot(3)
		p.sendBookHoldings(3)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	takeEvents(t, a, 3, 3)
	if d := take[*client.Disconnected](t, a); !errors.Is(d.Err, client.ErrStateHash) {
		t.Errorf("Disconnected says %+v", d)
	}
	take[*client.Connected](t, a)
	checkState(t, a, 3)
}

// Two mismatches in a row end the account.
func TestSecondMismatchIsTheEnd(t *testing.T) {
	for name, then := range map[string]func(*peer){
		"in the snapshot": func(p *peer) {
			id, _ := p.greet()
			r := bookSnapshot(4, epoch)
			r.Holdings = wrongHoldings(4)
			p.send(loggedIn(id, r))
			p.waitClosed()
		},
		"after the snapshot": func(p *peer) {
			p.logInWithSnapshot(4)
			p.sendHoldings(wrongHoldings(4))
			p.waitClosed()
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.logInWithSnapshot(3)
			}, func(p *peer) {
				p.logInResumed(3, 3)
				p.sendHoldings(wrongHoldings(3))
				p.waitClosed()
			}, then)
			a := open(t, addr, nil)
			var err error
			for err == nil {
				_, err = a.Next(patience(t))
			}
			expectMismatch(t, err, 4, wrongHoldings(4).StateHash)
			_, err = a.Holdings(patience(t))
			expectMismatch(t, err, 4, wrongHoldings(4).StateHash)
		})
	}
}

func TestMismatchAtTheFirstLogin(t *testing.T) {
	lie := func(p *peer) {
		id, _ := p.greet()
		r := bookSnapshot(4, epoch)
		r.Holdings = wrongHoldings(4)
		p.send(loggedIn(id, r))
		p.waitClosed()
	}
	o := accountOptions(func(o *client.AccountOptions) { o.Wait = true })
	_, err := client.Open(patience(t), serve(t, lie, lie), o)
	expectMismatch(t, err, 4, wrongHoldings(4).StateHash)
}

// Verify compares with everything applied that waits for Next, at exactly the sequence of the
// server's answer.
func TestVerify(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(2)
		p.push(3, 0)
		p.push(4, 0)
		p.sendBookHoldings(4)
		f := p.expect(codec.TypeHoldings) // an answer that comes late is useless, so the client asks again
		p.push(5, 0)
		p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, wrongHoldings(4)))
		f = p.expect(codec.TypeHoldings)
		p.send(codec.AppendReject(nil, f.ID, papertapev1.RejectCode(client.Busy), "later", time.Millisecond))
		p.sendBookHoldings(5)
		p.sendHoldings(wrongHoldings(5))
		p.waitClosed()
	}, func(p *peer) {
		p.logInWithSnapshot(5)
		p.sendBookHoldings(5)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	for range 2 {
		if err := a.Verify(patience(t)); err != nil {
			t.Errorf("Verify: %v", err)
		}
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 3, 5)
	expectMismatch(t, a.Verify(patience(t)), 5, wrongHoldings(5).StateHash)
	expectMismatch(t, take[*client.Disconnected](t, a).Err, 5, wrongHoldings(5).StateHash)
	if c := take[*client.Connected](t, a); !c.Resynced || c.Missed != 0 {
		t.Errorf("Connected says %+v", c)
	}
}
