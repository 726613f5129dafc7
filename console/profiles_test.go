package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"testing"
)

// record profiles the process without the console, until stop is called.
func record(what string) (stop func()) {
	start, stop := func() error { return pprof.StartCPUProfile(io.Discard) }, pprof.StopCPUProfile
	if what == "trace" {
		start, stop = func() error { return trace.Start(io.Discard) }, trace.Stop
	}
	if err := start(); err != nil {
		panic(err)
	}
	return stop
}

func TestProfiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	f := newFixture(t, "")
	for target, want := range map[string]string{
		"/debug/pprof/":                  `<a href="goroutine?debug=1">goroutine</a>`,
		"/debug/pprof/goroutine?debug=1": "goroutine profile: total",
		"/debug/pprof/goroutine?debug=2": "TestProfiles",
		"/debug/pprof/heap?gc=1&debug=1": "# HeapAlloc = ",
		"/debug/pprof/heap?debug=1&gc=0": "# NumGC = ",
		"/debug/pprof/cmdline":           "console",
		"/debug/pprof/symbol?0x1":        "num_symbols: 1",
	} {
		status, _, body := f.get(t, target)
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d does not say %q:\n%.300s", target, status, want, body)
		}
	}
	for _, target := range []string{"heap", "goroutine", "allocs", "mutex", "heap?seconds=1", "profile?seconds=1",
		"trace?seconds=1"} {
		status, media, body := f.get(t, "/debug/pprof/"+target)
		packed := strings.HasPrefix(body, "\x1f\x8b") || strings.HasPrefix(body, "go 1.")
		if status != 200 || media != octets || !packed {
			t.Errorf("%s: %d, %s, %.20q", target, status, media, body)
		}
	}
	w := f.ask("GET", "/debug/pprof/goroutines", "")
	if w.Code != 404 ||
		!strings.Contains(w.Body.String(), `there is no profile \"goroutines\"; /debug/pprof/ lists them`) {
		t.Errorf("a profile that there is not: %d %s", w.Code, w.Body)
	}
}

// get makes a request over the network.
func (f *fixture) get(t *testing.T, target string) (status int, media, answer string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(f.url + target)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(body)
}

// TestProfileSeconds: a profile cannot take longer than a person waits.
func TestProfileSeconds(t *testing.T) {
	f := newFixture(t, "")
	for _, what := range []string{"profile", "trace", "heap", "goroutine", "mutex", "block", "allocs", "threadcreate"} {
		for _, text := range []string{"0", "61", "100000", "-1", "1.5", "1e1", "0x1", "05", "1s", "NaN",
			"18446744073709551617"} {
			w := f.ask("GET", "/debug/pprof/"+what+"?seconds="+text, "")
			want := fmt.Sprintf(`seconds: \"%s\" is not possible; write a whole number from 1 to 60`, text)
			if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s for %s seconds: %d %s", what, text, w.Code, w.Body)
			}
		}
	}
}

// TestOneRecording: during a recording, others are told when to try again, but snapshots are
// still taken. A client that goes away ends its recording.
func TestOneRecording(t *testing.T) {
	for _, first := range []string{"profile?seconds=60", "trace?seconds=60", "heap?seconds=60"} {
		f := newFixture(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			req, _ := http.NewRequestWithContext(ctx, "GET", f.url+"/debug/pprof/"+first, http.NoBody)
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if resp, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		eventually(t, "it records", func() bool { return f.server.profiles.recording.until.Load() != 0 })
		for _, next := range []string{"profile?seconds=1", "trace?seconds=1", "trace", "profile", "heap?seconds=1",
			"goroutine?seconds=1"} {
			w := f.ask("GET", "/debug/pprof/"+next, "")
			after, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != 503 || err != nil || after < 1 || after > 60 ||
				!strings.Contains(w.Body.String(), "a profile is being recorded already, and one is at a time") {
				t.Errorf("%s beside %s: %d, %d, %s", next, first, w.Code, after, w.Body)
			}
		}
		for _, next := range []string{"heap", "goroutine?debug=1"} {
			if w := f.ask("GET", "/debug/pprof/"+next, ""); w.Code != 200 {
				t.Errorf("%s beside %s: %d %s", next, first, w.Code, w.Body)
			}
		}
		cancel()
		<-ended
		eventually(t, "it has ended", func() bool { return f.server.profiles.recording.until.Load() == 0 })
		if w := f.askCancelled("GET", "/debug/pprof/profile", ""); w.Code != 200 {
			t.Errorf("after %s: %d %s", first, w.Code, w.Body)
		}
	}
}

// TestOneSnapshot: snapshots too are taken one at a time.
func TestOneSnapshot(t *testing.T) {
	f := newFixture(t, "")
	if !f.server.profiles.snapshot.tryAcquire(0) {
		t.Fatal("somebody has it")
	}
	for _, what := range []string{"heap", "heap?gc=1&debug=1", "goroutine?debug=2"} {
		w := f.ask("GET", "/debug/pprof/"+what, "")
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" ||
			!strings.Contains(w.Body.String(), "a profile is being taken already, and one is at a time; try again") {
			t.Errorf("%s: %d %v %s", what, w.Code, w.Header(), w.Body)
		}
	}
	f.server.profiles.snapshot.release()
	if w := f.ask("GET", "/debug/pprof/heap", ""); w.Code != 200 {
		t.Errorf("after it: %d %s", w.Code, w.Body)
	}
}

// TestRecordedElsewhere: a process that profiles itself, as with --cpuprofile, causes a
// conflict, not a failure of the server.
func TestRecordedElsewhere(t *testing.T) {
	f := newFixture(t, "")
	for _, what := range []string{"profile", "trace"} {
		stop := record(what)
		w := f.ask("GET", "/debug/pprof/"+what+"?seconds=1", "")
		stop()
		if w.Code != 409 ||
			!bytes.Contains(w.Body.Bytes(),
				[]byte(`"conflict","message":"the process is being profiled by other means, as with --cpuprofile: `)) {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		if w := f.askCancelled("GET", "/debug/pprof/"+what, ""); w.Code != 200 {
			t.Errorf("%s after it: %d %s", what, w.Code, w.Body)
		}
	}
}
