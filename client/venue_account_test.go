package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/engine/simulator"
)

const venueAccount = simulator.FirstAccount + 99

func openAt(t *testing.T, l *link, change func(*client.AccountOptions)) *client.Account {
	return open(t, l.addr(), func(o *client.AccountOptions) {
		o.Account = venueAccount
		if change != nil {
			change(o)
		}
	})
}

// The connection is cut again and again, by RST and in the middle of a frame, under a flow of
// trades. Every event comes once, in order, and the state is the server's.
func TestCutAgainAndAgain(t *testing.T) {
	v := startVenue(t, nil)
	l := startLink(t, v.addr)
	a := openAt(t, l, nil)
	last := a.State().Seq
	take[*client.Connected](t, a)
	for cuts := range 40 {
		for range rand.IntN(20) {
			v.trade(venueAccount) // so that there is something to wait for
			if ev, ok := nextOf(t, a).(*client.Event); ok {
				last = follows(t, ev, last)
			}
		}
		if cuts%2 == 0 {
			l.cut()
		} else {
			l.cutAfter(rand.IntN(2000))
		}
		for back := false; !back; {
			v.trade(venueAccount)
			switch u := nextOf(t, a).(type) {
			case *client.Event:
				last = follows(t, u, last)
			case *client.Connected:
				if back = true; !u.Resumed || u.Resynced {
					t.Fatalf("Connected says %+v", u)
				}
			}
		}
	}
	v.catchUp(t, a, venueAccount)
	if err := a.Verify(patience(t)); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func nextOf(t *testing.T, a *client.Account) client.Update {
	t.Helper()
	u, err := a.Next(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func follows(t *testing.T, ev *client.Event, last uint64) uint64 {
	t.Helper()
	if ev.Seq != last+1 {
		t.Fatalf("seq %d came: expected %d", ev.Seq, last+1)
	}
	return last + 1
}

// Orders come from many goroutines over a link that is constantly cut. Each is executed once.
func TestOrdersExecuteOnce(t *testing.T) {
	const traders, cuts = 8, 30
	v := startVenue(t, nil)
	l := startLink(t, v.addr)
	a := openAt(t, l, nil)
	before := v.serverAccount(t, venueAccount).Seq

	var trading sync.WaitGroup
	enough := make(chan struct{})
	stop := sync.OnceFunc(func() { close(enough); trading.Wait() })
	defer stop()
	var mu sync.Mutex
	executed := make(map[string]*client.Event) // under mu: by order id
	for range traders {
		trading.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				ev, err := a.Buy(patience(t), "SZ", "000001", 1)
				if err != nil {
					t.Errorf("an order reports %v", err)
					return
				}
				mu.Lock()
				if again := executed[ev.Trade.ClientOrderID]; again != nil {
					t.Errorf("%v and %v are executions of one order", again, ev)
				}
				executed[ev.Trade.ClientOrderID] = ev
				mu.Unlock()
			}
		})
	}
	events := make(map[string]uint64) // by order id
	taking := func(u client.Update) {
		if ev, ok := u.(*client.Event); ok {
			if again := events[ev.Trade.ClientOrderID]; again != 0 {
				t.Errorf("seq %d and %d are of one order", again, ev.Seq)
			}
			events[ev.Trade.ClientOrderID] = ev.Seq
		}
	}
	for cut := 0; cut < cuts; {
		u := nextOf(t, a)
		switch taking(u); u.(type) {
		case *client.Connected:
			l.cutAfter(rand.IntN(20_000))
		case *client.Disconnected:
			cut++
		case *client.Event:
			if rand.IntN(100) == 0 {
				l.cut()
			}
		}
	}
	finished := make(chan struct{})
	go func() { stop(); close(finished) }()
	for done := false; !done; {
		select {
		case <-finished:
			done = true
		default:
			soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if u, err := a.Next(soon); err == nil {
				taking(u)
			}
			cancel()
		}
	}
	for want := v.serverAccount(t, venueAccount).Seq; a.State().Seq < want; {
		taking(nextOf(t, a))
	}
	v.compare(t, a, venueAccount)
	if n := v.serverAccount(t, venueAccount).Seq - before; n != uint64(len(executed)) || len(events) != len(executed) {
		t.Errorf("%d orders are %d events, and %d of them came", len(executed), n, len(events))
	}
	for id, ev := range executed {
		if events[id] != ev.Seq {
			t.Errorf("order %s was executed as seq %d, and its event is seq %d", id, ev.Seq, events[id])
		}
	}
}

