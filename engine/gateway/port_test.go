package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/engine"
)

// freePort returns a port that nobody listens on, and below those that the kernel gives to connections.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		if ln, err := net.Listen("tcp", net.JoinHostPort("", port)); err == nil {
			_ = ln.Close()
			return port
		}
	}
}

// TestServersStartedTogether starts two servers at the same moment on one port, by the same address or by one that
// covers the other. Exactly one of them serves.
func TestServersStartedTogether(t *testing.T) {
	t.Parallel()
	pairs := 60
	if testing.Short() {
		pairs = 20
	}
	hosts := [][2]string{
		{"127.0.0.1", "127.0.0.1"}, {"", "127.0.0.1"}, {"0.0.0.0", "127.0.0.1"}, {"", ""}, {"0.0.0.0", "[::]"},
		{"localhost", "127.0.0.1"},
	}
	for i := range pairs {
		port := freePort(t)
		if n := servedOf(t, hosts[i%len(hosts)], port); n != 1 {
			t.Fatalf("pair %d: of two servers on %q, port %s, %d serve, want 1", i, hosts[i%len(hosts)], port, n)
		}
	}
}

// servedOf starts a server on each host at the same moment, and returns how many of them serve.
func servedOf(t *testing.T, hosts [2]string, port string) (served int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var servers [2]*server
	for i, host := range hosts {
		servers[i] = newServer(t, func(g *Config, _ *engine.Config) { g.Listen = host + ":" + port })
	}
	together, outcome, ended := make(chan struct{}), make(chan error, 2), make(chan error, 2)
	for _, s := range servers {
		go func() {
			<-together
			ready := false
			err := s.gw.Serve(ctx, s.engine, func(string) { ready = true; outcome <- nil })
			if !ready {
				outcome <- err
				err = nil
			}
			s.engine.Stop()
			ended <- err
		}()
	}
	close(together)
	for range servers {
		if err := <-outcome; err == nil {
			served++
		} else if !errors.Is(err, ErrListen) {
			t.Errorf("%v, want ErrListen", err)
		}
	}
	cancel()
	for range servers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	return served
}

// TestServersOnDifferentAddresses: servers on addresses that do not cover each other both serve.
func TestServersOnDifferentAddresses(t *testing.T) {
	t.Parallel()
	for _, hosts := range [][2]string{{"127.0.0.1", "127.0.0.2"}, {"127.0.0.1", "[::1]"}, {"0.0.0.0", "[::1]"}} {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
				t.Skipf("no IPv6 here: %v", err)
			} else {
				_ = ln.Close()
			}
			if n := servedOf(t, hosts, freePort(t)); n != 2 {
				t.Errorf("%d serve, want both", n)
			}
		})
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	second := newServer(t, func(g *Config, _ *engine.Config) { g.Listen = s.addr })
	defer second.engine.Stop()
	err := second.gw.Serve(t.Context(), second.engine, func(string) { t.Error("ready was called") })
	if !errors.Is(err, ErrListen) {
		t.Errorf("Serve: %v, want ErrListen", err)
	}
	s.user(t, alice).trade(2)
}

func TestAddressThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"127.0.0.1", "127.0.0.1:99999", "192.0.2.1:0"} {
		s := newServer(t, func(g *Config, _ *engine.Config) { g.Listen = listen })
		err := s.gw.Serve(t.Context(), s.engine, func(string) { t.Error("ready was called") })
		if !errors.Is(err, ErrListen) {
			t.Errorf("Serve on %s: %v, want ErrListen", listen, err)
		}
		s.engine.Stop()
	}
}

// TestRestartOnTheSamePort starts again where connections are in TIME_WAIT, which those are that the server closed
// first.
func TestRestartOnTheSamePort(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	addr := s.addr
	for range 3 {
		peers := []*peer{s.user(t, alice), s.user(t, bob)}
		peers[0].trade(2)
		s.cancel()
		for _, p := range peers {
			p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
			p.eof()
			_ = p.conn.Close()
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		s = start(t, func(g *Config, _ *engine.Config) { g.Listen = addr })
	}
	s.user(t, alice).trade(2)
}
