package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/engine/gateway"
)

// liveEvent is an event of a stream.
type liveEvent struct {
	name string
	Tick uint64 `json:"tick"`
	liveData
}

// liveData is what the tests look at.
type liveData struct {
	State    string        `json:"state"`
	Percent  *int          `json:"percent"`
	Epoch    string        `json:"epoch"`
	Build    string        `json:"build"`
	Overview *Overview     `json:"overview"`
	Sessions *Sessions     `json:"sessions"`
	Prices   []Money       `json:"prices"`
	Accounts []LiveAccount `json:"accounts"`
	Rings    *Rings        `json:"rings"`
}

// viewer takes a stream.
type viewer struct {
	t      *testing.T
	header http.Header
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	status  int
	text    []byte
	writes  int
	drop    bool          // what is written
	slow    time.Duration // how long each write takes
	failing bool
}

func (v *viewer) Header() http.Header              { return v.header }
func (v *viewer) WriteHeader(status int)           { v.status = status }
func (v *viewer) FlushError() error                { return nil }
func (v *viewer) SetWriteDeadline(time.Time) error { return nil }

func (v *viewer) Write(b []byte) (int, error) {
	time.Sleep(v.slow)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failing {
		return 0, io.ErrClosedPipe
	}
	v.writes++
	if !v.drop {
		v.text = append(v.text, b...)
	}
	return len(b), nil
}

// view begins a stream. It is over when leave returns.
func (f *fixture) view(t *testing.T, topics string, change ...func(*viewer)) *viewer {
	ctx, cancel := context.WithCancel(t.Context())
	v := &viewer{t: t, header: make(http.Header), cancel: cancel, ended: make(chan struct{})}
	for _, c := range change {
		c(v)
	}
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/live?topics="+topics, nil)
	r.Host = "127.0.0.1:7301"
	go func() {
		defer close(v.ended)
		f.server.http.Handler.ServeHTTP(v, r)
	}()
	return v
}

func (v *viewer) leave() {
	v.cancel()
	<-v.ended
}

// events returns what has come.
func (v *viewer) events() (all []liveEvent) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range strings.Split(strings.TrimSuffix(string(v.text), "\n\n"), "\n\n") {
		if text == "" {
			continue
		}
		var e liveEvent
		for _, line := range strings.Split(text, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "event":
				e.name = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e); err != nil {
					v.t.Fatalf("%v in %s", err, value)
				}
			}
		}
		all = append(all, e)
	}
	return all
}

func (v *viewer) last() liveEvent {
	v.t.Helper()
	all := v.events()
	if len(all) == 0 {
		v.t.Fatalf("no event has come; status %d", v.status)
	}
	return all[len(all)-1]
}

// inBubble runs a test of a console that nobody serves, on a clock of its own.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := unserved(t, change)
		defer func() {
			f.server.stop()
			f.server.sampler.wait()
		}()
		test(t, f)
	})
}

// pass lets seconds pass, and a little more, so that the tick of the last one is written.
func pass(seconds int) {
	time.Sleep(time.Duration(seconds)*time.Second + 100*time.Millisecond)
	synctest.Wait()
}

