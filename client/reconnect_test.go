package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

func TestRefusedLoginIsTheEnd(t *testing.T) {
	refuse := func(p *peer) {
		id, _ := p.greet()
		p.send(reject(id, codec.FlagReply, client.UnknownAccount, "there is no account 100017"))
		p.waitClosed()
	}
	addr := serve(t, refuse, refuse, func(p *peer) {
		p.logInWithSnapshot(1)
		p.push(2, 0)
	}, refuse)
	var r *client.Reject
	for _, wait := range []bool{false, true} {
		o := accountOptions(func(o *client.AccountOptions) { o.Wait = wait })
		if _, err := client.Open(patience(t), addr, o); !errors.As(err, &r) {
			t.Errorf("wait %v: Open returned %v: expected the refusal", wait, err)
		}
	}
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 2)
	take[*client.Disconnected](t, a)
	for range 2 {
		if u, err := a.Next(patience(t)); !errors.As(err, &r) || r.Code != client.UnknownAccount {
			t.Errorf("Next returned %v and %v: expected the refusal", u, err)
		}
	}
	if _, err := a.Buy(patience(t), "SZ", "000001", 1); !errors.As(err, &r) {
		t.Errorf("an order reports %v: expected the refusal", err)
	}
	checkState(t, a, 2)
	closeTwice(t, a)
	if _, err := a.Next(patience(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Close Next reports %v", err)
	}
}

// After a refusal because the server is full, stopping or too busy, the client tries again, no
// sooner than the server asks.
func TestServerThatSendsAway(t *testing.T) {
	const asked = 30 * time.Millisecond
	away := map[string]func(*peer){
		"full": func(p *peer) {
			p.send(welcome(60_000), sendAway(client.GoodbyeFull, asked))
			p.waitClosed()
		},
		"too many sessions": func(p *peer) {
			id, _ := p.greet()
			p.send(codec.AppendReject(nil, id, papertapev1.RejectCode(client.Busy), "too many sessions", asked),
				sendAway(client.GoodbyeFull, 0))
			p.waitClosed()
		},
		"stopping": func(p *peer) {
			id, _ := p.greet()
			p.send(codec.AppendReject(nil, id, papertapev1.RejectCode(client.Draining), "stopping", asked))
			p.waitClosed()
		},
	}
	for name, sendAway := range away {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, sendAway, sendAway, sendAway, func(p *peer) {
				p.logInWithSnapshot(1)
				p.waitClosed()
			})
			if _, err := client.Open(patience(t), addr, accountOptions(nil)); err == nil {
				t.Error("Open has no error, and was not told to wait")
			}
			a := open(t, addr, func(o *client.AccountOptions) { o.Wait = true })
			if s := a.State(); s.Account != account || s.Epoch != 0 || s.Seq != 0 || len(s.Positions) != 0 {
				t.Errorf("before anything is known the state is %+v", s)
			}
			tried := 0
			for {
				u, err := a.Next(patience(t))
				if err != nil {
					t.Fatal(err)
				}
				if c, ok := u.(*client.Connected); ok {
					if c.Attempts != 3 || c.Resumed || c.Resynced || c.Away < 2*asked {
						t.Errorf("Connected says %+v", c)
					}
					break
				}
				d := u.(*client.Disconnected)
				if tried++; d.Attempt < tried || d.Retry < asked || d.Retry > asked+20*time.Millisecond+1 {
					t.Errorf("Disconnected says %+v: expected attempt %d or later, and to wait %v or a little longer",
						d, tried, asked)
				}
			}
			checkState(t, a, 1)
		})
	}
}

func sendAway(reason client.GoodbyeReason, retry time.Duration) []byte {
	return codec.AppendGoodbye(nil, papertapev1.GoodbyeReason(reason), "later", retry)
}

// After a GOODBYE in the middle of a session, the client comes back after the time that the
// server asked for.
func TestGoodbyeIsNotTheEnd(t *testing.T) {
	const asked = 30 * time.Millisecond
	for _, reason := range []client.GoodbyeReason{
		client.GoodbyeShutdown, client.GoodbyeSlow,
		client.GoodbyeKicked, client.GoodbyeIdle,
	} {
		addr := serve(t, func(p *peer) {
			p.logInWithSnapshot(1)
			p.push(2, 0)
			p.send(sendAway(reason, asked))
			p.waitClosed()
		}, func(p *peer) {
			p.logInResumed(2, 3)
			p.sendBookHoldings(3)
			p.waitClosed()
		})
		a := open(t, addr, nil)
		take[*client.Connected](t, a)
		takeEvents(t, a, 2, 2)
		var bye *client.Goodbye
		if d := take[*client.Disconnected](t, a); !errors.As(d.Err, &bye) || bye.Reason != reason || d.Retry < asked {
			t.Errorf("Disconnected says %+v", d)
		}
		if c := take[*client.Connected](t, a); c.Away < asked {
			t.Errorf("back after %v", c.Away)
		}
		takeEvents(t, a, 3, 3)
	}
}

