package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

func TestDialLogsIn(t *testing.T) {
	logins := make(chan *papertapev1.Login, 1)
	addr := serve(t, func(p *peer) {
		logins <- p.hello(5)
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{Name: "test 1", Mode: client.ModeResume, Epoch: 98, LastSeq: 3})
	l := <-logins
	if l.GetAccount() != account || l.GetClient() != "test 1" ||
		l.GetMode() != papertapev1.ResumeMode_RESUME_MODE_RESUME || l.GetEpoch() != 98 || l.GetLastSeq() != 3 {
		t.Errorf("the login said %v", l)
	}
	if c.Welcome().UID != 7 || c.LoginReply().HeadSeq != 5 {
		t.Errorf("welcome %v, login %v", c.Welcome(), c.LoginReply())
	}
	if err := c.Err(); err != nil {
		t.Errorf("a client that runs has ended: %v", err)
	}
}

// It makes no difference whether frames come byte by byte or all at once.
func TestFramesHoweverTheyCome(t *testing.T) {
	for name, chunk := range map[string]int{"byte by byte": 1, "glued": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.hello(0)
				var all []byte
				for seq := range uint64(300) {
					all = append(all, event(seq+1, 0)...)
				}
				for b := range slices.Chunk(all, chunk) {
					p.send(b)
				}
				p.waitClosed()
			})
			for i, ev := range next(t, dial(t, addr, client.Options{}), 300) {
				if ev.Seq != uint64(i+1) {
					t.Fatalf("event %d is seq %d", i+1, ev.Seq)
				}
			}
		})
	}
}

