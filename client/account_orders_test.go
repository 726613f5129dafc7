package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

func anOrder(id string) client.Order {
	return client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100, LimitPrice: 9_0000,
		ClientOrderID: id}
}

// An order without an id is given a unique one, and the caller's order is not modified.
func TestOrdersGetIDs(t *testing.T) {
	orders := make(chan *papertapev1.Order, 3)
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		for seq := range uint64(3) {
			orders <- p.executeOrder(2+seq, 0)
		}
		p.waitClosed()
	})
	a := open(t, addr, nil)
	unnamed := anOrder("")
	for _, o := range []client.Order{unnamed, unnamed, anOrder("mine")} {
		if _, err := a.Order(patience(t), o); err != nil {
			t.Fatal(err)
		}
	}
	if unnamed.ClientOrderID != "" {
		t.Error("the caller's order was changed")
	}
	first, second, third := <-orders, <-orders, <-orders
	if first.GetClientOrderId() == "" || first.GetClientOrderId() == second.GetClientOrderId() ||
		len(first.GetClientOrderId()) > 64 {
		t.Errorf("the ids are %q and %q", first.GetClientOrderId(), second.GetClientOrderId())
	}
	if want := client.OrderMessage(anOrder("mine")).String(); third.String() != want {
		t.Errorf("the server was told %v: expected %v", third, want)
	}
	first.ClientOrderId = "mine"
	if want := client.OrderMessage(anOrder("mine")).String(); first.String() != want {
		t.Errorf("but for its id the server was told %v: expected %v", first, want)
	}
	takeUntil[*client.Event](t, a)
}

// The connection breaks while an order is under way. The order is sent again unchanged, and its
// first execution is the answer.
func TestOrderIsSentAgain(t *testing.T) {
	orders := make(chan *papertapev1.Order, 2)
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		_, o := p.order()
		orders <- o
	}, func(p *peer) {
		p.acceptResume(1, 2) // it was executed, as seq 2
		p.push(2, codec.FlagReplay)
		for range 2 { // the two requests may come in either order
			switch f := p.receive(); f.Type {
			case codec.TypeHoldings:
				p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, holdingsOf(book(2))))
			case codec.TypeOrder:
				o := new(papertapev1.Order)
				p.unmarshal(f, o)
				orders <- o
				p.send(codec.Append(nil, codec.TypeExecution, codec.FlagReply|codec.FlagReplay, f.ID, bookEvent(2)))
			default:
				t.Errorf("the client sent %v", f.Type)
			}
		}
		p.push(3, 0)
		p.waitClosed()
	})
	a := open(t, addr, nil)
	ev, err := a.Order(patience(t), anOrder(""))
	if err != nil || ev.Seq != 2 || !ev.Replay || !ev.Execution {
		t.Errorf("execution %v, error %v", ev, err)
	}
	if first, second := <-orders, <-orders; first.GetClientOrderId() == "" || first.String() != second.String() {
		t.Errorf("sent %v and then %v", first, second)
	}
	take[*client.Connected](t, a)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 3)
	checkState(t, a, 3)
}

// An id counts as forgotten by the events since the order was sent, not since the connection
// began.
func TestOrderSentAgainAfterALongConnection(t *testing.T) {
	const n = 3000
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(0)
		for seq := uint64(1); seq <= n; seq++ {
			p.send(event(seq, 0))
		}
		p.order()
	}, func(p *peer) {
		p.acceptResume(n, n)
		s := book(0)
		s.Seq = n
		for f := p.receive(); f.Type != 0; f = p.receive() {
			switch f.Type {
			case codec.TypeHoldings:
				p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, holdingsOf(s)))
			case codec.TypeOrder:
				p.send(execution(f.ID, n+1, 0))
			}
		}
	})
	a := open(t, addr, nil)
	take[*client.Connected](t, a)
	takeEvents(t, a, 1, n)
	if ev, err := a.Order(patience(t), anOrder("")); err != nil || ev.Seq != n+1 {
		t.Errorf("execution %v, error %v", ev, err)
	}
}

// The connection breaks after the answer came: nothing is sent again, and the order has its
// answer.
func TestAnswerThatCameIsTheAnswer(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.executeOrder(2, 0)
	}, func(p *peer) {
		p.logInResumed(2, 2)
		p.sendBookHoldings(2)
		if f := p.receive(); f.Type == codec.TypeOrder {
			t.Error("the order was sent again")
		}
	})
	a := open(t, addr, nil)
	if ev, err := a.Order(patience(t), anOrder("")); err != nil || ev.Seq != 2 {
		t.Errorf("execution %v, error %v", ev, err)
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 2, 2)
	take[*client.Disconnected](t, a)
	take[*client.Connected](t, a)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// Orders that cannot be repeated safely are not sent again: the error says that the outcome is