// TestLive: a stream begins with the rings, and gets a tick a second, of its topics alone; however many streams there
// are, a tick is made once a second; when nobody watches, none is made.
func TestLive(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		all := f.view(t, "overview,sessions,prices")
		synctest.Wait()
		streams := []*viewer{all}
		for range streamsMax - 1 {
			streams = append(streams, f.view(t, "sessions"))
		}
		pass(5)
		events := all.events()
		if len(events) != 6 || events[0].name != "start" || events[0].Rings == nil {
			t.Fatalf("%d events, the first %s", len(events), events[0].name)
		}
		for i, e := range events {
			if e.Tick != uint64(i+1) || e.State != StateReady || e.Epoch != "0000000000000007" || e.Build != "1.2.3" ||
				e.Overview == nil || e.Prices == nil || i > 0 && (e.name != "tick" || e.Rings != nil) {
				t.Errorf("event %d: %+v", i, e)
			}
		}
		if s := events[5].Sessions; s == nil || len(s.Sessions) != 3 || s.Totals.WaitingBytes != 77 {
			t.Errorf("sessions: %+v", s)
		}
		if q := f.list.search; !q.Descending || q.Limit != topSessions {
			t.Errorf("the sessions with most waiting are looked for by %+v", q)
		}
		if e := streams[7].last(); e.Sessions == nil || e.Overview != nil || e.Prices != nil || e.Accounts != nil {
			t.Errorf("of sessions alone: %+v", e)
		}
		if f.server.sampler.built != 6 {
			t.Errorf("%d ticks were made in 5 seconds", f.server.sampler.built)
		}
		if w := f.ask("GET", "/api/v1/live", ""); w.Code != 503 || w.Header().Get("Retry-After") != "5" {
			t.Errorf("one stream too many: %d %s", w.Code, w.Body)
		}
		streams[3].leave()
		streams[3] = f.view(t, "overview")
		synctest.Wait()
		if streams[3].last().name != "start" {
			t.Error("there is no room where somebody has left")
		}
		for _, v := range streams {
			v.leave()
		}
		pass(16)
		built := f.server.sampler.built
		if pass(60); f.server.sampler.built != built || built > 6+17 {
			t.Errorf("%d ticks, then %d: somebody samples where nobody watches", built, f.server.sampler.built)
		}
		again := f.view(t, "prices")
		synctest.Wait()
		ring := again.last().Rings.Figures[0]
		n := len(ring.Seconds)
		unknown := slices.IndexFunc(ring.Seconds[2:], func(v *float64) bool { return v == nil }) + 2
		if n < 75 || ring.Seconds[n-1] == nil || ring.Seconds[n-2] != nil || unknown > int(built) {
			t.Errorf("%d values, of which the %dth is not known", n, unknown)
		}
		prices := again.last().Rings.Prices[0]
		if len(prices) != n || prices[n-1] == nil || prices[n-2] != nil {
			t.Errorf("%d prices", len(prices))
		}
		again.leave()
	})
}

// between changes what the sampler looks at, between two looks.
func (f *fixture) between(change func()) {
	f.server.sampler.taking.Lock()
	defer f.server.sampler.taking.Unlock()
	change()
}

// TestLiveWhileRecovering: a stream is answered in every state, and says which.
func TestLiveWhileRecovering(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		f.state, f.ledger.err = StateRecovering, ErrNotReady
		v := f.view(t, "overview,account:100017")
		synctest.Wait()
		if e := v.last(); v.status != 200 || e.State != StateRecovering || e.Percent == nil || *e.Percent != 43 ||
			e.Epoch != "" ||
			e.Accounts[0].Error != "unavailable" {
			t.Errorf("%d %+v", v.status, e)
		}
		f.between(func() { f.state, f.ledger.err = "", nil })
		pass(1)
		if e := v.last(); e.State != StateReady || e.Percent != nil || len(e.Accounts) != 1 ||
			e.Accounts[0].Holdings == nil {
			t.Errorf("%+v", e)
		}
		v.leave()
	})
}

// TestLiveConflates: who takes its time gets the newest tick, and none of those between; it holds nobody up. To whom
// nothing can be written, nothing more is.
func TestLiveConflates(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		slow := f.view(t, "overview", func(v *viewer) { v.slow = 4500 * time.Millisecond })
		quick := f.view(t, "overview")
		broken := f.view(t, "overview", func(v *viewer) { v.failing = true })
		pass(20)
		<-broken.ended
		if got := len(quick.events()); got != 21 {
			t.Errorf("the quick one has %d events", got)
		}
		events := slow.events()
		if len(events) != 4 {
			t.Fatalf("the slow one has %d events", len(events))
		}
		for i, e := range events[1:] {
			if e.Tick-events[i].Tick < 4 {
				t.Errorf("tick %d after %d", e.Tick, events[i].Tick)
			}
		}
		if f.server.sampler.streams != 2 {
			t.Errorf("%d streams are counted", f.server.sampler.streams)
		}
		slow.leave()
		quick.leave()
	})
}