// A link silently stops forwarding in both directions. Three heartbeats later the account
// connects through another.
func TestStalledLink(t *testing.T) {
	v := startVenue(t, func(v *venue) { v.heartbeat = 100 * time.Millisecond })
	dead, alive := startLink(t, v.addr), startLink(t, v.addr)
	var dials atomic.Int32
	a := openAt(t, dead, func(o *client.AccountOptions) {
		o.Dial = dialTo(func() string {
			if dials.Add(1) == 1 {
				return dead.addr()
			}
			return alive.addr()
		})
	})
	take[*client.Connected](t, a)
	dead.hold()
	order := make(chan error, 1)
	go func() { _, err := a.Buy(patience(t), "SZ", "000001", 1); order <- err }()
	for range 10 {
		v.trade(venueAccount)
	}
	takeUntil[*client.Disconnected](t, a)
	if c := takeUntil[*client.Connected](t, a); !c.Resumed {
		t.Errorf("Connected says %+v", c)
	}
	if err := <-order; err != nil {
		t.Errorf("the order under way reports %v", err)
	}
	v.catchUp(t, a, venueAccount)
	dead.release()                                   // the stalled order arrives, as a repeat
	for err := client.ErrDisconnected; err != nil; { // a slow machine looks like a dead link too
		if err = a.Verify(patience(t)); err != nil && !errors.Is(err, client.ErrDisconnected) {
			t.Fatal(err)
		}
	}
	v.catchUp(t, a, venueAccount)
}

// After a restart with its history, the server is resumed from. After one with a new history,
// the state is replaced. Both times the server says goodbye.
func TestRestartedServer(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	v := startVenue(t, nil)
	l := startLink(t, v.addr)
	a := openAt(t, l, func(o *client.AccountOptions) { o.Subscribe = []client.Topic{client.TopicQuotes} })
	takeUntil[*client.Quotes](t, a)
	restart := func(again func() error) *client.Connected {
		t.Helper()
		v.trade(venueAccount)
		l.to("")
		if err := v.close(); err != nil {
			t.Fatal(err)
		}
		d := takeUntil[*client.Disconnected](t, a)
		var bye *client.Goodbye
		if !errors.As(d.Err, &bye) || bye.Reason != client.GoodbyeShutdown || d.Retry < bye.RetryAfter {
			t.Errorf("Disconnected says %+v", d)
		}
		order := make(chan error, 1)
		go func() { _, err := a.Buy(patience(t), "SZ", "000001", 1); order <- err }() // waits
		if err := again(); err != nil {
			t.Fatal(err)
		}
		v.trade(venueAccount)
		l.to(v.addr)
		c := takeUntil[*client.Connected](t, a)
		takeUntil[*client.Quotes](t, a)
		if err := <-order; err != nil {
			t.Errorf("the order reports %v", err)
		}
		v.catchUp(t, a, venueAccount)
		return c
	}
	if c := restart(v.serve); !c.Resumed || c.Missed < 1 {
		t.Errorf("with its history: Connected says %+v", c)
	}
	before := v.engine.Epoch()
	if c := restart(func() error { v.engine.Stop(); return v.begin() }); !c.Resynced || c.Before.Epoch != before ||
		c.After.Epoch != v.engine.Epoch() {
		t.Errorf("with a new history: Connected says %+v", c)
	}
}

// A full server is tried again until it has room.
func TestFullServer(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	v := startVenue(t, func(v *venue) { v.connections = 1 })
	l := startLink(t, v.addr)
	first := openAt(t, l, nil)
	var bye *client.Goodbye
	_, err := client.Open(patience(t), l.addr(), client.AccountOptions{Account: venueAccount})
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeFull {
		t.Errorf("Open reports %v", err)
	}
	second := openAt(t, l, func(o *client.AccountOptions) { o.Wait = true })
	if d := take[*client.Disconnected](t, second); !errors.As(d.Err, &bye) || d.Retry < bye.RetryAfter {
		t.Errorf("Disconnected says %+v", d)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	takeUntil[*client.Connected](t, second)
	v.compare(t, second, venueAccount)
}

func TestRefusedByAServer(t *testing.T) {
	v := startVenue(t, nil)
	var r *client.Reject
	for _, wait := range []bool{false, true} {
		_, err := client.Open(patience(t), v.addr, client.AccountOptions{Account: 5, Wait: wait})
		if !errors.As(err, &r) || r.Code != client.UnknownAccount {
			t.Errorf("wait %v: Open reports %v", wait, err)
		}
	}
}

// A caller who stops reading is disconnected by the server, comes back, and loses nothing.
func TestSlowCallerOfAServer(t *testing.T) {
	v := startVenue(t, func(v *venue) { v.outboxBytes, v.sendBytes = 16<<10, 4<<10 })
	a := open(t, v.addr, func(o *client.AccountOptions) {
		o.Account = venueAccount
		first := true
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil && first {
				err = conn.(*net.TCPConn).SetReadBuffer(4096) // else the kernel would buffer all that is sent
			}
			first = false
			return conn, err
		}
	})
	take[*client.Connected](t, a)
	last := a.State().Seq
	for range 3500 { // fewer than the server keeps
		v.trade(venueAccount)
	}
	want := v.serverAccount(t, venueAccount).Seq
	if v.gateway.Stats().CutOutbox.Load() == 0 {
		t.Fatal("the server did not cut the connection: the client's buffers took everything")
	}
	ends := 0
	for last < want {
		switch u := nextOf(t, a).(type) {
		case *client.Event:
			last = follows(t, u, last)
		case *client.Disconnected:
			ends++
		case *client.Connected:
			if !u.Resumed {
				t.Errorf("Connected says %+v", u)
			}
		}
	}
	if ends == 0 {
		t.Error("all of it came on one connection")
	}
	v.compare(t, a, venueAccount)
}

