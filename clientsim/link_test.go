package clientsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// listenQuietly accepts connections and does nothing with them.
func listenQuietly(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// As many connections are made as the gate has places, until one of them is logged in or
// closed.
func TestGate(t *testing.T) {
	addr, g := listenQuietly(t), make(gate, 2)
	dialed := func(l *link, d time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return l.dial(ctx, "tcp", addr)
	}
	first, second, third := &link{gate: g}, &link{gate: g}, &link{gate: g}
	for _, l := range []*link{first, second} {
		conn, err := dialed(l, longEnough)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // only a test
	}
	if conn, err := dialed(third, 20*time.Millisecond); conn != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a third went through a gate with two places: %v, %v", conn, err)
	}
	first.loggedIn()
	first.loggedIn() // frees its place only once
	conn, err := dialed(third, longEnough)
	if err != nil {
		t.Fatal(err)
	}
	if len(g) != 2 {
		t.Errorf("%d places are taken, expected 2", len(g))
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	third.loggedIn() // it is closed already, and frees no further place
	if len(g) != 1 {
		t.Errorf("%d places are taken, expected 1", len(g))
	}
	refused := &link{gate: g}
	if _, err := refused.dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil || len(g) != 1 {
		t.Errorf("error %v, and %d places are taken: expected 1", err, len(g))
	}
}

// A link that is cut ends its connection and makes no new one for a while.
func TestCut(t *testing.T) {
	addr, l := listenQuietly(t), new(link)
	conn, err := l.dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	l.cut(100 * time.Millisecond)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read from a connection that was cut: %v", err)
	}
	again, err := l.dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close() //nolint:errcheck // only a test
	if away := time.Since(begun); away < 100*time.Millisecond {
		t.Errorf("it was back after %v: expected 100 ms", away)
	}
	l.cut(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.dial(ctx, "tcp", addr); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a dial of a link that is cut: %v", err)
	}
}

// The board reports in one line what happens to many clients.
func TestBoard(t *testing.T) {
	var said []string
	b := &board{clients: 3, notice: func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
	}, duration: time.Minute}
	var l lookout
	now := time.Now()
	look := func(after time.Duration, want string) {
		t.Helper()
		now, said = now.Add(after), nil
		b.look(&l, now)
		if got := strings.Join(said, "\n"); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	for range 3 {
		look(0, "") // logging in
		b.connected(new(client.Connected))
	}
	b.begin()
	look(time.Second, "")
	b.disconnected(errors.New("no more power"))
	b.disconnected(errors.New("no more power"))
	look(time.Second, "2 of 3 clients have lost their connection: no more power")
	look(9*time.Second, "")
	look(time.Second, "2 of 3 clients are away since 10 s")
	b.connected(&client.Connected{Resumed: true, Missed: 7})
	look(time.Second, "")
	b.connected(&client.Connected{Resynced: true})
	look(time.Second, "all 3 clients are connected again; 1 resumed, having missed 7 events, which followed; "+
		"1 began anew from a snapshot, as the server has a new history")
	look(time.Hour, "")
	b.disconnected(errors.New("once more"))
	b.connected(&client.Connected{Resumed: true, Missed: 2}) // between two looks
	look(time.Second, "all 3 clients are connected again; 1 resumed, having missed 2 events, which followed")

	b.event()
	b.wrong()
	b.compared.Add(2)
	b.phase.Store(int32(PhaseCompare))
	p := b.read(now)
	if want := (Progress{PhaseCompare, 3, 3, 2, time.Minute, time.Minute, 1, 1}); p != want {
		t.Errorf("progress %+v, want %+v", p, want)
	}
	for phase, want := range map[Phase]string{PhaseLogin: "log in", PhaseTrade: "trade", PhaseCompare: "compare"} {
		if phase.String() != want {
			t.Errorf("phase %d is %q, want %q", phase, phase, want)
		}
	}
}
