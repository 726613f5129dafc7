//go:build linux

package observed

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/metrics"
	"github.com/papertape/papertape/proof/process"
)

const firstAccount = 100001

// build builds the server.
func build(t *testing.T) (binary string) {
	t.Helper()
	// go test caches results, and watches only the files that the test itself opens.
	if err := filepath.WalkDir("../..", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			_, err = os.Stat(name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), "papertape")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/papertape").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// serve starts a server, which the end of the test kills.
func serve(t *testing.T, binary, data string, flags ...string) *process.Server {
	t.Helper()
	s, err := process.Start(binary, append([]string{"--data", data, "--accounts", "10"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill() })
	if _, err := s.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// scrape returns what a server answers.
func scrape(t *testing.T, admin string) string {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics") //nolint:noctx // it answers at once
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", answer.Status, err)
	}
	return string(text)
}

// scaled are the rules with all times and thresholds made small, so that alerts fire in seconds for little.
func scaled(t *testing.T) string {
	t.Helper()
	text := read(t, rulesFile)
	for _, c := range []struct{ from, to string }{
		{`for: [0-9]+m`, "for: 0s"}, {`\[([0-9]+m|1h)\]`, "[6s]"},
		{`p99_5m > 0\.1`, "p99_5m > 0.00001"}, {`p99_5m > 0\.05`, "p99_5m > 0.00001"},
		{`timestamp_seconds > 300`, "timestamp_seconds > 3"}, {`> 10\n`, "> 0\n"}, {`\[6s\]\)\) > 100`, "[6s])) > 1"},
	} {
		found := regexp.MustCompile(c.from)
		if !found.MatchString(text) {
			t.Fatalf("the rules have no %s to be made small", c.from)
		}
		text = found.ReplaceAllString(text, c.to)
	}
	return text
}

// window is what rates are taken over: some scrapes.
const window = "6s"

// TestScraped has a Prometheus scrape servers that are made to have every trouble that there is an alert for.
func TestScraped(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	if raceDetector {
		t.Skip("what it is about is in other processes, which are tried without the race detector")
	}
	tool(t, "prometheus")
	binary := build(t)
	busy := busyServer(t, binary)
	slow := slowServer(t, binary)
	full := fullServer(t, binary)
	panicking := panickingServer(t)
	text := scrape(t, busy.Admin())
	promtoolOn(t, text, "check", "metrics")
	checkNames(t, text)

	at := map[string]string{
		"busy": busy.Admin(), "slow": slow.Admin(), "full": full.Admin(), "panicking": panicking,
	}
	p := startPrometheus(t, scaled(t), slices.Sorted(maps.Values(at)))
	wanted := map[string]string{
		"PapertapePushLag": "busy", "PapertapeSlowSync": "busy", "PapertapeBusy": "busy",
		"PapertapeConnectionsNearLimit": "busy", "PapertapeReconnectStorm": "busy",
		"PapertapeSlowClients": "slow",
		"PapertapeReadOnly":    "full", "PapertapeDiskFull": "full", "PapertapeCheckpointStale": "full",
		"PapertapePanic": "panicking",
	}
	fired := make(map[string]bool)
	p.awaitFiring(wanted, at, fired)
	p.awaitPanels()
	slow.Terminate() // it drains until its clients have read, which some never do
	p.awaitFiring(map[string]string{"PapertapeNotReady": "slow"}, at, fired)
	slow.Kill()
	p.awaitFiring(map[string]string{"PapertapeDown": "slow"}, at, fired)
	_, alerts := readRules(t)
	for _, name := range alerts {
		if !fired[name] {
			t.Errorf("nothing made %s fire", name)
		}
	}
}

// awaitFiring waits until each of these alerts has fired for its server.
func (p *prometheus) awaitFiring(wanted, at map[string]string, fired map[string]bool) {
	p.t.Helper()
	var missing []string
	began := time.Now()
	eventually(p.t, "these alerts fire", func() bool {
		firing, err := p.firing()
		if err != nil {
			p.t.Fatal(err)
		}
		missing = nil
		for name, server := range wanted {
			if slices.Contains(firing[name], at[server]) {
				fired[name] = true
			}
			if !fired[name] {
				missing = append(missing, name)
			}
		}
		return len(missing) == 0
	}, func() { p.t.Logf("%v do not fire", missing) })
	p.t.Logf("%d alerts fired after %v", len(wanted), time.Since(began).Round(time.Millisecond))
}

// awaitPanels waits until each query of the dashboard has had an answer.
func (p *prometheus) awaitPanels() {
	p.t.Helper()
	left := readDashboard(p.t).expressions(window)
	eventually(p.t, "each query of the dashboard has an answer", func() bool {
		maps.DeleteFunc(left, func(who, expr string) bool {
			n, err := p.series(expr)
			if err != nil {
				p.t.Fatalf("%s: %v", who, err)
			}
			return n > 0 || who == "annotation Restarts" // nothing has restarted
		})
		return len(left) == 0
	}, func() { p.t.Logf("without an answer: %v", left) })
}

// checkNames checks that a server has every metric that rules and dashboard name.
func checkNames(t *testing.T, text string) {
	t.Helper()
	all, _ := readRules(t)
	expressions := readDashboard(t).expressions(window)
	for i := range all {
		expressions["rule "+all[i].Record+all[i].Alert] = all[i].Expr
	}
	n := 0
	for who, expr := range expressions {
		for _, name := range metricsIn(expr) {
			if n++; !strings.Contains(text, "\n"+name+" ") && !strings.Contains(text, "\n"+name+"{") {
				t.Errorf("%s asks for %s, which a server has not", who, name)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d names of metrics were found in the expressions", n)
	}
}

// busyServer has as many connections as it may, turns more away, and refuses what clients send without waiting.
func busyServer(t *testing.T, binary string) *process.Server {
	s := serve(t, binary, filepath.Join(t.TempDir(), "data"), "--connections-max", "5", "--requests-in-flight-max", "2",
		"--simulator.rate", "200", "--checkpoint-interval", "1s")
	work := newWork(t)
	for i := range uint64(3) {
		work.loop(func(ctx context.Context) error { return trade(ctx, s.Listen(), firstAccount+i) })
	}
	for i := range uint64(2) {
		work.loop(func(ctx context.Context) error { return pipeline(ctx, s.Listen(), firstAccount+i) })
	}
	work.loop(func(ctx context.Context) error { return knock(ctx, s.Listen()) })
	return s
}

// slowServer has clients that do not read.
func slowServer(t *testing.T, binary string) *process.Server {
	s := serve(t, binary, filepath.Join(t.TempDir(), "data"), "--simulator.rate", "20000",
		"--outbox-bytes-max", "64KiB", "--socket-send-buffer-bytes", "16KiB", "--stall-timeout", "1m",
		"--shutdown-timeout", "1m", "--durability", "none")
	work := newWork(t)
	for i := range uint64(6) {
		work.loop(func(ctx context.Context) error { return deaf(ctx, s.Listen(), firstAccount+i) })
	}
	return s
}

// fullServer has a ledger of before, and less room on its disk than it wants.
func fullServer(t *testing.T, binary string) *process.Server {
	data := filepath.Join(smallRoom(t), "data")
	if err := serve(t, binary, data).Stop(); err != nil {
		t.Fatal(err)
	}
	return serve(t, binary, data, "--disk-free-bytes-min", "1TiB", "--checkpoint-interval", "1s")
}

// smallRoom returns a directory on a file system with less than a TiB free, which is the most that the setting can ask
// for.
func smallRoom(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if st.Bavail*uint64(st.Bsize) < 1<<40 { //nolint:gosec // a block has a size
		return dir
	}
	dir, err := os.MkdirTemp("/dev/shm", "papertape") // as large as half of the memory
	if err != nil {
		t.Skipf("a disk with less than a TiB free is wanted: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// panickingServer is a server in this process, with a message of an embedder that panics. It returns where its metrics
// are.
func panickingServer(t *testing.T) (address string) {
	t.Helper()
	universe := market.Default()
	feed := market.Fixed(universe)
	gw := gateway.New(gateway.Config{
		Listen: "127.0.0.1:0", EventLoops: 1, Server: "test", Universe: universe, Prices: feed.Snapshot,
		Limits:    gateway.Limits{ConnectionsMax: 10, ConnectionsPreloginMax: 10},
		Heartbeat: time.Second, LoginTimeout: time.Second, StallTimeout: time.Second, ShutdownTimeout: time.Second,
		RequestsInFlightMax: 10, OutboxBytesMax: 1 << 20, OutboxTotalBytesMax: 1 << 20, SocketSendBufferBytes: 1 << 16,
	})
	gw.Handle(codec.TypeEmbedder, func(*gateway.Call) gateway.Answer { panic("made for the test") })
	eng, err := engine.New(engine.Config{
		Shards: 1, Workers: 2, InboxOrdersMax: 10, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 30,
		SessionsPerAccountMax: 1, Universe: universe, Prices: feed.Snapshot,
		Clock: func() int64 { return time.Now().UnixNano() }, Journal: engine.NewMemoryJournal(), Outlet: gw,
		Log: zerolog.Nop(), Fatal: func(err error) { t.Error(err); runtime.Goexit() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := (simulator.Accounts{Count: 1, Seed: 1, Universe: universe}).Open(t.Context(), eng); err != nil {
		t.Fatal(err)
	}
	flow, err := simulator.NewFlow(eng, simulator.FlowConfig{Accounts: 1, Universe: universe})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	listening, served := make(chan string, 1), make(chan error, 1)
	go func() { served <- gw.Serve(ctx, eng, func(at string) { listening <- at }) }()
	web := httptest.NewServer(metrics.Handler(metrics.Sources{
		Engine: eng, Gateway: gw, Flow: flow, Feed: feed, Ready: gw.Late,
		HTTP:         func() metrics.HTTP { return metrics.HTTP{} },
		LogLinesLost: func() uint64 { return 0 },
	}))
	t.Cleanup(func() {
		web.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		eng.Stop()
	})
	at := <-listening
	newWork(t).loop(func(ctx context.Context) error { return ask(ctx, at, codec.TypeEmbedder) })
	return strings.TrimPrefix(web.URL, "http://")
}

// work is what clients of a test do until it ends.
type work struct {
	ctx     context.Context
	running sync.WaitGroup
}

func newWork(t *testing.T) *work {
	ctx, stop := context.WithCancel(context.Background())
	w := &work{ctx: ctx}
	t.Cleanup(func() {
		stop()
		w.running.Wait()
	})
	return w
}

// loop does something again and again. That it fails is no fault: servers refuse, and end.
func (w *work) loop(do func(context.Context) error) {
	w.running.Go(func() {
		for w.ctx.Err() == nil {
			if err := do(w.ctx); err != nil {
				select {
				case <-w.ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		}
	})
}

// trade has a client buy and sell.
func trade(ctx context.Context, address string, account uint64) error {
	c, err := client.Dial(ctx, address, client.Options{Account: account, DiscardEvents: true})
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // what was wrong has been said
	for {
		if _, err := c.Buy(ctx, "SZ", "000001", 100); err != nil {
			return err
		}
		if _, err := c.Sell(ctx, "SZ", "000001", 100); err != nil {
			return err
		}
	}
}

// dial opens a connection, and closes it when ctx ends.
func dial(ctx context.Context, address string) (net.Conn, func(), error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

// login is the frame that logs in, for live events only.
func login(account uint64) []byte {
	return codec.Append(nil, codec.TypeLogin, 0, 1, &papertapev1.Login{
		Account: account, Mode: papertapev1.ResumeMode_RESUME_MODE_QUICK,
	})
}

// pipeline asks for holdings, many times at once.
func pipeline(ctx context.Context, address string, account uint64) error {
	conn, done, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer done()
	frames := login(account)
	if _, err := conn.Write(frames); err != nil {
		return err
	}
	if err := readFor(conn, codec.TypeLoginReply); err != nil {
		return err
	}
	for id := uint64(2); ; {
		frames = frames[:0]
		for range 20 {
			frames = codec.Append(frames, codec.TypeHoldings, 0, id, &papertapev1.Ping{})
			id++
		}
		if _, err := conn.Write(frames); err != nil {
			return err
		}
		if err := readFor(conn, codec.TypeReject); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // not for anything to happen: so that the machine has time for others
	}
}

var errClosed = errors.New("the server closed the connection")

// readFor reads until a frame of a type has come.
func readFor(conn net.Conn, want codec.Type) error {
	var held []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return errors.Join(errClosed, err)
		}
		held = append(held, buf[:n]...)
		for {
			f, n, err := codec.Cut(held, codec.LimitToClient)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			held = held[n:]
			if f.Type == want {
				return nil
			}
		}
	}
}

// knock opens a connection and is turned away.
func knock(ctx context.Context, address string) error {
	conn, done, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer done()
	_, err = io.Copy(io.Discard, conn)
	return errors.Join(errClosed, err)
}

// deaf logs in and does not read until it is cut.
func deaf(ctx context.Context, address string, account uint64) error {
	conn, done, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer done()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := conn.Write(login(account)); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if _, err := conn.Write(codec.AppendPong(nil, 1, 0)); err != nil { // it was cut
			return err
		}
	}
}

// ask logs in, sends a request of a type and waits for what it is answered.
func ask(ctx context.Context, address string, of codec.Type) error {
	conn, done, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer done()
	if _, err := conn.Write(login(firstAccount)); err != nil {
		return err
	}
	if err := readFor(conn, codec.TypeLoginReply); err != nil {
		return err
	}
	if _, err := conn.Write(codec.Append(nil, of, 0, 2, &papertapev1.Ping{})); err != nil {
		return err
	}
	return errors.Join(errClosed, readFor(conn, codec.TypeReject))
}
