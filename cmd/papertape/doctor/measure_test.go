package doctor

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func same(a, b *Readings) bool { return reflect.DeepEqual(a, b) }

func thisMachine(t *testing.T) fs.FS {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	return os.DirFS("/")
}

// TestMeasure tries a directory that is not there yet, and leaves nothing behind.
func TestMeasure(t *testing.T) {
	thisMachine(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // nobody comes
	dir := t.TempDir()
	plan := Plan{Durable: true, Data: filepath.Join(dir, "not", "there"),
		Addresses: []string{taken.Addr().String(), "127.0.0.1:0"}}
	var r Readings
	Measure(t.Context(), &r, &plan)
	if r.DiskTrouble != "" || r.DiskP50 <= 0 || r.DiskP99 < r.DiskP50 || r.DiskFree <= 0 || r.Processors < 1 {
		t.Errorf("%+v", r)
	}
	if len(r.Taken) != 1 || r.Taken[0] != taken.Addr().String() || r.InUse {
		t.Errorf("taken are %q, of %s; in use: %v", r.Taken, taken.Addr(), r.InUse)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func TestMeasureIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var r Readings
	Measure(ctx, &r, &Plan{Durable: true, Data: dir})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || r.DiskTrouble == "" {
		t.Errorf("it left %v, %v; %q", left, err, r.DiskTrouble)
	}
}

func TestMeasureWithoutDisk(t *testing.T) {
	thisMachine(t)
	var r Readings
	Measure(t.Context(), &r, &Plan{Durable: true, Data: "/proc/papertape"})
	if want := "no file can be written in /proc: "; !strings.HasPrefix(r.DiskTrouble, want) {
		t.Errorf("%q, want one that begins with %q", r.DiskTrouble, want)
	}
	r = Readings{}
	if Measure(t.Context(), &r, &Plan{Data: t.TempDir()}); r.DiskP50 != 0 {
		t.Error("a disk was tried that nothing is written to")
	}
}
