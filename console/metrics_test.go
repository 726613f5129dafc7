package console

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestReadyVerbose: a line a check, whatever they say, and the status that there would be without them.
func TestReadyVerbose(t *testing.T) {
	sick := func(c *Config) {
		c.Checks = func() []Check { return []Check{{"loops", true, "lag 1ms"}, {"disk", false, "1 MiB free"}} }
	}
	f := newFixtureWith(t, sick)
	const checks = "[+]loops lag 1ms\n[-]disk 1 MiB free\n"
	if w := f.ask("GET", "/readyz?verbose", ""); w.Code != 200 || w.Body.String() != checks+"readyz check passed\n" {
		t.Errorf("ready: %d\n%s", w.Code, w.Body)
	}
	f.ready = errors.New("draining")
	if w := f.ask("GET", "/readyz?verbose", ""); w.Code != 503 ||
		w.Body.String() != checks+"readyz check failed: draining\n" {
		t.Errorf("not ready: %d\n%s", w.Code, w.Body)
	}
	f = newFixtureWith(t, func(c *Config) { c.Checks = nil })
	if w := f.ask("GET", "/readyz?verbose", ""); w.Code != 200 || w.Body.String() != "readyz check passed\n" {
		t.Errorf("without checks: %d\n%s", w.Code, w.Body)
	}
}

// TestMetricsAreGuarded: they are read as everything else is, and are not there where nobody makes them.
func TestMetricsAreGuarded(t *testing.T) {
	f := newFixture(t, "0123456789abcdef")
	if w := f.ask("GET", "/metrics", ""); w.Code != 401 {
		t.Errorf("without a key: %d, want 401", w.Code)
	}
	if w := f.ask("GET", "/metrics", "", "Authorization", "Bearer 0123456789abcdef"); w.Code != 200 ||
		w.Body.String() != "up 1\n" {
		t.Errorf("with one: %d %s", w.Code, w.Body)
	}
	if w := f.ask("HEAD", "/metrics", "", "Authorization", "Bearer 0123456789abcdef"); w.Code != 200 {
		t.Errorf("HEAD: %d, want 200", w.Code)
	}
	if w := f.askHost("evil.example", "GET", "/metrics", ""); w.Code != 421 {
		t.Errorf("under another host's name: %d, want 421", w.Code)
	}
	f = newFixtureWith(t, func(c *Config) { c.Metrics = nil })
	if w := f.ask("GET", "/metrics", ""); w.Code != 404 {
		t.Errorf("without metrics: %d, want 404", w.Code)
	}
}

// TestAnswersAreCounted by the class of their status.
func TestAnswersAreCounted(t *testing.T) {
	f := newFixture(t, "")
	for target, n := range map[string]int{"/livez": 3, "/nowhere": 2, "/readyz?verbose": 1} {
		for range n {
			f.ready = errors.New("not now")
			f.ask("GET", target, "")
		}
	}
	if got, want := f.server.Stats().Answers, [4]uint64{3, 0, 2, 1}; got != want {
		t.Errorf("%v answers, want %v", got, want)
	}
	f = newFixture(t, "0123456789abcdef")
	f.ask("GET", "/api/v1/counters", "")
	f.ask("GET", "/api/v1/counters", "", "Authorization", "Bearer wrong")
	if st := f.server.Stats(); st.Unauthorized != 2 || st.Streams != 0 {
		t.Errorf("%+v, want 2 unauthorized and no streams", st)
	}
}

// TestStatusWriter: the first status counts, one that is only announced does not, and a handler still finds what is
// behind it.
func TestStatusWriter(t *testing.T) {
	var c counted
	h := c.countAnswers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil && r.URL.Path == "/flush" {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(200)
		case "/late":
			_, _ = w.Write([]byte("x"))
			w.WriteHeader(500)
		case "/panic":
			panic(http.ErrAbortHandler)
		}
	}))
	for _, path := range []string{"/flush", "/early", "/late", "/panic"} {
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}()
	}
	if got := [3]uint64{c.answers[0].Load(), c.answers[2].Load(), c.answers[3].Load()}; got != [3]uint64{3, 1, 0} {
		t.Errorf("2xx, 4xx and 5xx: %v, want 3, 1 and 0", got)
	}
}