// TestLiveAccount: an account is told when it changes, with its newest events and how many are not shown; while it does
// not change, its book is asked for no more than its sequence.
func TestLiveAccount(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		longLedger(t, f, 50)
		grow := func(events int) {
			f.between(func() {
				longLedger(t, f, events)
				f.ledger.accounts[0].Seq = uint64(events)
			})
		}
		grow(50)
		v := f.view(t, "account:100017,account:7")
		synctest.Wait()
		first := v.last()
		if a := first.Accounts[0]; *a.AfterSeq != 0 || len(a.Events) != 50 || *a.Skipped != 0 ||
			a.Holdings.AsOfSeq != 50 ||
			*a.Sessions != 2 || first.Accounts[1].Error != "unknown_account" {
			t.Errorf("%+v", first.Accounts)
		}
		f.between(func() { f.ledger.limit = -1 })
		if pass(3); len(v.last().Accounts) != 0 || f.ledger.limit != -1 {
			t.Errorf("nothing has changed: %+v", v.last().Accounts)
		}
		grow(53)
		pass(1)
		if a := v.last().Accounts; len(a) != 1 || *a[0].AfterSeq != 50 || len(a[0].Events) != 3 ||
			a[0].Events[0].Seq != 53 ||
			*a[0].Skipped != 0 {
			t.Errorf("three events: %+v", a)
		}
		grow(500)
		pass(1)
		if a := v.last().Accounts[0]; *a.AfterSeq != 53 || len(a.Events) != newestEvents || *a.Skipped != 347 ||
			a.Events[0].Seq != 500 {
			t.Errorf("many events: after %d, %d, skipped %d", *a.AfterSeq, len(a.Events), *a.Skipped)
		}
		late := f.view(t, "account:100017")
		synctest.Wait()
		if a := late.last().Accounts; len(a) != 1 || a[0].Holdings.AsOfSeq != 500 {
			t.Errorf("who comes later sees %+v", a)
		}
		late.leave()
		v.leave()
		if n := len(f.server.sampler.accounts); n != 0 {
			t.Errorf("%d accounts are watched by nobody", n)
		}
	})
}

// TestLiveAccountsMax: of all streams together, so many accounts are watched and no more.
func TestLiveAccountsMax(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		var streams []*viewer
		for i := range accountsWatched / streamAccounts {
			var names []string
			for j := range streamAccounts {
				names = append(names, fmt.Sprintf("account:%d", 1+i*streamAccounts+j))
			}
			streams = append(streams, f.view(t, strings.Join(names, ",")))
		}
		synctest.Wait()
		if w := f.ask("GET", "/api/v1/live?topics=account:9999", ""); w.Code != 503 {
			t.Errorf("one account too many: %d %s", w.Code, w.Body)
		}
		same := f.view(t, "account:1")
		synctest.Wait()
		if same.status != 200 {
			t.Errorf("an account that is watched already: %d", same.status)
		}
		for _, v := range append(streams, same) {
			v.leave()
		}
	})
}

// stuckLoops do not answer.
type stuckLoops struct {
	*roster
	free chan struct{}
}

func (l *stuckLoops) FindSessions(q gateway.SessionSearch) ([]gateway.SessionInfo, int, gateway.SessionTotals) {
	<-l.free
	return l.roster.FindSessions(q)
}

// TestLiveWithoutLoops: a stream goes on where the event loops stand still; only the sessions are missing, and are
// asked for once.
func TestLiveWithoutLoops(t *testing.T) {
	stuck := &stuckLoops{free: make(chan struct{})}
	inBubble(t, func(c *Config) {
		stuck.roster = c.Sessions.(*roster)
		stuck.free = make(chan struct{})
		c.Sessions = stuck
	}, func(t *testing.T, f *fixture) {
		v := f.view(t, "sessions,overview")
		pass(3)
		if e := v.last(); len(v.events()) < 3 || e.Sessions != nil || e.Overview == nil {
			t.Errorf("%d events, the last %+v", len(v.events()), e)
		}
		close(stuck.free)
		pass(2)
		if e := v.last(); e.Sessions == nil {
			t.Error("the sessions do not come back")
		}
		v.leave()
	})
}

// TestLiveMemory counts what 32 streams with all topics take after ten minutes.
func TestLiveMemory(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		before := heap()
		var streams []*viewer
		for i := range streamsMax {
			streams = append(streams, f.view(t, fmt.Sprintf("overview,sessions,prices,account:%d", 100000+i),
				func(v *viewer) { v.drop = true }))
		}
		pass(600)
		const limit = 4 << 20
		if after := heap(); after > before+limit {
			t.Errorf("%d streams take %d bytes, over %d", streamsMax, after-before, limit)
		} else {
			t.Logf("%d streams take %d bytes", streamsMax, int64(after)-int64(before)) //nolint:gosec // sizes
		}
		if f.server.sampler.built != 601 || streams[9].writes != 601 {
			t.Errorf("%d ticks were made in 600 seconds, and %d written", f.server.sampler.built, streams[9].writes)
		}
		for _, v := range streams {
			v.leave()
		}
	})
}

