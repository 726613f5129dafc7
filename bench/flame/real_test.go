package flame

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/papertape/papertape/codec"
)

// TestRealNames profiles this process while it does work of the categories, until each was
// sampled: the names of functions in Go's runtime change from version to version.
func TestRealNames(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	client, server := connected(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // of no use
	wanted := map[Category]bool{Write: true, Read: true, Scheduler: true, GC: true, Storage: true, Codec: true}
	for end := time.Now().Add(2 * time.Minute); len(wanted) > 0; {
		if time.Now().After(end) {
			t.Fatalf("not sampled, or under other names: %v", wanted)
		}
		var b bytes.Buffer
		if err := pprof.StartCPUProfile(&b); err != nil {
			t.Fatal(err)
		}
		busy(t, client, server, file)
		pprof.StopCPUProfile()
		shares, err := Shares(b.Bytes())
		if err != nil {
			continue // too short to be sampled
		}
		for _, s := range shares {
			if s.CPU > 0 {
				delete(wanted, s.Category)
			}
		}
	}
}

func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of no use
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return client, server
}

// busy sends some frames there and back, writes some to the file, and collects garbage.
func busy(t *testing.T, client, server net.Conn, file *os.File) {
	t.Helper()
	var echo sync.WaitGroup
	const frames, size = 5000, 16
	echo.Go(func() {
		if _, err := io.CopyN(struct{ io.Writer }{server}, struct{ io.Reader }{server}, frames*size); err != nil {
			t.Error(err)
		}
	})
	b := make([]byte, size)
	for i := range frames {
		frame := codec.AppendPing(b[:0], uint64(i+1), 0)
		if _, err := client.Write(frame); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(client, b); err != nil {
			t.Error(err)
		}
	}
	echo.Wait()
	for i := range 1_000_000 {
		b = codec.AppendPing(b[:0], uint64(i), uint64(i))
	}
	for range 100 {
		if _, err := file.Write(b); err != nil {
			t.Error(err)
		}
		if err := file.Sync(); err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		runtime.GC()
	}
}