// unknown.
func TestOutcomeUnknown(t *testing.T) {
	const sentAt = 5
	later := func(head, oldest, epoch uint64) func(*peer) {
		return func(p *peer) {
			id, _ := p.greet()
			r := bookSnapshot(sentAt, epoch)
			r.HeadSeq, r.Holdings.AsOfSeq, r.OldestSeq = head, head, oldest
			s := book(sentAt)
			s.Seq = head
			r.Holdings.StateHash = s.Hash()
			p.send(loggedIn(id, r))
			p.send(pong(p.expect(codec.TypePing).ID, head)) // no order comes before it
			p.waitClosed()
		}
	}
	for name, test := range map[string]struct {
		then      func(*peer)
		noOrderID bool
		why       string
	}{
		"new epoch":              {later(sentAt, 1, epoch+1), false, "new history"},
		"events dropped":         {later(sentAt+9, sentAt+3, epoch), false, "keeps events from seq 8"},
		"too long ago":           {later(sentAt+2049, 1, epoch), false, "may be forgotten"},
		"order without an id":    {later(sentAt, 1, epoch), true, "the connection broke"},
		"server that is no more": {nil, false, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			scripts := []func(*peer){func(p *peer) {
				p.logInWithSnapshot(sentAt)
				p.order()
			}}
			ctx := patience(t)
			if test.then != nil {
				scripts = append(scripts, test.then)
			} else {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				scripts[0] = func(p *peer) {
					p.logInWithSnapshot(sentAt)
					p.order()
					<-ctx.Done()
				}
			}
			a := open(t, serve(t, scripts...), func(o *client.AccountOptions) { o.NoOrderID = test.noOrderID })
			_, err := a.Order(ctx, anOrder(""))
			var unknown *client.OutcomeUnknownError
			if !errors.Is(err, client.ErrOutcomeUnknown) || !errors.As(err, &unknown) ||
				(unknown.ClientOrderID == "") != test.noOrderID ||
				!strings.Contains(err.Error(), test.why) {
				t.Errorf("the order reports %v", err)
			}
			if test.noOrderID != errors.Is(err, client.ErrDisconnected) {
				t.Errorf("the order reports %v", err)
			}
			if test.then != nil {
				take[*client.Connected](t, a)
				take[*client.Disconnected](t, a)
				take[*client.Connected](t, a)
				if err := a.Ping(patience(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A refusal for overload says nothing about an order that was sent before: it is sent again.
// Any refusal that the server decided after looking up the id is the answer.
func TestRefusalsOfAnOrderSentAgain(t *testing.T) {
	refusal := func(code client.RejectCode) []byte {
		return codec.AppendReject(nil, 0, papertapev1.RejectCode(code), "not now", time.Millisecond)
	}
	for name, test := range map[string]struct {
		refusals []client.RejectCode
		executed bool
		refused  client.RejectCode
		unknown  bool
	}{
		"busy, then executed": {[]client.RejectCode{client.Busy, client.RateLimited, client.Draining}, true,
			0, false},
		"busy, then refused": {[]client.RejectCode{client.Busy, client.InsufficientCash}, false,
			client.InsufficientCash, false},
		"read only says nothing of it": {[]client.RejectCode{client.ReadOnly}, false, 0, true},
		"a failure says nothing of it": {[]client.RejectCode{client.Internal}, false, 0, true},
		"not marketable is its outcome": {[]client.RejectCode{client.LimitNotMarketable}, false,
			client.LimitNotMarketable, false},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.logInWithSnapshot(1)
				p.order()
			}, func(p *peer) {
				p.acceptResume(1, 1)
				refusals := test.refusals
				for f := p.receive(); f.Type != 0; f = p.receive() {
					switch {
					case f.Type == codec.TypeHoldings:
						p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, holdingsOf(book(1))))
					case f.Type == codec.TypeOrder && len(refusals) > 0:
						frame := refusal(refusals[0])
						codec.PutHeader(frame, codec.TypeReject, codec.FlagReply, f.ID)
						p.send(frame)
						refusals = refusals[1:]
					case f.Type == codec.TypeOrder && test.executed:
						p.send(codec.Append(nil, codec.TypeExecution, codec.FlagReply, f.ID, bookEvent(2)))
					default:
						t.Errorf("the client sent %v", f.Type)
					}
				}
			})
			a := open(t, addr, nil)
			ev, err := a.Order(patience(t), anOrder(""))
			var r *client.Reject
			switch {
			case test.executed:
				if err != nil || ev.Seq != 2 {
					t.Errorf("execution %v, error %v", ev, err)
				}
			case test.unknown != errors.Is(err, client.ErrOutcomeUnknown) || !errors.As(err, &r) ||
				!test.unknown && r.Code != test.refused:
				t.Errorf("the order reports %v", err)
			}
		})
	}
}

