package client_test

import (
	"context"
	"errors"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

func quotes(prices ...int64) []byte {
	q := new(papertapev1.Quotes)
	for i, price := range prices {
		q.Quotes = append(q.Quotes, &papertapev1.Quote{Market: "SZ",
			Code: []string{"300750", "000001", "000333"}[i%3], Price: price})
	}
	return codec.Append(nil, codec.TypeQuotes, 0, 0, q)
}

func presence(uid uint64, online bool) []byte {
	return codec.Append(nil, codec.TypePresence, 0, 0, &papertapev1.Presence{Account: account, Uid: uid,
		Online: online, Sessions: 2})
}

// On one connection NextUpdate returns quotes and presence, and Next only events.
func TestClientSubscribes(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.acceptSubscription(true, true)
		p.send(quotes(7), event(1, 0), presence(4, true))
		p.send(pong(p.expect(codec.TypePing).ID, 1))
		p.acceptSubscription(false, false)
		p.send(event(2, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	if err := c.Subscribe(patience(t), client.TopicQuotes, client.TopicPresence); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(patience(t), client.Topic(9)); err == nil {
		t.Error("there is no topic 9, and no error either")
	}
	if err := c.Ping(patience(t)); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for range 3 {
		u, err := c.NextUpdate(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		switch u := u.(type) {
		case *client.Event:
			seen["event"] += int(u.Seq)
		case *client.Quotes:
			seen["quotes"] += int(u.Quotes[0].Price)
		case *client.Presence:
			seen["presence"] += int(u.UID)
		}
	}
	if seen["event"] != 1 || seen["quotes"] != 7 || seen["presence"] != 4 {
		t.Errorf("seen %v", seen)
	}
	if err := c.Subscribe(patience(t)); err != nil {
		t.Fatal(err)
	}
	next(t, c, 1)
	if u, err := c.NextUpdate(cancelled(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v, %v", u, err)
	}
}

// What came before the end of a client is returned before the error.
func TestUpdatesBeforeTheEnd(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.hello(0)
		p.acceptSubscription(true, false)
		p.send(quotes(7), event(1, 0), sendAway(client.GoodbyeShutdown, 0))
		p.waitClosed()
	})
	c := dial(t, addr, client.Options{})
	if err := c.Subscribe(patience(t), client.TopicQuotes); err != nil {
		t.Fatal(err)
	}
	for c.Err() == nil {
		_ = c.Ping(patience(t)) // returns when the client has ended
	}
	for range 2 {
		if _, err := c.NextUpdate(patience(t)); err != nil {
			t.Fatal(err)
		}
	}
	var bye *client.Goodbye
	if u, err := c.NextUpdate(patience(t)); !errors.As(err, &bye) {
		t.Errorf("NextUpdate returned %v, %v", u, err)
	}
}

// A slow caller gets the latest price of each instrument, the latest state of each session, and
// every event.
func TestPushesAreConflated(t *testing.T) {
	const n = 2000
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(0)
		p.acceptSubscription(true, true)
		for i := range int64(n) {
			p.send(quotes(i, 2*i, 3*i), presence(1, i%2 == 0), presence(2, i%2 == 1))
			if i < 500 {
				p.send(event(uint64(i+1), 0))
			}
		}
		p.send(pong(p.expect(codec.TypePing).ID, 500))
		p.waitClosed()
	})
	a := open(t, addr, func(o *client.AccountOptions) {
		o.Subscribe = []client.Topic{client.TopicPresence, client.TopicQuotes}
	})
	if err := a.Ping(patience(t)); err != nil {
		t.Fatal(err)
	}
	events, online := 0, make(map[uint64]bool)
	var last *client.Quotes
	for events < 500 || len(online) < 2 || last == nil {
		u, err := a.Next(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		switch u := u.(type) {
		case *client.Event:
			events++
		case *client.Presence:
			if _, again := online[u.UID]; again {
				t.Error("more than the latest state of a session")
			}
			online[u.UID] = u.Online
		case *client.Quotes:
			if last != nil {
				t.Error("more than the latest quotes")
			}
			last = u
		}
	}
	if online[1] || !online[2] {
		t.Errorf("online: %v", online)
	}
	for i, want := range []struct {
		code  string
		price client.Money
	}{{"000001", 2}, {"000333", 3}, {"300750", 1}} {
		if q := last.Quotes[i]; q.Code != want.code || q.Price != want.price*(n-1) {
			t.Errorf("quote %d is %v", i, q)
		}
	}
}

// Subscriptions persist across connections, as they were last set.
func TestSubscriptionsAreKept(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.acceptSubscription(true, false)
		p.send(quotes(1))
		p.acceptSubscription(false, true)
		p.send(presence(3, true))
	}, func(p *peer) {
		p.logInResumed(1, 1)
		p.acceptSubscription(false, true)
		p.sendBookHoldings(1)
	}, func(p *peer) {
		p.logInResumed(1, 1)
		p.answerUntil(1, func(m *papertapev1.Subscribe) bool { return !m.GetQuotes() && !m.GetPresence() })
	}, func(p *peer) {
		p.logInResumed(1, 1)
		p.sendBookHoldings(1)
		p.waitClosed()
	})
	a := open(t, addr, func(o *client.AccountOptions) { o.Subscribe = []client.Topic{client.TopicQuotes} })
	takeUntil[*client.Quotes](t, a)
	if err := a.Subscribe(patience(t), client.TopicPresence); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		takeUntil[*client.Disconnected](t, a)
		takeUntil[*client.Connected](t, a)
	}
	if err := a.Subscribe(patience(t)); err != nil {
		t.Fatal(err)
	}
	takeUntil[*client.Disconnected](t, a)
	takeUntil[*client.Connected](t, a)
	if err := a.Subscribe(patience(t), client.Topic(9)); err == nil {
		t.Error("there is no topic 9, and no error either")
	}
	o := accountOptions(func(o *client.AccountOptions) { o.Subscribe = []client.Topic{0} })
	if _, err := client.Open(patience(t), addr, o); err == nil {
		t.Error("there is no topic 0, and no error either")
	}
}

// A subscription under way when the connection breaks is made on the next one.
func TestSubscriptionUnderWay(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(1)
		p.expect(codec.TypeSubscribe)
	}, func(p *peer) {
		p.acceptResume(1, 1)
		p.answerUntil(1, func(m *papertapev1.Subscribe) bool {
			if !m.GetQuotes() || m.GetPresence() {
				t.Errorf("subscribed to %v", m)
			}
			return false
		})
	})
	a := open(t, addr, nil)
	if err := a.Subscribe(patience(t), client.TopicQuotes); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Subscribe(patience(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
