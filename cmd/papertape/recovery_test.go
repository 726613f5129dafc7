package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/positions"
)

// patience bounds a wait for something that should come at once.
const patience = 30 * time.Second

// lived is a server that runs in the test's own process.
type lived struct {
	*server
	t     *testing.T
	ready chan addresses
	stop  context.CancelFunc
	ended chan error
}

// live starts a server of a few accounts on dir. change may be nil.
func live(t *testing.T, dir string, change func(*server)) *lived {
	t.Helper()
	cfg := defaultConfig()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", 3, 0, dir
	cfg.CheckpointInterval = time.Hour
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	l := &lived{server: s, t: t, ready: make(chan addresses, 1), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go func() { l.ended <- s.run(ctx, func(a addresses) { l.ready <- a }) }() // waited for by end
	t.Cleanup(stop)
	return l
}

// at returns where the server is, once it is ready.
func (l *lived) at() addresses {
	l.t.Helper()
	select {
	case at := <-l.ready:
		return at
	case err := <-l.ended:
		l.t.Fatalf("the server did not start: %v", err)
	case <-time.After(patience):
		l.t.Fatal("the server did not start")
	}
	return addresses{}
}

// end stops the server and waits for it.
func (l *lived) end() error {
	l.t.Helper()
	l.stop()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(patience):
		l.t.Fatal("the server did not stop")
	}
	return nil
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// gate is a terminal whose first line waits.
type gate struct {
	once    sync.Once
	reached chan struct{} // closed when something is written
	open    chan struct{}

	mu    sync.Mutex
	shown bytes.Buffer
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shown.Write(p)
}

// TestReadyWhileRecovering looks at a server in the middle of its recovery: it is alive, says how far it is, answers nothing else,
// and is ready when it is through.
func TestReadyWhileRecovering(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := live(t, dir, nil)
	first.at()
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	terminal, admin := newGate(), freeAddress(t)
	second := live(t, dir, func(s *server) { s.terminal, s.cfg.Admin = terminal, admin })
	select {
	case <-terminal.reached:
	case <-time.After(patience):
		t.Fatal("nothing is shown of the recovery")
	}
	ctx, c := t.Context(), console.NewClient(admin, "")
	resp, err := http.Get("http://" + admin + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/livez: %s", resp.Status)
	}
	var answered *console.Error
	const want = "recovering: 33% (1 of 3 accounts and commits)"
	if err := c.Ready(ctx); !errors.As(err, &answered) || !reflect.DeepEqual(*answered, console.Error{Status: 503, Code: "not_ready", Text: want}) {
		t.Errorf("/readyz: %+v, want 503, %s", err, want)
	}
	for what, ask := range map[string]func() error{
		"accounts": func() error { _, err := c.Accounts(ctx, 0, 0); return err },
		"holdings": func() error { _, err := c.Holdings(ctx, 100001); return err },
		"history":  func() error { _, err := c.History(ctx, 100001, 0, 1); return err },
		"backup":   func() error { _, err := c.Backup(ctx, filepath.Join(t.TempDir(), "b")); return err },
	} {
		if err := ask(); !errors.As(err, &answered) || answered.Status != 503 || answered.Code != "not_ready" ||
			!strings.HasPrefix(answered.Text, "the server is not ready: ") {
			t.Errorf("%s of a server that recovers: %v", what, err)
		}
	}
	if _, err := c.Counters(ctx); err != nil {
		t.Errorf("counters of a server that recovers: %v", err)
	}
	close(terminal.open)
	at := second.at()
	if err := c.Ready(ctx); err != nil {
		t.Errorf("/readyz after the recovery: %v", err)
	}
	if _, err := console.NewClient(at.admin, "").Holdings(ctx, 100003); err != nil {
		t.Errorf("holdings after the recovery: %v", err)
	}
	if err := second.end(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(terminal.shown.String(), "recovering") || !strings.Contains(terminal.shown.String(), "33%") {
		t.Errorf("shown on the terminal: %q", terminal.shown.String())
	}
}

// freeAddress is one that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // it was never used
	return ln.Addr().String()
}

// TestStopWhileRecovering: whoever is told to stop before it is ready stops in order, and the next start finds all as it was.
func TestStopWhileRecovering(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := live(t, dir, nil)
	buyAs(t, first.at().listen, "kept")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	terminal := newGate()
	second := live(t, dir, func(s *server) { s.terminal = terminal })
	<-terminal.reached
	second.stop()
	close(terminal.open)
	if err := second.end(); err != nil {
		t.Errorf("stopped while it recovered: %v", err)
	}
	select {
	case <-second.ready:
		t.Error("it became ready")
	default:
	}
	third := live(t, dir, nil)
	if ev := buyAs(t, third.at().listen, "kept"); !ev.Replay {
		t.Error("the order of the first run was executed again")
	}
	if err := third.end(); err != nil {
		t.Error(err)
	}
}

// buyAs buys under an id.
func buyAs(t *testing.T, addr, id string) *client.Event {
	t.Helper()
	c := dial(t, addr)
	defer c.Close() //nolint:errcheck // it was answered
	ev, err := c.Order(t.Context(), client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100,
		ClientOrderID: id})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func dial(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), addr, client.Options{Account: 100001, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLastCheckpoint: what a server that stops in order leaves has been checkpointed, so the next start replays nothing.
func TestLastCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := live(t, dir, nil)
	buyAs(t, first.at().listen, "x")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	if made := first.store.journal.Load().Stats().Checkpoints; made != 1 {
		t.Errorf("%d checkpoints were made, want the last one", made)
	}
	var total uint64
	j, err := journal.Open(dir, first.store.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Recover(t.Context(), discard{}, func(_, of uint64) { total = of }); err != nil || total != 3 {
		t.Errorf("recovered %d accounts and commits, %v; want the 3 accounts alone", total, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestReadOnly takes the room on the disk away and gives it back. Orders are refused meanwhile, and all else goes on.
func TestReadOnly(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	l := live(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		s.store.options.FreeBytes = func() (uint64, error) { return free.Load(), nil }
	})
	at := l.at()
	buyAs(t, at.listen, "before")
	readOnly := func() uint64 {
		all, err := console.NewClient(at.admin, "").Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all.Counters {
			if c.Name == "read_only" {
				return c.Value
			}
		}
		t.Fatal("there is no counter read_only")
		return 0
	}
	free.Store(uint64(l.cfg.DiskFreeBytesMin) - 1)
	eventually(t, "the server is read-only", func() bool { return readOnly() == 1 })
	c := dial(t, at.listen)
	defer c.Close() //nolint:errcheck // the end of the test
	_, err := c.Order(t.Context(), client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100,
		ClientOrderID: "meanwhile"})
	var refused *client.Reject
	if !errors.As(err, &refused) || refused.Code != client.ReadOnly {
		t.Errorf("an order on a full disk: %v, want READ_ONLY", err)
	}
	if _, err := c.Holdings(t.Context()); err != nil {
		t.Errorf("holdings on a full disk: %v", err)
	}
	if h, err := c.History(t.Context(), 0, 5); err != nil || len(h.Events) == 0 {
		t.Errorf("history on a full disk: %v, %v", h, err)
	}
	if err := console.NewClient(at.admin, "").Ready(t.Context()); err != nil {
		t.Errorf("/readyz on a full disk: %v", err)
	}
	free.Store(uint64(l.cfg.DiskFreeBytesMin))
	eventually(t, "there is room again", func() bool { return readOnly() == 0 })
	if ev := buyAs(t, at.listen, "meanwhile"); ev.Replay {
		t.Error("the order that was refused had been executed")
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// TestStoreClosed: a backup that is asked for when the journal closes, or when another one is made, is refused.
func TestStoreClosed(t *testing.T) {
	l := live(t, filepath.Join(t.TempDir(), "data"), nil)
	l.at()
	out := filepath.Join(t.TempDir(), "out")
	l.store.backup.Lock()
	_, err := l.store.backUp(out)
	l.store.backup.Unlock()
	var conflict console.Conflict
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("two backups at a time: %v", err)
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.store.backUp(out); !errors.Is(err, console.ErrNotReady) {
		t.Errorf("a backup of a closed journal: %v", err)
	}
	if _, err := os.Lstat(out); err == nil {
		t.Error("a refused backup left a directory")
	}
}

// TestBackupPlaces: a place where no backup can be made is the mistake of whoever named it, and no failure of the server; nothing is
// left there, and what was there stays.
func TestBackupPlaces(t *testing.T) {
	l := live(t, filepath.Join(t.TempDir(), "data"), nil)
	c := console.NewClient(l.at().admin, "")
	dir := t.TempDir()
	for _, name := range []string{"left.unfinished", "there"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"loop": "loop", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := entries(t, dir)
	for out, want := range map[string]string{
		"left":                           "left.unfinished is left over from a backup that was cut off, or another one is writing it; remove it, or name another directory",
		"there":                          "there exists, and a backup is written over nothing",
		"dangling":                       "dangling exists, and a backup is written over nothing",
		"file/backup":                    "is not a directory, so no backup can be put into it",
		"missing/backup":                 "there is no directory",
		"loop/backup":                    "no backup can be put into",
		strings.Repeat("n", 245):         "the name of the backup is too long for its disk; write a shorter one",
		strings.Repeat("n", 255):         "the name of the backup is too long",
		strings.Repeat("n", 300):         "the name of the backup is too long",
		strings.Repeat("n/", 2000) + "n": "", // there is no such directory, or no such path
	} {
		_, err := c.Backup(t.Context(), filepath.Join(dir, out))
		var refused *console.Error
		if !errors.As(err, &refused) || refused.Status/100 != 4 || !strings.Contains(refused.Text, want) {
			t.Errorf("%.40s: %+v, want 4xx, %s", out, err, want)
		}
	}
	_, err := c.Backup(t.Context(), "/proc/backup")
	var refused *console.Error
	if !errors.As(err, &refused) || refused.Status != 409 || !strings.HasPrefix(refused.Text, "no backup can be made there: ") {
		t.Errorf("where nobody may write: %+v", err)
	}
	if after := entries(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("there are %q, before there were %q", after, before)
	}
	if _, err := c.Backup(t.Context(), filepath.Join(dir, strings.Repeat("n", 244))); err != nil {
		t.Errorf("the longest name: %v", err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// entries are the names in a directory.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// TestAdminHosts: a server that runs goes by the names it was given, and by no other.
func TestAdminHosts(t *testing.T) {
	l := live(t, filepath.Join(t.TempDir(), "data"), func(s *server) { s.cfg.AdminHosts = []string{"desk.example"} })
	address := l.at().admin
	for host, want := range map[string]int{"": 200, "desk.example": 200, "evil.example": 421} {
		req, err := http.NewRequest(http.MethodGet, "http://"+address+"/api/v1/accounts", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Close = host, true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("by the name %q: %s, want %d", host, resp.Status, want)
		}
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// TestNewDirectory refuses what would be written over, or into the data.
func TestNewDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"data/sub", "elsewhere"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "file", "")
	if err := os.Symlink("data", "link"); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		"new": "", "elsewhere/new": "", "data2": "", here + "/new": "",
		"file": "file exists", "elsewhere": "elsewhere exists", "link": "link exists", "nowhere/new": "there is no directory nowhere",
		"file/new": "file is not a directory", "data/new": "inside the data directory", "data/sub/new": "inside the data directory",
		"link/new": "inside the data directory", "./data/../data/new": "inside the data directory", here + "/data/new": "inside the data directory",
	} {
		if err := newDirectory("data", out); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", out, err, want)
		}
	}
}

// TestStoreErrors tells a wrong directory, which is a matter of configuration, from a bad one.
func TestStoreErrors(t *testing.T) {
	inUse := errors.New("the journal in d is in use")
	for _, c := range []struct {
		err    error
		config bool
	}{
		{inUse, true},
		{fmt.Errorf("lock: %w", syscall.EAGAIN), true},
		{fmt.Errorf("make: %w", &os.PathError{Op: "mkdir", Path: "d", Err: syscall.EACCES}), true},
		{fmt.Errorf("make: %w", syscall.ENOTDIR), true},
		{fmt.Errorf("read: %w", syscall.EIO), false},
		{fmt.Errorf("write: %w", syscall.ENOSPC), false},
		{fmt.Errorf("open: %w", &journal.DamageError{Dir: "d", Where: "commit 7", Err: errors.New("it is missing")}), false},
		{fmt.Errorf("recover: %w", context.Canceled), false},
	} {
		err := asStoreError(c.err)
		var config configError
		if errors.As(err, &config) != c.config || !errors.Is(err, c.err) {
			t.Errorf("%v became %v; a matter of configuration: want %v", c.err, err, c.config)
		}
	}
}

// TestOpeningRecord survives being written again, and is not taken for one when it is garbage.
func TestOpeningRecord(t *testing.T) {
	dir := t.TempDir()
	if _, found, err := readOpening(dir); found || err != nil {
		t.Errorf("of no record: %v, %v", found, err)
	}
	for _, want := range []openingRecord{{Accounts: 3, Seed: 7}, {Accounts: accountsMax, Seed: 1<<64 - 1}} {
		if err := want.write(dir); err != nil {
			t.Fatal(err)
		}
		if got, found, err := readOpening(dir); got != want || !found || err != nil {
			t.Errorf("read %+v, %v, %v; want %+v", got, found, err, want)
		}
	}
	for _, text := range []string{
		"", "{", `{"accounts":0,"seed":1}`, `{"accounts":1000001}`, `{"accounts":"3"}`, `{"accounts":3,"accounts":4}`, `{"Accounts":3,"seed":1}`, `{"accounts":3e0}`,
		`{"accounts":3,"seed":1}{"accounts":4}`,
	} {
		write(t, filepath.Join(dir, openingFile), text)
		if _, found, err := readOpening(dir); found || err == nil {
			t.Errorf("%q: %v, %v", text, found, err)
		}
	}
}

// discard is recovered into, and keeps nothing.
type discard struct{}

func (discard) Load(*engine.AccountState) error { return nil }

func (discard) ShardOf(uint64) int { return 0 }

func (discard) Replay(*positions.Event) error { return nil }

// TestRestore backs a server up while it runs, goes on, and starts another on the backup: it has what there was, no more, and an
// epoch of its own, so that a client that knows more is given a snapshot.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	first := live(t, filepath.Join(dir, "data"), nil)
	at := first.at()
	kept := buyAs(t, at.listen, "before")
	backup := filepath.Join(dir, "backup")
	if b, err := console.NewClient(at.admin, "").Backup(t.Context(), backup); err != nil || b.Out != backup || b.Bytes == 0 {
		t.Fatalf("backup: %+v, %v", b, err)
	}
	late := buyAs(t, at.listen, "after")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	second := live(t, backup, nil)
	at = second.at()
	c, err := client.Dial(t.Context(), at.listen, client.Options{
		Account: 100001, Mode: client.ModeResume, Epoch: first.store.Epoch(), LastSeq: late.Seq, DiscardEvents: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the end of the test
	r := c.LoginReply()
	if c.Welcome().Epoch == first.store.Epoch() || r.Mode != client.ModeSnapshot || !r.Resynced ||
		r.HeadSeq != kept.Seq {
		t.Errorf("epoch %x, was %x; the resume from event %d was answered with {%v}, want a snapshot as of event %d, resynced",
			c.Welcome().Epoch, first.store.Epoch(), late.Seq, r, kept.Seq)
	}
	if ev := buyAs(t, at.listen, "before"); !ev.Replay || ev.Seq != kept.Seq {
		t.Errorf("an order of before the backup: event %d, a repeat: %v; want event %d again", ev.Seq, ev.Replay,
			kept.Seq)
	}
	if ev := buyAs(t, at.listen, "after"); ev.Replay || ev.Seq != late.Seq {
		t.Errorf("an order that the backup does not have: event %d, a repeat: %v; want it executed", ev.Seq, ev.Replay)
	}
	if err := second.end(); err != nil {
		t.Fatal(err)
	}
	third := live(t, backup, nil)
	third.at()
	if third.store.Epoch() != second.store.Epoch() {
		t.Error("the second start from a backup takes another epoch; only the first should")
	}
	if err := third.end(); err != nil {
		t.Error(err)
	}
}
