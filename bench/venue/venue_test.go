package venue

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// recorder is a peer that keeps what it is sent.
type recorder struct {
	mu     sync.Mutex
	frames [][]byte
	ended  bool
}

// Send keeps the frame itself, to detect later changes.
func (r *recorder) Send(frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, frame)
}

func (r *recorder) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// types returns the types of all frames so far.
func (r *recorder) types(t *testing.T) (list []codec.Type) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.frames {
		f, n, err := codec.Cut(b, codec.LimitToClient)
		if err != nil || n != len(b) {
			t.Fatalf("%d bytes were sent, of which %d are a frame: %v", len(b), n, err)
		}
		list = append(list, f.Type)
	}
	return list
}

func (r *recorder) last(t *testing.T, m interface {
	UnmarshalVT(b []byte) error
	Reset()
}) codec.Frame {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	f, _, _ := codec.Cut(r.frames[len(r.frames)-1], codec.LimitToClient)
	if err := codec.Unmarshal(f.Payload, m); err != nil {
		t.Fatal(err)
	}
	return f
}

func config() Config {
	return Config{Accounts: 3, Seed: 1, Server: "venue", Epoch: 7, Storage: StorageNone,
		Fatal: func(err error) { panic(err) }}
}

func open(t *testing.T, cfg Config) *Venue {
	t.Helper()
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func enter(t *testing.T, v *Venue, account uint64, mode papertapev1.ResumeMode) (*Session, *recorder) {
	t.Helper()
	r := new(recorder)
	s := v.Connect(r)
	v.Do(s, &Request{Type: codec.TypeLogin, ID: 1, Login: &codec.Login{Account: account, Mode: mode}})
	// With storage, another goroutine handles the login.
	for end := time.Now().Add(time.Minute); s.account.Load() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a login is not answered")
		}
	}
	return s, r
}

func buy(id uint64) *Request {
	return &Request{Type: codec.TypeOrder, ID: id,
		Order: positions.Order{Instrument: market.ID(0), Side: positions.Buy, Quantity: 1}}
}

const snapshot = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT

// TestModes: a login gets the current state, whatever it requested. A client that asked to
// resume is told so, and one that wants no state gets none.
func TestModes(t *testing.T) {
	v := open(t, config())
	for mode, want := range map[papertapev1.ResumeMode]struct {
		mode               papertapev1.ResumeMode
		resynced, holdings bool
	}{
		snapshot: {snapshot, false, true},
		papertapev1.ResumeMode_RESUME_MODE_RESUME:  {snapshot, true, true},
		papertapev1.ResumeMode_RESUME_MODE_RESTART: {snapshot, false, true},
		papertapev1.ResumeMode_RESUME_MODE_QUICK:   {papertapev1.ResumeMode_RESUME_MODE_QUICK, false, false},
	} {
		_, r := enter(t, v, simulator.FirstAccount, mode)
		var reply papertapev1.LoginReply
		r.last(t, &reply)
		if reply.GetMode() != want.mode || reply.GetResynced() != want.resynced ||
			(reply.GetHoldings() != nil) != want.holdings ||
			reply.GetEpoch() != 7 || reply.GetHeadSeq() == 0 {
			t.Errorf("%v was answered %v", mode, &reply)
		}
	}
}

// TestLoginAgain: a connection can log in only once, and the login stays.
func TestLoginAgain(t *testing.T) {
	v := open(t, config())
	s, r := enter(t, v, simulator.FirstAccount, snapshot)
	v.Do(s, &Request{Type: codec.TypeLogin, ID: 2, Login: &codec.Login{Account: simulator.FirstAccount + 1}})
	var reject papertapev1.Reject
	const again = papertapev1.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN
	if f := r.last(t, &reject); f.ID != 2 || reject.GetCode() != again || r.ended {
		t.Errorf("a second login was answered %v %v, ended: %v", f.Type, &reject, r.ended)
	}
}