// TestLiveByHTTP reads a stream as a browser does. It outlives the time that other answers may take to be written, and
// ends when the server does.
func TestLiveByHTTP(t *testing.T) {
	f := newFixtureWith(t, func(*Config) {})
	resp, err := http.Get(f.url + "/api/v1/live?topics=overview,account:100017")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" ||
		resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var got []string
	for len(got) < 8 && lines.Scan() {
		got = append(got, lines.Text())
	}
	want := []string{"retry: 2000", "event: start", "id: 1", "data: {", "", "event: tick", "id: 2", "data: {"}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) || want[i] == "" && got[i] != "" {
			t.Fatalf("the stream is %.60q, want %q", got, want)
		}
	}
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // it ends
		continue
	}
	if head, err := http.NewRequest(http.MethodHead, f.url, nil); err != nil || head == nil {
		t.Fatal(err)
	}
}

// TestLiveHead: HEAD is answered, and not with a stream.
func TestLiveHead(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		if w := f.ask("HEAD", "/api/v1/live", ""); w.Code != 200 || w.Body.Len() != 0 || f.server.sampler.streams != 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestTopics: what is no topic is refused with a sentence.
func TestTopics(t *testing.T) {
	for topics, want := range map[string]string{
		"":                    "topics is empty",
		"all":                 `"all" is no topic; topics are overview, sessions, prices and account:NUMBER`,
		"overview,":           `"" is no topic`,
		"prices,prices":       "prices is there twice; write it once",
		"account:ann":         `"account:ann" is not an account; write its number, as in account:100017`,
		"account:0":           "is not an account",
		"account:07":          "is not an account",
		"account:7,account:7": "account:7 is there twice",
		"account:1,account:2,account:3,account:4,account:5,account:6,account:7,account:8," +
			"account:9": "9 accounts are more than " +
			"the 8 of a stream",
	} {
		f := newFixture(t, "")
		w := f.ask("GET", "/api/v1/live?topics="+topics, "")
		if w.Code != 400 || !strings.Contains(w.Body.String(), strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s: %d %s, want %s", topics, w.Code, w.Body, want)
		}
	}
}

// TestInstrumentPrices: who asks for prices has them sampled for a while.
func TestInstrumentPrices(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, f *fixture) {
		ask := func() (p InstrumentPrices) {
			w := f.ask("GET", "/api/v1/instruments/"+f.server.cfg.Universe.At(0).String()+"/prices", "")
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 {
				t.Fatal(w.Code, w.Body, err)
			}
			return p
		}
		if p := ask(); len(p.Prices) != 1 || *p.Prices[0] != p.Price || p.Price != 12_3456 {
			t.Errorf("%+v", p)
		}
		pass(9)
		if p := ask(); len(p.Prices) != 10 || p.Prices[4] == nil {
			t.Errorf("%d prices", len(p.Prices))
		}
		pass(60)
		if p := ask(); len(p.Prices) != 70 || p.Prices[68] != nil || p.Prices[69] == nil {
			t.Errorf("%d prices", len(p.Prices))
		}
	})
}