// Executions take their places among the events. That of a repeated order does not enter the
// stream.
func TestExecutionsInTheirPlace(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(10)
		p.send(event(11, 0))
		f := p.expect(codec.TypeOrder)
		p.send(event(12, 0), execution(f.ID, 13, 0), event(14, 0))
		f = p.expect(codec.TypeOrder)
		p.send(execution(f.ID, 13, codec.FlagReplay), event(15, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	once, err := c.Buy(patience(t), "SZ", "000001", 100)
	if err != nil || once.Seq != 13 || once.Replay {
		t.Fatalf("execution %v, error %v", once, err)
	}
	twice, err := c.Sell(patience(t), "SZ", "000001", 100)
	if err != nil || twice.Seq != 13 || !twice.Replay {
		t.Fatalf("execution %v, error %v", twice, err)
	}
	for i, ev := range next(t, c, 5) {
		want := uint64(11 + i)
		if ev.Seq != want || ev.Execution != (want == 13) || ev.Replay {
			t.Errorf("seq %d, execution %v, replay %v: expected seq %d", ev.Seq, ev.Execution, ev.Replay, want)
		}
	}
}

func TestOrderSaysWhatItIsTold(t *testing.T) {
	orders := make(chan *papertapev1.Order, 1)
	addr := serve(t, func(p *peer) {
		p.hello(0)
		f := p.expect(codec.TypeOrder)
		o := new(papertapev1.Order)
		p.unmarshal(f, o)
		orders <- o
		p.send(execution(f.ID, 1, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	want := client.Order{Side: client.Sell, Market: "SZ", Code: "000001", Quantity: 100, LimitPrice: 9_9800,
		ClientOrderID: "mine"}
	if _, err := c.Order(patience(t), want); err != nil {
		t.Fatal(err)
	}
	if o := <-orders; !proto.Equal(o, &papertapev1.Order{
		Side: papertapev1.Side_SIDE_SELL, Market: "SZ", Code: "000001", Quantity: 100, LimitPrice: 9_9800,
		ClientOrderId: "mine",
	}) {
		t.Errorf("the server was told %v: expected %+v", o, want)
	}
}

func TestQueries(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(1)
		f := p.expect(codec.TypeHoldings)
		p.send(event(2, 0), codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID,
			&papertapev1.Holdings{Account: account, AsOfSeq: 2}))
		f = p.expect(codec.TypeHistory)
		h := new(papertapev1.HistoryRequest)
		p.unmarshal(f, h)
		if h.GetBeforeSeq() != 9 || h.GetLimit() != 50 {
			t.Errorf("the history was asked for with %v", h)
		}
		p.send(codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, f.ID, &papertapev1.History{OldestSeq: 1}))
		f = p.expect(codec.TypeInstruments)
		i := new(papertapev1.InstrumentsRequest)
		p.unmarshal(f, i)
		p.send(codec.Append(nil, codec.TypeInstrumentsReply, codec.FlagReply, f.ID, &papertapev1.Instruments{
			Instruments: []*papertapev1.Instrument{{Code: strings.Join(i.GetCodes(), "+")}},
		}))
		f = p.expect(codec.TypePing)
		p.send(pong(f.ID, 2))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	ctx := patience(t)
	if h, err := c.Holdings(ctx); err != nil || h.AsOfSeq != 2 {
		t.Errorf("holdings %v, error %v", h, err)
	}
	if h, err := c.History(ctx, 9, 50); err != nil || h.OldestSeq != 1 {
		t.Errorf("history %v, error %v", h, err)
	}
	if l, err := c.Instruments(ctx, "SH.600519", "SZ.000001"); err != nil || len(l) != 1 ||
		l[0].Code != "SH.600519+SZ.000001" {
		t.Errorf("instruments %v, error %v", l, err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
}

// Answers are matched to requests by id, in whatever order they come.
func TestRequestsArePipelined(t *testing.T) {
	const n = 50
	addr := serve(t, func(p *peer) {
		p.hello(0)
		var ids []uint64
		for range n {
			f := p.expect(codec.TypeHistory)
			h := new(papertapev1.HistoryRequest)
			p.unmarshal(f, h)
			ids = append(ids, f.ID, h.GetBeforeSeq())
		}
		for i := len(ids) - 2; i >= 0; i -= 2 {
			p.send(codec.Append(nil, codec.TypeHistoryReply, codec.FlagReply, ids[i],
				&papertapev1.History{OldestSeq: ids[i+1]}))
		}
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	errs := make(chan error, n)
	for i := range uint64(n) {
		go func() {
			h, err := c.History(patience(t), i+1, 1)
			if err == nil && h.OldestSeq != i+1 {
				err = fmt.Errorf("request %d got the answer to request %d", i+1, h.OldestSeq)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestRejectOfARequestLeavesTheClient(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.send(reject(p.expect(codec.TypeOrder).ID, codec.FlagReply, client.InsufficientShares,
			"account 100017 holds 200"))
		p.send(execution(p.expect(codec.TypeOrder).ID, 1, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	_, err := c.Sell(patience(t), "SZ", "000001", 500)
	var r *client.Reject
	if !errors.As(err, &r) || r.Code != client.InsufficientShares || r.Text != "account 100017 holds 200" ||
		r.RetryAfter != 20*time.Millisecond {
		t.Fatalf("got %v", err)
	}
	if want := "refused, INSUFFICIENT_SHARES: account 100017 holds 200"; err.Error() != want {
		t.Errorf("the error says %q: expected %q", err, want)
	}
	if _, err := c.Buy(patience(t), "SZ", "000001", 500); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestDialRefused(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(60_000))
		f := p.expect(codec.TypeLogin)
		p.send(ping(1, 0)) // may come before the answer
		p.expect(codec.TypePong)
		p.send(reject(f.ID, codec.FlagReply, client.UnknownAccount, "there is no account 100017"))
		p.waitClosed()
	}, func(p *peer) {
		p.send(welcome(60_000), goodbye(client.GoodbyeFull))
		p.waitClosed()
	}, func(p *peer) {
		p.send(welcome(60_000))
		p.expect(codec.TypeLogin)
	}, func(p *peer) {
		p.send(ping(1, 0))
		p.waitClosed()
	})
	var r *client.Reject
	if _, err := client.Dial(patience(t), addr, client.Options{Account: account}); !errors.As(err, &r) ||
		r.Code != client.UnknownAccount {
		t.Errorf("a refused login is %v", err)
	}
	var g *client.Goodbye
	if _, err := client.Dial(patience(t), addr, client.Options{Account: account}); !errors.As(err, &g) ||
		g.Reason != client.GoodbyeFull || g.RetryAfter != 1500*time.Millisecond {
		t.Errorf("a full server is %v", err)
	}
	if _, err := client.Dial(patience(t), addr, client.Options{Account: account}); !errors.Is(err, io.EOF) {
		t.Errorf("a connection closed instead of an answer is %v", err)
	}
	var broken *client.ProtocolError
	if _, err := client.Dial(patience(t), addr, client.Options{Account: account}); !errors.As(err, &broken) {
		t.Errorf("a server that does not begin with WELCOME is %v", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	reached := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.send(welcome(60_000))
		p.expect(codec.TypeLogin)
		close(reached)
		p.waitClosed()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := client.Dial(ctx, addr, client.Options{Account: account}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What came before the end is returned before the error. Calls under way get the same error.
func TestGoodbye(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.expect(codec.TypeOrder)
		p.send(event(1, 0), event(2, 0), reject(0, 0, client.Malformed, "bad"),
			goodbye(client.GoodbyeProtocol))
	})
	c := dial(t, addr, client.Options{})
	var g *client.Goodbye
	if _, err := c.Buy(patience(t), "SZ", "000001", 1); !errors.As(err, &g) {
		t.Errorf("the order got %v", err)
	}
	next(t, c, 2)
	err := ended(t, c)
	var r *client.Reject
	if !errors.As(err, &g) || g.Reason != client.GoodbyeProtocol || !errors.As(err, &r) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := c.Buy(patience(t), "SZ", "000001", 1); !errors.As(err, &g) {
		t.Errorf("an order after the end got %v", err)
	}
}

func TestSequenceIsChecked(t *testing.T) {
	holdings := func(id, asOf uint64) []byte {
		return codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, id,
			&papertapev1.Holdings{Account: account, AsOfSeq: asOf})
	}
	for name, test := range map[string]struct {
		frame     func(orderID uint64) []byte
		got       uint64
		repeat    bool
		elsewhere bool // a ProtocolError is expected
	}{
		"event left out":             {func(uint64) []byte { return event(13, 0) }, 13, false, false},
		"event repeated":             {func(uint64) []byte { return event(11, 0) }, 11, true, false},
		"event repeated with REPLAY": {func(uint64) []byte { return event(11, codec.FlagReplay) }, 11, true, false},
		"execution left out":         {func(id uint64) []byte { return execution(id, 14, 0) }, 14, false, false},
		"execution repeated":         {func(id uint64) []byte { return execution(id, 10, 0) }, 10, true, false},
		"ping ahead":                 {func(uint64) []byte { return ping(1, 12) }, 12, false, false},
		"ping behind":                {func(uint64) []byte { return ping(1, 10) }, 0, false, true},
		"holdings ahead":             {func(id uint64) []byte { return holdings(id, 12) }, 12, false, false},
		"another account": {func(uint64) []byte {
			return codec.Append(nil, codec.TypeEvent, 0, 0, &papertapev1.AccountEvent{Account: account + 1, Seq: 12})
		}, 0, false, true},
		"answer to nothing":    {func(uint64) []byte { return execution(999, 12, 0) }, 0, false, true},
		"answer of wrong type": {func(id uint64) []byte { return holdings(id, 11) }, 0, false, true},
		"answer without REPLY": {func(id uint64) []byte { return reject(id, 0, client.Busy, "later") }, 0, false, true},
		"second welcome":       {func(uint64) []byte { return welcome(1) }, 0, false, true},
		"does not parse": {func(uint64) []byte {
			return append(event(12, 0)[:16], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}, 0, false, true},
		"length out of range": {func(uint64) []byte { return []byte{0xff, 0, 0, 0} }, 0, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.hello(10)
				p.send(event(11, 0), test.frame(p.expect(codec.TypeOrder).ID))
				p.waitClosed()
			})
			c := dial(t, addr, client.Options{})
			_, orderErr := c.Buy(patience(t), "SZ", "000001", 1)
			next(t, c, 1)
			err := ended(t, c)
			if orderErr == nil || orderErr.Error() != err.Error() {
				t.Errorf("the order got %v and the stream %v: expected the same", orderErr, err)
			}
			var gap *client.GapError
			var broken *client.ProtocolError
			if test.elsewhere {
				if !errors.As(err, &broken) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.As(err, &gap) || !errors.Is(err, client.ErrGap) || gap.Last != 11 || gap.Got != test.got ||
				gap.Repeat() != test.repeat {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// Where the stream begins depends on the mode of the session.
func TestStreamBeginsWhereTheModeSays(t *testing.T) {
	for name, test := range map[string]struct {
		mode  client.ResumeMode
		reply *papertapev1.LoginReply
		first uint64
	}{
		"snapshot": {client.ModeSnapshot, snapshot(7), 8},
		"resume": {client.ModeResume, &papertapev1.LoginReply{Account: account, HeadSeq: 7, OldestSeq: 1,
			Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME}, 5},
		"resynced": {client.ModeResume, snapshot(7), 8},
		"restart": {client.ModeRestart, &papertapev1.LoginReply{Account: account, HeadSeq: 7, OldestSeq: 2,
			Mode: papertapev1.ResumeMode_RESUME_MODE_RESTART}, 2},
		"restart of nothing": {client.ModeRestart, &papertapev1.LoginReply{Account: account,
			Mode: papertapev1.ResumeMode_RESUME_MODE_RESTART}, 1},
		"quick": {client.ModeQuick, &papertapev1.LoginReply{Account: account, HeadSeq: 7, OldestSeq: 2,
			Mode: papertapev1.ResumeMode_RESUME_MODE_QUICK}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(p *peer) {
				p.send(welcome(60_000))
				p.send(loggedIn(p.expect(codec.TypeLogin).ID, test.reply))
				for seq := test.first; seq < 10; seq++ {
					flags := codec.Flags(0)
					if seq <= 7 {
						flags = codec.FlagReplay
					}
					p.send(event(seq, flags))
				}
				p.send(ping(3, 9))
				f := p.receive()
				for f.Type == codec.TypePong { // may come before or after the client's own ping
					f = p.receive()
				}
				p.send(pong(f.ID, 9))
				p.waitClosed()
			})
			c := dial(t, addr, client.Options{Mode: test.mode, Epoch: 99, LastSeq: 4})
			for i, ev := range next(t, c, int(10-test.first)) {
				if want := test.first + uint64(i); ev.Seq != want || ev.Replay != (want <= 7) {
					t.Errorf("seq %d, replay %v: expected seq %d", ev.Seq, ev.Replay, want)
				}
			}
			if err := c.Ping(patience(t)); err != nil {
				t.Errorf("after the events: %v", err)
			}
		})
	}
}

// During the replay that the login announced, the newest sequence is ahead of the stream, and
// that is no gap.
func TestPingDuringReplay(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(60_000))
		p.send(loggedIn(p.expect(codec.TypeLogin).ID, &papertapev1.LoginReply{
			Account: account, HeadSeq: 3, OldestSeq: 1, Mode: papertapev1.ResumeMode_RESUME_MODE_RESTART,
		}))
		p.send(event(1, codec.FlagReplay), ping(1, 4), event(2, codec.FlagReplay), event(3, codec.FlagReplay),
			event(4, 0), ping(2, 5))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{Mode: client.ModeRestart})
	next(t, c, 4)
	var gap *client.GapError
	if err := ended(t, c); !errors.As(err, &gap) || gap.Last != 4 || gap.Got != 5 || gap.Where != "PING" {
		t.Errorf("got %v", err)
	}
}

// The client pings after a heartbeat interval without sending, and answers the server's pings.
func TestHeartbeat(t *testing.T) {
	answered := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.send(welcome(150))
		p.send(loggedIn(p.expect(codec.TypeLogin).ID, snapshot(0)))
		for range 3 {
			f := p.expect(codec.TypePing)
			if f.ID == 0 {
				t.Error("a ping without an id")
			}
			p.send(pong(f.ID, 0))
		}
		p.send(ping(77, 0))
		if f := p.expect(codec.TypePong); f.ID != 77 || f.Flags != codec.FlagReply {
			t.Errorf("ping 77 was answered with id %d and flags %d", f.ID, f.Flags)
		}
		close(answered)
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	select {
	case <-answered:
	case <-patience(t).Done():
		t.Fatalf("no answer; the client: %v", c.Err())
	}
}

// A PONG that reports a newer sequence reveals missing events even if nothing follows them.
func TestPongShowsALoss(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(150))
		p.send(loggedIn(p.expect(codec.TypeLogin).ID, snapshot(4)))
		p.send(pong(p.expect(codec.TypePing).ID, 6))
		p.waitClosed()
	})
	var gap *client.GapError
	if err := ended(t, dial(t, addr, client.Options{})); !errors.As(err, &gap) || gap.Where != "PONG" ||
		gap.Last != 4 || gap.Got != 6 {
		t.Errorf("got %v", err)
	}
}

func TestSilentServerIsDead(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.send(welcome(10))
		p.send(loggedIn(p.expect(codec.TypeLogin).ID, snapshot(0)))
		p.waitClosed()
	})
	if err := ended(t, dial(t, addr, client.Options{})); !strings.Contains(err.Error(), "the connection is dead") {
		t.Errorf("got %v", err)
	}
}

// A caller who takes events slowly does not mistake the server for dead, and loses nothing.
func TestSlowCallerLosesNothing(t *testing.T) {
	const n, heartbeatMs = 5000, 50 // far more events than are buffered
	addr := serve(t, func(p *peer) {
		p.send(welcome(heartbeatMs))
		p.send(loggedIn(p.expect(codec.TypeLogin).ID, snapshot(0)))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for seq := range uint64(n) {
				p.send(event(seq+1, 0))
			}
		}()
		p.waitClosed() // pings go unanswered here, as the client has not read that far
		<-sent
	})
	c := dial(t, addr, client.Options{})
	time.Sleep(4 * heartbeatMs * time.Millisecond) // a server silent for so long counts as dead
	for i, ev := range next(t, c, n) {
		if ev.Seq != uint64(i+1) {
			t.Fatalf("event %d is seq %d", i+1, ev.Seq)
		}
	}
}

func TestCutConnection(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.send(event(1, 0), event(2, 0)[:20])
		p.expect(codec.TypeOrder)
	})
	c := dial(t, addr, client.Options{})
	if _, err := c.Buy(patience(t), "SZ", "000001", 1); err == nil {
		t.Error("an order over a cut connection has no error")
	}
	next(t, c, 1)
	if err := ended(t, c); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// A call that was given up still gets its answer: the execution is in the stream, and the next
// call is not confused by it.
func TestCallEndsWithItsContext(t *testing.T) {
	asked, gaveUp := make(chan struct{}), make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.hello(0)
		f := p.expect(codec.TypeOrder)
		close(asked)
		<-gaveUp
		p.send(execution(f.ID, 1, 0))
		p.send(execution(p.expect(codec.TypeOrder).ID, 2, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.Buy(ctx, "SZ", "000001", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(gaveUp)
	if ev, err := c.Buy(patience(t), "SZ", "000001", 1); err != nil || ev.Seq != 2 {
		t.Errorf("execution %v, error %v", ev, err)
	}
	next(t, c, 2)
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a context that has ended: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	errs := make(chan error, 2)
	go func() { _, err := c.Next(patience(t)); errs <- err }()
	go func() { _, err := c.Buy(patience(t), "SZ", "000001", 1); errs <- err }()
	_ = c.Close()
	_ = c.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if !errors.Is(c.Err(), client.ErrClosed) {
		t.Errorf("the client ended with %v", c.Err())
	}
}

// With DiscardEvents, answers come although nobody calls Next, and a gap still ends the client.
func TestDiscardEvents(t *testing.T) {
	const n = 5000
	addr := serve(t, func(p *peer) {
		p.hello(0)
		for seq := range uint64(n) {
			p.send(event(seq+1, 0))
		}
		p.send(execution(p.expect(codec.TypeOrder).ID, n+1, 0))
		p.expect(codec.TypeHoldings)
		p.send(event(n+3, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{DiscardEvents: true})
	if ev, err := c.Buy(patience(t), "SZ", "000001", 1); err != nil || ev.Seq != n+1 {
		t.Errorf("execution %v, error %v", ev, err)
	}
	if _, err := c.Holdings(patience(t)); !errors.Is(err, client.ErrGap) {
		t.Errorf("got %v", err)
	}
}

// A frame that the server would answer with GOODBYE is not sent.
func TestTooLargeARequestIsNotSent(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.send(pong(p.expect(codec.TypePing).ID, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	if _, err := c.Instruments(patience(t), strings.Repeat("x", codec.LimitAfterLogin)); err == nil {
		t.Error("a frame over the server's limit was sent")
	}
	if err := c.Ping(patience(t)); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestTooManyRequestsUnderWay(t *testing.T) {
	const most = 4096
	received := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.hello(0)
		for range most {
			p.expect(codec.TypeHoldings)
		}
		close(received)
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	errs := make(chan error, most)
	for range most {
		go func() { _, err := c.Holdings(t.Context()); errs <- err }()
	}
	<-received
	if _, err := c.Holdings(patience(t)); !errors.Is(err, client.ErrInFlight) {
		t.Errorf("got %v", err)
	}
	_ = c.Close()
	for range most {
		if err := <-errs; !errors.Is(err, client.ErrClosed) {
			t.Fatalf("a request under way got %v", err)
		}
	}
}

func TestOwnDial(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.waitClosed()
	})
	var mine net.Conn
	c := dial(t, "somewhere", client.Options{Dial: func(
		ctx context.Context, network, address string,
	) (net.Conn, error) {
		if network != "tcp" || address != "somewhere" {
			t.Errorf("asked for %s %s", network, address)
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		mine = conn
		return conn, err
	}})
	_ = mine.Close()
	if err := ended(t, c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// brokenPipe is a connection on which writes start to fail, and which returns what it has read
// only after a write has failed.
type brokenPipe struct {
	net.Conn
	broken atomic.Bool
	failed chan struct{}
	once   sync.Once
}

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.broken.Load() {
		b.once.Do(func() { close(b.failed) })
		return 0, syscall.EPIPE
	}
	return b.Conn.Write(p)
}

func (b *brokenPipe) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.broken.Load() {
		<-b.failed
	}
	return n, err
}

// TestLastWords: the server answers, says GOODBYE and closes, and the client notices that by a
// failed write. It gets the answer and the reason nevertheless.
func TestLastWords(t *testing.T) {
	pipe, answer := &brokenPipe{failed: make(chan struct{})}, make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.hello(0)
		f := p.expect(codec.TypeOrder)
		<-answer
		p.send(execution(f.ID, 1, 0), goodbye(client.GoodbyeKicked))
	})
	c := dial(t, addr, client.Options{Dial: func(
		ctx context.Context, network, address string,
	) (conn net.Conn, err error) {
		pipe.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return pipe, err
	}})
	first := make(chan error, 1)
	go func() {
		_, err := c.Buy(patience(t), "SZ", "000001", 100)
		first <- err
	}()
	answer <- struct{}{} // the server has the order
	pipe.broken.Store(true)
	_, err := c.Buy(patience(t), "SZ", "000001", 100)
	var bye *client.Goodbye
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeKicked {
		t.Errorf("the second order: %v, want GOODBYE KICKED", err)
	}
	if err := <-first; err != nil {
		t.Errorf("the first order: %v, want its execution", err)
	}
}
