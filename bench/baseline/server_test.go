package baseline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/bench/judge"
	"github.com/papertape/papertape/bench/venue"
	"github.com/papertape/papertape/codec"
)

// running is a server under test.
type running struct {
	*Server
	t       *testing.T
	address string
	cancel  context.CancelFunc
	done    chan error
}

func config() Config {
	return Config{
		Venue: venue.Config{Accounts: judge.AccountsMin, Seed: 1, Server: "baseline", Epoch: 1,
			Storage: venue.StorageNone, StorageWorkers: 4},
		Workers: 10, Writer: WriterDirect, Writers: 10, ConnectionsMax: 100,
	}
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: s, t: t, address: l.Addr().String(), cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Serve: %v", err)
	}
}

// variants returns all kinds of writer with all kinds of storage, and other numbers of
// workers.
func variants(t *testing.T) map[string]Config {
	all := make(map[string]Config)
	for _, w := range Writers() {
		for _, s := range venue.Storages() {
			cfg := config()
			cfg.Writer, cfg.Venue.Storage, cfg.Venue.File = w, s, filepath.Join(t.TempDir(), "events")
			all[fmt.Sprintf("writer=%s,storage=%s", w, s)] = cfg
		}
	}
	for _, workers := range []int{1, 40} {
		cfg := config()
		cfg.Workers = workers
		all[fmt.Sprintf("workers=%d", workers)] = cfg
	}
	return all
}

func TestBusiness(t *testing.T) {
	for name, cfg := range variants(t) {
		t.Run(name, func(t *testing.T) {
			r := start(t, cfg)
			judge.Server(t, r.address)
			r.stop()
			if cfg.Venue.Storage != venue.StorageNone {
				stored(t, cfg.Venue.File, r.Stats().Events.Load())
			}
		})
	}
}

// stored checks the file of events: all are there, in sequence for each account.
func stored(t *testing.T, file string, events uint64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	heads, count := make(map[uint64]uint64), uint64(0)
	for len(b) > 0 {
		f, n, err := codec.Cut(b, codec.LimitToClient)
		if err != nil || n == 0 {
			t.Fatalf("after %d events %d bytes are no event: %v", count, len(b), err)
		}
		var ev papertapev1.AccountEvent
		if err := codec.Unmarshal(f.Payload, &ev); err != nil {
			t.Fatal(err)
		}
		if head := heads[ev.GetAccount()]; head != 0 && ev.GetSeq() != head+1 {
			t.Errorf("account %d: %d after %d", ev.GetAccount(), ev.GetSeq(), head)
		}
		heads[ev.GetAccount()] = ev.GetSeq()
		b, count = b[n:], count+1
	}
	if count != events || count == 0 {
		t.Errorf("%d events are stored, want %d", count, events)
	}
}

// TestFlow: all sessions of an account get its simulated fills, once and in sequence.
func TestFlow(t *testing.T) {
	for _, w := range Writers() {
		t.Run(string(w), func(t *testing.T) {
			cfg := config()
			cfg.Writer, cfg.Rate, cfg.Venue.Accounts = w, 5000, 5
			r := start(t, cfg)
			var clients []*judge.Client
			for i := range 10 {
				c := judge.Dial(t, r.address)
				c.Login(uint64(100001 + i%5))
				clients = append(clients, c)
			}
			for range 50 {
				for _, c := range clients {
					c.Event() // it checks the sequence against the previous one
				}
			}
			if fills, pushes := r.Stats().Fills.Load(), r.Stats().Pushes.Load(); fills < 250 || pushes < 500 {
				t.Errorf("%d fills and %d pushes were counted", fills, pushes)
			}
			r.stop()
		})
	}
}

// TestDrain stops a server in the middle of a flood: everything it did is answered, in
// order, before GOODBYE.
func TestDrain(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, cfg := range variants(t) {
		t.Run(name, func(t *testing.T) {
			r := start(t, cfg)
			c, idle := judge.Dial(t, r.address), judge.Dial(t, r.address)
			c.Login(100100)
			orders := 20_000
			if cfg.Venue.Storage != venue.StorageNone {
				orders = 3_000 // each is synced
			}
			var batch []byte
			for i := range orders {
				batch = append(batch, c.Order(uint64(i+1), "SH", "600519", int64(100-200*(i%2)))...)
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_ = c.TrySend(batch) // the server closes meanwhile
			}()
			c.Execution(1)
			go r.cancel()
			next := uint64(2)
			for f := c.Read(); f.Type != codec.TypeGoodbye; f = c.Read() {
				if f.ID != next || f.Type != codec.TypeExecution {
					t.Fatalf("%v with id %d, want the answer to %d", f.Type, f.ID, next)
				}
				next++
			}
			if err := <-r.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if orders := r.Stats().Orders.Load(); next-1 != orders {
				t.Errorf("%d orders were done, %d answered", orders, next-1)
			}
			idle.WantGoodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
			<-sent
		})
	}
}

// TestFullDisk: an event that cannot be stored is not shown, and the server ends.
func TestFullDisk(t *testing.T) {
	for _, storage := range []venue.Storage{venue.StorageSync, venue.StoragePool} {
		t.Run(string(storage), func(t *testing.T) {
			cfg := config()
			cfg.Venue.Storage, cfg.Venue.File = storage, "/dev/full"
			r := start(t, cfg)
			c := judge.Dial(t, r.address)
			c.Login(100001)
			c.Send(c.Order(2, "SH", "600519", 100), c.Order(3, "SH", "600519", 100))
			if err := <-r.done; !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Serve: %v", err)
			}
			c.WantGoodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN)
		})
	}
}

// TestFull: a connection too many is told so, and connections that leave make room.
func TestFull(t *testing.T) {
	cfg := config()
	cfg.ConnectionsMax = 2
	r := start(t, cfg)
	first, second := judge.Dial(t, r.address), judge.Dial(t, r.address)
	first.Login(100001)
	nc, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, _ := nc.Read(b)
	if f, _, err := codec.Cut(b[:n], codec.LimitToClient); err != nil || f.Type != codec.TypeGoodbye {
		t.Errorf("the third of two connections got %v, %v", f.Type, err)
	}
	_ = nc.Close()
	second.Close()
	for len(r.all()) > 1 { // until the server has noticed
		first.Holdings(5)
	}
	judge.Dial(t, r.address).Login(100002)
	r.stop()
}

// TestSilence: the login has a deadline; a client that has logged in may be silent for
// longer.
func TestSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	r := start(t, config())
	silent, late := judge.Dial(t, r.address), judge.Dial(t, r.address)
	head := silent.Login(100100).GetHeadSeq()
	time.Sleep(loginTimeout + 100*time.Millisecond)
	if h := silent.Holdings(2); h.GetAsOfSeq() != head {
		t.Errorf("as of %d, want %d", h.GetAsOfSeq(), head)
	}
	late.WantEnd()
	r.stop()
}
