package peers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/papertape/papertape/bench/judge"
)

// serve runs a server until the returned function is called.
func serve(t *testing.T, run func(context.Context, string, func(string)) error) (address string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", func(address string) { listening <- address }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case address = <-listening:
	case err := <-done:
		done <- err
		t.Fatalf("it does not serve: %v", err)
	}
	return address, stop
}

type echo func(context.Context, string, func(string)) error

func loops(run func(context.Context, string, int, func(string)) error) echo {
	return func(ctx context.Context, address string, listening func(string)) error {
		return run(ctx, address, 2, listening)
	}
}

func pairs(coalescing bool) echo {
	return func(ctx context.Context, address string, listening func(string)) error {
		return Pair(ctx, address, 10, coalescing, listening)
	}
}

func echoes() map[string]echo {
	return map[string]echo{
		"gnet": loops(Gnet), "nbio": loops(Nbio), "epoll": loops(Epoll), "pair": pairs(false),
		"pair coalescing": pairs(true),
	}
}

// TestEcho tests all but zinx, of which a process can run only one: it is tested with
// papertape-bench serve.
func TestEcho(t *testing.T) {
	for name, run := range echoes() {
		t.Run(name, func(t *testing.T) {
			address, stop := serve(t, run)
			judge.Echo(t, address)
			stop()
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				t.Errorf("it still listens on %s", address)
			}
		})
	}
}

// TestBacklog: a client sends a lot before it reads anything. Meanwhile the epoll loop
// reads no more from it, and the libraries drop it. It gets back only what it sent, and
// other clients are served.
func TestBacklog(t *testing.T) {
	for _, name := range []string{"gnet", "nbio", "epoll"} {
		t.Run(name, func(t *testing.T) {
			address, _ := serve(t, echoes()[name])
			slow, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer slow.Close() //nolint:errcheck // of no use
			_ = slow.SetDeadline(time.Now().Add(time.Minute))
			sent := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB
			go func() { _, _ = slow.Write(sent) }()
			judge.Echo(t, address)
			got, err := io.ReadAll(io.LimitReader(slow, int64(len(sent))))
			if !bytes.HasPrefix(sent, got) {
				t.Errorf("%d bytes came back, and not the same: %v", len(got), err)
			}
			if name == "epoll" && len(got) < len(sent) {
				t.Errorf("%d of %d bytes came back: %v", len(got), len(sent), err)
			}
		})
	}
}

// TestTaken: an address that is in use is an error.
func TestTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of no use
	all := echoes()
	all["zinx"] = func(ctx context.Context, address string, listening func(string)) error {
		return Zinx(ctx, address, ZinxConfig{Workers: 10, ConnectionsMax: 100}, listening)
	}
	for name, run := range all {
		err := run(t.Context(), l.Addr().String(),
			func(address string) { panic(fmt.Sprintf("%s listens on %s", name, address)) })
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