// An order that is sent again and again ends with its context or with the account. Its outcome
// is then unknown.
func TestOrderSentAgainIsGivenUp(t *testing.T) {
	busy := make(chan struct{}, 1)
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.order()
		p.order()
	}, func(p *peer) {
		p.acceptResume(1, 1)
		for f := p.receive(); f.Type != 0; f = p.receive() {
			if f.Type == codec.TypeHoldings {
				p.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, holdingsOf(book(1))))
				continue
			}
			p.send(codec.AppendReject(nil, f.ID, papertapev1.RejectCode(client.Busy), "later", time.Hour))
			busy <- struct{}{}
		}
	})
	a := open(t, addr, nil)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() { _, err := a.Sell(ctx, "SZ", "000001", 1); errs <- err }()
	go func() { _, err := a.Sell(t.Context(), "SZ", "000001", 1); errs <- err }()
	<-busy
	<-busy
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("the order reports %v", err)
	}
	closeTwice(t, a)
	if err := <-errs; !errors.Is(err, client.ErrClosed) || !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("the order reports %v", err)
	}
}

// The answer to an order that was sent once is its outcome, even BUSY.
func TestFirstRefusalIsTheAnswer(t *testing.T) {
	codes := []client.RejectCode{client.Busy, client.RateLimited, client.Draining, client.ReadOnly, client.Internal,
		client.InsufficientShares}
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		for _, code := range codes {
			f, _ := p.order()
			p.send(reject(f.ID, codec.FlagReply, code, "no"))
		}
		p.waitClosed()
	})
	a := open(t, addr, nil)
	for _, code := range codes {
		_, err := a.Order(patience(t), anOrder(""))
		var r *client.Reject
		if !errors.As(err, &r) || r.Code != code || errors.Is(err, client.ErrOutcomeUnknown) {
			t.Errorf("%v: the order reports %v", code, err)
		}
	}
}

// While there is no connection an order waits. If its context ends first, the order was
// certainly not sent.
func TestOrderWaitsForAConnection(t *testing.T) {
	down, up := make(chan struct{}), make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
	}, func(p *peer) {
		close(down)
		<-up
		p.logInResumed(1, 1)
		f := p.sendBookHoldingsAnd(1, codec.TypeOrder)
		p.send(codec.Append(nil, codec.TypeExecution, codec.FlagReply, f.ID, bookEvent(2)))
		p.waitClosed()
	})
	a := open(t, addr, nil)
	within(t, down)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Order(short, anOrder("")); !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("the order reports %v", err)
	}
	close(up)
	if ev, err := a.Order(patience(t), anOrder("")); err != nil || ev.Seq != 2 {
		t.Errorf("execution %v, error %v", ev, err)
	}
}

// Queries under way when the connection breaks fail with ErrDisconnected.
func TestQueriesUnderWayFail(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.expect(codec.TypeHistory)
	}, func(p *peer) {
		p.logInResumed(1, 1)
		p.sendBookHoldingsAnd(1, codec.TypeInstruments)
	}, func(p *peer) {
		p.logInResumed(1, 1)
		p.send(pong(p.sendBookHoldingsAnd(1, codec.TypePing).ID, 1))
		p.waitClosed()
	})
	a := open(t, addr, nil)
	if _, err := a.History(patience(t), 0, 10); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("History reports %v", err)
	}
	takeSecond := func() { takeUntil[*client.Connected](t, a) }
	takeSecond()
	takeSecond()
	if _, err := a.Instruments(patience(t)); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("Instruments reports %v", err)
	}
	takeSecond()
	for {
		// The first ping may find the connection that has just broken.
		if err := a.Ping(patience(t)); err == nil {
			break
		} else if !errors.Is(err, client.ErrDisconnected) {
			t.Fatalf("Ping reports %v", err)
		}
	}
}
