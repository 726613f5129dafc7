package measure

import (
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestSample(t *testing.T) {
	p := Process(os.Getpid())
	before, err := p.Sample()
	if err != nil {
		t.Fatal(err)
	}
	busyUntil := before.CPU + 50*time.Millisecond
	pages := make([]byte, 0)
	var after Sample
	for after.CPU < busyUntil {
		pages = append(pages, make([]byte, 1<<16)...)
		time.Sleep(time.Microsecond) // causes a context switch
		if after, err = p.Sample(); err != nil {
			t.Fatal(err)
		}
	}
	u := after.Since(before)
	if u.CPUSeconds < 0.05 || u.UserSeconds+u.SystemSeconds > 2*u.CPUSeconds+0.05 {
		t.Errorf("used %.3f s of a processor, %.3f in user and %.3f in system mode", u.CPUSeconds, u.UserSeconds,
			u.SystemSeconds)
	}
	if u.ContextSwitches == 0 || u.RSS < int64(len(pages)) || u.Threads < 2 || u.Faults == 0 {
		t.Errorf("it slept and has %d bytes: %+v", len(pages), u)
	}
	if _, err := Process(1 << 30).Sample(); err == nil {
		t.Error("there is a process 1073741824")
	}
}

func TestMachine(t *testing.T) {
	before, err := KernelMemory()
	if err != nil {
		t.Fatal(err)
	}
	if before.Slab < 1<<20 {
		t.Errorf("%d bytes of slab", before.Slab)
	}
	e, err := NewEnvironment("", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if e.Kernel == "" || e.CPU == "" || e.Cores < 1 || e.Files < 256 || e.MemoryGB <= 0 || e.FsyncP99 < e.FsyncP50 {
		t.Errorf("%+v", e)
	}
	if c := e.Costs; c.Syscall <= 0 || c.Syscall > 1000 || c.FirstTouch <= 0 || c.NextTouch <= 0 {
		t.Errorf("%+v", c)
	}
	if idle, err := Idle(); err != nil || idle <= 0 {
		t.Errorf("the machine was idle for %v: %v", idle, err)
	}
}

func TestGo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }() // ends with Close
	defer server.Close()                 //nolint:errcheck // the test is over
	d := Debug{Address: ln.Addr().String()}
	g, err := d.Go(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if g.Goroutines < 3 || g.Mallocs == 0 || g.HeapInuse == 0 || g.Stacks == 0 || g.GCs == 0 {
		t.Errorf("%+v", g)
	}
	if profile, err := d.Profile(t.Context(), time.Second); err != nil || len(profile) < 2 || profile[0] != 0x1f {
		t.Errorf("a profile of %d bytes, %v; want something compressed", len(profile), err)
	}
	if _, err := d.get(t.Context(), "nothing"); err == nil {
		t.Error("there is a profile called nothing")
	}
}

func TestSyscalls(t *testing.T) {
	counts, err := parseStrace(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.02    0.302721           7     43025           write
 38.98    0.193386           4     43068        43 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.496107           5     86093        43 total
`)
	if err != nil || len(counts) != 2 || counts["write"] != 43025 || counts["read"] != 43068 {
		t.Errorf("%v, %v", counts, err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace here")
	}
	child := exec.Command("sh", "-c", "while :; do sleep 0.01; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()         //nolint:errcheck // fails, since it was killed
	defer child.Process.Kill() //nolint:errcheck // cannot fail, since it still runs
	trace, err := Process(child.Process.Pid).Trace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if counts, err = trace.Stop(); err != nil {
		t.Skipf("strace is not allowed here: %v", err)
	}
	if counts["execve"] == 0 {
		t.Errorf("a shell that starts sleep again and again: %v", counts)
	}
}