// TestRings: rings have the newest values, oldest first, the means of ten, and a gap where nobody watched.
func TestRings(t *testing.T) {
	r := newRings(1, 1)
	at := time.Unix(1_700_000_000, 0)
	want := []float64{}
	for i := range 5000 {
		step := 1
		if i == 4500 {
			step = 8
		}
		for range step - 1 {
			want = append(want, math.NaN())
		}
		at = at.Add(time.Duration(step) * time.Second)
		r.take(at, []float64{float64(i)}, func(int) int64 { return int64(i + 1) })
		want = append(want, float64(i))
	}
	same := func(got, want []float64) bool {
		return slices.EqualFunc(got, want, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	}
	for _, n := range []int{0, 1, 299, 300, 301} {
		if got := r.last(&r.figures[0], n); !same(got, want[len(want)-min(n, secondsKept):]) {
			t.Errorf("the last %d: %v", n, got)
		}
	}
	var tens []float64
	for i := 0; i+tenSeconds <= len(want); i += tenSeconds {
		tens = append(tens, mean(want[i:i+tenSeconds]))
	}
	if got := newest(r.figures[0].tens[:], r.tens, tenSecondsKept); !same(got, tens[len(tens)-tenSecondsKept:]) {
		t.Errorf("means: %v", got[len(got)-5:])
	}
}

// TestAlarms: each condition raises its alarm, and nothing else does.
func TestAlarms(t *testing.T) {
	old := time.Unix(1_700_000_000, 0)
	calm := func() (About, *look, *rings) {
		return About{State: StateReady}, &look{
			at: old.Add(time.Hour), counters: map[string]uint64{}, latencies: map[string]Latency{},
			limits:  map[string]Limit{"connections": {Value: 10, Limit: 100}, "disk_free": {Value: 1000, Limit: 100}},
			journal: JournalState{CheckpointAt: &old},
		}, newRings(len(figures), 0)
	}
	fill := func(r *rings, values map[string]float64) {
		for range 20 {
			v := make([]float64, len(figures))
			for name, value := range values {
				v[figureIndex[name]] = value
			}
			r.add(v, nil)
		}
	}
	for name, change := range map[string]func(*About, *look, *rings){
		"":                  func(*About, *look, *rings) {},
		"PapertapeNotReady": func(a *About, _ *look, _ *rings) { a.State, a.Reason = StateDraining, "draining" },
		"PapertapePanic":    func(_ *About, l *look, _ *rings) { l.counters["panics"] = 1 },
		"PapertapePushLag":  func(_ *About, l *look, _ *rings) { l.latencies["push"] = Latency{P99MS: 101} },
		"PapertapeSlowSync": func(_ *About, l *look, _ *rings) { l.latencies["sync"] = Latency{P99MS: 51} },
		"PapertapeReadOnly": func(_ *About, l *look, _ *rings) { l.counters["read_only"] = 1 },
		"PapertapeDiskFull": func(_ *About, l *look, _ *rings) {
			l.limits["disk_free"] = Limit{Value: 399,
				Limit: 100}
		},
		"PapertapeCheckpointStale": func(_ *About, l *look, _ *rings) { l.journal.UncheckpointedBytes = 1 },
		"PapertapeConnectionsNearLimit": func(_ *About, l *look, _ *rings) {
			l.limits["connections"] = Limit{Value: 91, Limit: 100}
		},
		"PapertapeBusy": func(_ *About, _ *look, r *rings) {
			fill(r,
				map[string]float64{"busy": 2, "requests": 100})
		},
		"PapertapeSlowClients":    func(_ *About, _ *look, r *rings) { fill(r, map[string]float64{"cut": 1}) },
		"PapertapeReconnectStorm": func(_ *About, _ *look, r *rings) { fill(r, map[string]float64{"refused": 101}) },
	} {
		about, l, r := calm()
		change(&about, l, r)
		var a alarms
		found := a.check(&about, l, r)
		if name == "" && len(found) != 0 || name != "" && (len(found) != 1 || found[0].Name != name ||
			found[0].Text == "" ||
			found[0].Severity != page && found[0].Severity != ticket || !found[0].Since.Equal(l.at)) {
			t.Errorf("%s: %+v", name, found)
		}
		first := l.at
		l.at = l.at.Add(time.Minute)
		for _, again := range a.check(&about, l, r) {
			if !again.Since.Equal(first) {
				t.Errorf("%s is since %v, want %v", name, again.Since, first)
			}
		}
	}
}

// TestFigures: rates are of what has happened between two looks, and what is not known is not 0.
func TestFigures(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	before := &look{at: at, counters: map[string]uint64{"events": 100, "cut_outbox": 1, "cut_stalled": 0,
		"cut_total": 0, "lost": 0}}
	now := &look{at: at.Add(2 * time.Second), counters: map[string]uint64{
		"events": 300, "cut_outbox": 2, "cut_stalled": 3, "cut_total": 0, "lost": 0, "connections": 7,
	}}
	f := unserved(t, func(*Config) {})
	real := f.server.look(at) // for what the runtime says
	before.runtime, now.runtime = real.runtime, real.runtime
	values := valuesOf(now, before)
	for name, want := range map[string]float64{"events": 100, "cut": 2, "connections": 7, "requests": math.NaN(),
		"push_p99": math.NaN(), "disk_free_bytes": math.NaN(), "events_a_commit": math.NaN(), "fills": 0} {
		if got := values[figureIndex[name]]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if v := valuesOf(now, nil)[figureIndex["events"]]; !math.IsNaN(v) {
		t.Errorf("a rate of one look is %v", v)
	}
	if *known(1.23456) != 1.235 || known(math.NaN()) != nil {
		t.Error("a value is not rounded")
	}
	if values[figureIndex["heap_bytes"]] < 1000 || values[figureIndex["goroutines"]] < 1 {
		t.Errorf("of the runtime: %v", values)
	}
}