// TestLeave: a session that has left gets no pushes, even if its login was still waiting
// when it left. An order of it that was still waiting reaches the other sessions as a
// complete EVENT.
func TestLeave(t *testing.T) {
	v := open(t, config())
	r := new(recorder)
	early := v.Connect(r)
	v.Leave(early)
	login := &codec.Login{Account: simulator.FirstAccount, Mode: snapshot}
	v.Do(early, &Request{Type: codec.TypeLogin, ID: 1, Login: login})
	_, watcher := enter(t, v, simulator.FirstAccount, snapshot)
	orderer, mine := enter(t, v, simulator.FirstAccount, snapshot)
	v.Leave(orderer)
	v.Do(orderer, buy(5))
	if got := r.types(t); !slices.Equal(got, []codec.Type{codec.TypeWelcome}) {
		t.Errorf("who left before its login was sent %v", got)
	}
	if got := watcher.types(t); !slices.Equal(got,
		[]codec.Type{codec.TypeWelcome, codec.TypeLoginReply, codec.TypeEvent}) {
		t.Errorf("the other session was sent %v", got)
	}
	if got := mine.types(t); got[len(got)-1] != codec.TypeExecution {
		t.Errorf("who ordered was sent %v", got)
	}
	if n := len(v.accounts[0].sessions); n != 1 {
		t.Errorf("%d sessions are kept, want 1", n)
	}
}

// TestPool: with more accounts than database workers, each event is stored once, before it
// is shown, in the order of its account.
func TestPool(t *testing.T) {
	cfg := config()
	cfg.Storage, cfg.StorageWorkers, cfg.File = StoragePool, 1, filepath.Join(t.TempDir(), "events")
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var recorders []*recorder
	for i := range uint64(3) {
		s, r := enter(t, v, simulator.FirstAccount+i, snapshot)
		for id := range uint64(20) {
			v.Do(s, buy(id+2))
		}
		recorders = append(recorders, r)
	}
	if err := v.Close(); err != nil { // it waits
		t.Fatal(err)
	}
	for i, r := range recorders {
		for n, b := range r.frames[2:] {
			f, _, _ := codec.Cut(b, codec.LimitToClient)
			if f.Type != codec.TypeExecution || f.ID != uint64(n+2) {
				t.Errorf("account %d: answer %d is %v of %d", i, n, f.Type, f.ID)
			}
		}
		if len(r.frames) != 22 {
			t.Errorf("account %d: %d frames, want 22", i, len(r.frames))
		}
	}
}

// TestFlow: skipped fills are counted, and so are those made.
func TestFlow(t *testing.T) {
	v := open(t, config())
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	v.Run(ctx, 10_000, func(account, draw uint64) bool {
		calls++
		if calls == 400 {
			cancel()
		}
		if calls%2 == 0 {
			return false
		}
		v.DoFill(account, draw)
		return true
	})
	s := v.Stats()
	if done := s.Fills.Load() + s.Idle.Load(); done != uint64(calls+1)/2 || s.Skipped.Load() < uint64(calls/2) ||
		s.Fills.Load() == 0 || s.Events.Load() != s.Fills.Load() {
		t.Errorf("of %d fills %d were done, %d executed, %d skipped, %d events", calls, done, s.Fills.Load(),
			s.Skipped.Load(), s.Events.Load())
	}
}

// TestPrices: prices move if that is configured.
func TestPrices(t *testing.T) {
	cfg := config()
	cfg.PriceInterval = time.Millisecond
	v := open(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Run(ctx, 0, nil)
	}()
	for end := time.Now().Add(time.Minute); v.feed.Snapshot().Version() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no price has moved")
		}
	}
	cancel()
	<-done
}

func TestConfig(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Accounts = 0 },
		func(c *Config) { c.Accounts = AccountsMax + 1 },
		func(c *Config) { c.Storage, c.File = StorageSync, "/no such directory/events" },
	} {
		cfg := config()
		change(&cfg)
		if v, err := New(cfg); err == nil {
			t.Errorf("%+v is taken: %v", cfg, v.Close())
		}
	}
}
