package gateway

import (
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/memtls"
)

// TestTLSIdleMemory limits what an idle connection costs over TLS. Its clients forget all after the handshake, so what
// is left is the server's. It must not run in parallel with other tests. make long tries it with 5,000.
func TestTLSIdleMemory(t *testing.T) {
	n := 500
	if long := os.Getenv("PAPERTAPE_TEST_LONG") != ""; long {
		n = 5000
	} else if testing.Short() {
		t.Skip("it makes hundreds of handshakes")
	}
	const liveMost, residentMost = 8 * 1024, 11 * 1024
	s := startTLS(t, func(g *Config, _ *engine.Config) {
		g.ConnectionsMax, g.ConnectionsPreloginMax, g.LoginTimeout = 2*n, 2*n, patience*20
	})
	before := s.memoryWith(t, n/10) // the loops and their scratches are there
	after := s.memoryWith(t, n)
	live, resident := (after.live-before.live)/float64(n), (after.resident-before.resident)/float64(n)
	t.Logf("%d idle connections: %.0f bytes of heap and stack, %.0f bytes of RSS each", n, live, resident)
	if live > liveMost {
		t.Errorf("an idle connection takes %.0f bytes of heap and stack, over %d", live, liveMost)
	}
	if resident > residentMost && n == 5000 { // fewer tell little of RSS
		t.Errorf("an idle connection takes %.0f bytes of RSS, over %d", resident, residentMost)
	}
	if after.goroutines > before.goroutines+4 {
		t.Errorf("%d goroutines with %d more connections, before %d", after.goroutines, n, before.goroutines)
	}
}

type memory struct {
	live, resident float64
	goroutines     int
}

// memoryWith opens n more connections, and returns what the process then takes.
func (s *server) memoryWith(t *testing.T, n int) memory {
	t.Helper()
	for range n {
		s.idle(t)
	}
	debug.FreeOSMemory()
	debug.FreeOSMemory() // pools keep things for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{float64(m.HeapAlloc + m.StackInuse), residentBytes(t), runtime.NumGoroutine()}
}

// idle makes a connection over TLS, whose client keeps nothing but the socket.
func (s *server) idle(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a duplicate of its file stays
	var out []byte
	c := memtls.Client(clientTLS(), &out)
	defer c.Drop()
	in := make([]byte, 4096)
	for n := 0; ; {
		c.Feed(in[:n])
		done, err := c.Handshake()
		if err == nil && len(out) > 0 {
			_, err = conn.Write(out)
			out = out[:0]
		}
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		if n, err = conn.Read(in); err != nil {
			t.Fatal(err)
		}
	}
	takeAll(t, c, conn, in)
	keepFile(t, conn.(*net.TCPConn))
}

// keepFile keeps a connection's file open until the test ends, and nothing else of it.
func keepFile(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if outer := raw.Control(func(of uintptr) { fd, err = unix.Dup(int(of)) }); outer != nil || err != nil {
		t.Fatal(outer, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
}

// takeAll reads up to the first record, which is WELCOME, after the tickets.
func takeAll(t *testing.T, c *memtls.Conn, conn net.Conn, in []byte) {
	t.Helper()
	plain := make([]byte, 4096)
	for {
		if n, _ := c.Read(plain); n > 0 {
			return
		}
		n, err := conn.Read(in)
		if err != nil {
			t.Fatal(err)
		}
		c.Feed(in[:n])
	}
}

func residentBytes(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("there is no /proc")
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			if err != nil {
				t.Fatal(err)
			}
			return float64(n) * 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