// A gap or a breach of the protocol ends the connection. On the next one everything comes.
func TestGapIsCuredByResuming(t *testing.T) {
	for name, spoil := range map[string]func(*peer){
		"gap":    func(p *peer) { p.push(5, 0) },
		"repeat": func(p *peer) { p.push(3, 0) },
		"ping":   func(p *peer) { p.send(ping(1, 9)) },
		"noise":  func(p *peer) { p.send([]byte("HTTP/1.1 400 Bad Request")) },
		"half":   func(p *peer) { p.send(event(4, 0)[:20]) },
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.logInWithSnapshot(2)
				p.push(3, 0)
				spoil(p)
			}, func(p *peer) {
				p.logInResumed(3, 5)
				p.sendBookHoldings(5)
				p.waitClosed()
			})
			a := open(t, addr, nil)
			take[*client.Connected](t, a)
			takeEvents(t, a, 3, 3)
			take[*client.Disconnected](t, a)
			take[*client.Connected](t, a)
			takeEvents(t, a, 4, 5)
			checkState(t, a, 5)
		})
	}
}

// An answer to the login that does not match the request is not accepted, and the client tries
// again.
func TestAnswersToTheLoginAreChecked(t *testing.T) {
	for name, wrong := range map[string]func(*papertapev1.LoginReply){
		"another mode":    func(r *papertapev1.LoginReply) { r.Mode = papertapev1.ResumeMode_RESUME_MODE_QUICK },
		"another epoch":   func(r *papertapev1.LoginReply) { r.Epoch++ },
		"no epoch":        func(r *papertapev1.LoginReply) { r.Epoch = 0 },
		"behind":          func(r *papertapev1.LoginReply) { r.HeadSeq-- },
		"another account": func(r *papertapev1.LoginReply) { r.Account++ },
		"another's holdings": func(r *papertapev1.LoginReply) {
			s := book(3)
			s.Account++
			r.Mode, r.Holdings = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, holdingsOf(s)
		},
		"no holdings": func(r *papertapev1.LoginReply) { r.Mode = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT },
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.logInWithSnapshot(3)
			}, func(p *peer) {
				id, _ := p.greet()
				r := &papertapev1.LoginReply{Account: account, HeadSeq: 3, OldestSeq: 1, Epoch: epoch,
					Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME}
				wrong(r)
				p.send(loggedIn(id, r))
				p.waitClosed()
			}, func(p *peer) {
				p.logInResumed(3, 4)
				p.sendBookHoldings(4)
				p.waitClosed()
			})
			a := open(t, addr, nil)
			take[*client.Connected](t, a)
			take[*client.Disconnected](t, a)
			var broken *client.ProtocolError
			if d := take[*client.Disconnected](t, a); d.Attempt != 1 || !errors.As(d.Err, &broken) {
				t.Errorf("Disconnected says %+v", d)
			}
			if c := take[*client.Connected](t, a); !c.Resumed || c.Attempts != 2 {
				t.Errorf("Connected says %+v", c)
			}
			takeEvents(t, a, 4, 4)
		})
	}
}

// Even with Wait, Open does not wait for a server of another protocol.
func TestStranger(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		p.waitClosed()
	})
	var broken *client.ProtocolError
	_, err := client.Open(patience(t), addr, accountOptions(func(o *client.AccountOptions) { o.Wait = true }))
	if !errors.As(err, &broken) {
		t.Errorf("Open reports %v", err)
	}
}

// A link that is silently cut is noticed by its silence.
func TestSilentServerIsLeft(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(10))
		id := p.expect(codec.TypeLogin).ID
		p.send(loggedIn(id, bookSnapshot(1, epoch)))
		p.waitClosed() // the server sends nothing more
	}, func(p *peer) {
		p.logInResumed(1, 2)
		p.sendBookHoldings(2)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	if d := take[*client.Disconnected](t, a); !strings.Contains(d.Err.Error(), "the connection is dead") {
		t.Errorf("the connection ended with %v", d.Err)
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 2)
}