// A program is killed at any point (here it is never closed, and its file is copied at any
// point) and continues from the file. In the state and in the note no event is missing, and
// none counts twice.
func TestKilledAtAnyPoint(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for _, noted := range []bool{true, false} {
		t.Run(fmt.Sprintf("note %v", noted), func(t *testing.T) {
			v := startVenue(t, nil)
			l := startLink(t, v.addr)
			dir := t.TempDir()
			killed := filepath.Join(dir, "0")
			life := newLife(t, l, killed, noted)
			for n := 1; n <= 20; n++ {
				for range rand.IntN(60) {
					v.trade(venueAccount)
				}
				if rand.IntN(3) == 0 {
					l.cut()
				}
				for range rand.IntN(100) {
					if !life.step(context.Background()) {
						break
					}
				}
				copied := filepath.Join(dir, fmt.Sprint(n))
				life.copyTo(copied)
				life.kill()
				life = newLife(t, l, copied, noted)
			}
			v.catchUp(t, life.a, venueAccount)
			life.kill()
			life = newLife(t, l, life.path, noted) // noted: from the last Save, as Close does not save either
			want := v.serverAccount(t, venueAccount).Seq
			for life.seq < want {
				life.step(patience(t))
			}
			v.compare(t, life.a, venueAccount)
			if noted && life.sum != sumUpTo(want)-sumUpTo(life.first) {
				t.Errorf("the sequences noted add up to %d: expected %d", life.sum, sumUpTo(want)-sumUpTo(life.first))
			}
		})
	}
}

// life is a program with a cursor, from its start until it is killed. Its note is the sum of
// the sequences processed, and where it began.
type life struct {
	t          *testing.T
	a          *client.Account
	path       string
	noted      bool
	seq        uint64 // of the state
	first, sum uint64
}

func newLife(t *testing.T, l *link, path string, noted bool) *life {
	t.Helper()
	a := openAt(t, l, func(o *client.AccountOptions) { o.Cursor = path })
	life := &life{t: t, a: a, path: path, noted: noted, seq: a.State().Seq}
	if note := a.Note(); note == nil {
		life.first = life.seq
	} else if n, err := fmt.Sscan(string(note), &life.first, &life.sum); n != 2 || err != nil || !noted {
		t.Fatalf("the note is %q", note)
	}
	return life
}

// step takes an update if one comes soon, or waits for one if ctx has a deadline.
func (l *life) step(ctx context.Context) bool {
	l.t.Helper()
	if _, patient := ctx.Deadline(); !patient {
		soon, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		defer cancel()
		ctx = soon
	}
	u, err := l.a.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if err != nil {
		l.t.Fatal(err)
	}
	switch u := u.(type) {
	case *client.Connected:
		if u.Resynced {
			l.t.Errorf("Connected says %+v", u)
		}
	case *client.Event:
		if l.seq++; u.Seq != l.seq {
			l.t.Fatalf("seq %d came: expected %d", u.Seq, l.seq)
		}
		if l.sum += l.seq; l.noted && rand.IntN(3) > 0 { // not after every event
			if err := l.a.Save(fmt.Append(nil, l.first, l.sum)); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	return true
}

func (l *life) copyTo(path string) {
	l.t.Helper()
	b, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) kill() { _ = l.a.Close() } // what Close saves is not read any more

func sumUpTo(n uint64) uint64 { return n * (n + 1) / 2 }

// dialTo returns a Dial function that asks for the address each time.
func dialTo(addr func() string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr())
	}
}
