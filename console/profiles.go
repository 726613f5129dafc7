package console

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/pprof"
	"runtime"
	runtimepprof "runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	profileSecondsMax   = 60
	cpuSecondsDefault   = 30
	traceSecondsDefault = 1
	symbolBytesMax      = 1 << 20

	profilesPath = "/debug/pprof/"
	octets       = "application/octet-stream"
)

// exclusive is a lock that one request holds at a time. The others are told how long to wait.
type exclusive struct {
	until atomic.Int64 // expected end in Unix nanoseconds; 0: free
}

func (t *exclusive) tryAcquire(last time.Duration) bool {
	return t.until.CompareAndSwap(0, time.Now().Add(last).UnixNano())
}

func (t *exclusive) release() { t.until.Store(0) }

// secondsLeft returns how many seconds to wait for the lock, 1 or more.
func (t *exclusive) secondsLeft() int {
	left := time.Until(time.Unix(0, t.until.Load()))
	return max(1, int((left+time.Second-1)/time.Second))
}

// profiles is net/http/pprof with bounds. A profile slows down everything that the process
// does, so only one at a time is recorded over some seconds, and only one snapshot at a time is
// taken. Importing net/http/pprof registers handlers on the default mux of the process; nothing
// serves that mux.
type profiles struct{ recording, snapshot exclusive }

func (p *profiles) routes() routes {
	debug, gc := oneOf("debug", "0", "1", "2"), oneOf("gc", "0", "1")
	return routes{
		profilesPath + "{$}": {"GET": {role: Operate, handle: p.index}},
		profilesPath + "{name}": {
			"GET": {role: Operate, handle: p.profile, query: acceptParameters(debug, gc, seconds)},
		},
		profilesPath + "cmdline": {"GET": {role: Operate, handle: pprof.Cmdline}},
		profilesPath + "profile": {"GET": {role: Operate, handle: p.cpu, query: acceptParameters(seconds)}},
		profilesPath + "symbol": {
			"GET":  {role: Operate, handle: pprof.Symbol, query: checkSymbolQuery},
			"POST": {role: Operate, handle: p.symbols, body: textBody},
		},
		profilesPath + "trace": {"GET": {role: Operate, handle: p.trace, query: acceptParameters(seconds)}},
	}
}

func checkSymbolQuery(r *http.Request) error { return checkCounters(r.URL.RawQuery) }

var seconds = parameter{name: "seconds", check: func(value string) error {
	if n, err := parseNumber(value); err != nil || n < 1 || n > profileSecondsMax {
		return fmt.Errorf("%q is not possible; write a whole number from 1 to %d", clip(value), profileSecondsMax)
	}
	return nil
}}

// oneOf is a parameter that takes one of a few words.
func oneOf(name string, words ...string) parameter {
	return parameter{name: name, check: func(value string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("%q is not possible; it is one of %s", clip(value), inWords(words))
		}
		return nil
	}}
}

// index lists the profiles for browsers.
func (p *profiles) index(w http.ResponseWriter, _ *http.Request) {
	header(w, "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>profiles</title><h1>Profiles</h1><ul>\n")
	for _, of := range runtimepprof.Profiles() {
		name := html.EscapeString(of.Name())
		_, _ = fmt.Fprintf(w, "<li><a href=\"%s?debug=1\">%s</a>: %d\n", name, name, of.Count())
	}
	_, _ = io.WriteString(w, "<li><a href=\"goroutine?debug=2\">goroutine</a>, each with its stack\n"+
		"<li><a href=\"profile\">profile</a> of the CPU, of 30 seconds; ?seconds=1 to 60\n"+
		"<li><a href=\"trace\">trace</a> of a second; ?seconds=1 to 60\n"+
		"<li><a href=\"cmdline\">cmdline</a>\n</ul>\n")
}

// profile answers one of the runtime's profiles: a snapshot, or the difference over some
// seconds.
func (p *profiles) profile(w http.ResponseWriter, r *http.Request) {
	name, query := r.PathValue("name"), r.URL.Query()
	of := runtimepprof.Lookup(name)
	switch {
	case of == nil:
		fail(w, http.StatusNotFound, codeNotFound,
			fmt.Sprintf("there is no profile %q; %s lists them", clip(name), profilesPath))
	case query.Has("gc") && name != "heap":
		badRequest(w, "gc is for the heap; "+r.URL.Path+" takes debug and seconds")
	case query.Has("seconds") && len(query) > 1:
		badRequest(w, "seconds stands alone: what became of it meanwhile is told without debug and gc")
	case query.Has("seconds"):
		if p.beginRecording(w, secondsOf(r, 0)) {
			defer p.recording.release()
			pprof.Handler(name).ServeHTTP(w, r)
		}
	default:
		p.writeSnapshot(w, of, int(queryNumber(r, "debug")), query.Get("gc") == "1")
	}
}

// writeSnapshot answers a profile as of now. It is complete before it is sent, so that a slow
// reader does not keep others waiting.
func (p *profiles) writeSnapshot(w http.ResponseWriter, of *runtimepprof.Profile, debug int, collect bool) {
	if !p.snapshot.tryAcquire(0) {
		busy(w, p.snapshot.secondsLeft(), "a profile is being taken already, and one is at a time; try again")
		return
	}
	if collect {
		runtime.GC()
	}
	var b bytes.Buffer
	_ = of.WriteTo(&b, debug) // a buffer never fails
	p.snapshot.release()
	header(w, octets)
	if debug > 0 {
		header(w, "text/plain; charset=utf-8")
	}
	_, _ = w.Write(b.Bytes())
}

// cpu answers a CPU profile. It too is complete before it is sent.
func (p *profiles) cpu(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	start := func() error { return runtimepprof.StartCPUProfile(&b) }
	if p.record(w, r, secondsOf(r, cpuSecondsDefault), start, runtimepprof.StopCPUProfile) {
		header(w, octets)
		_, _ = w.Write(b.Bytes())
	}
}

// trace answers an execution trace, and sends it while it is recorded.
func (p *profiles) trace(w http.ResponseWriter, r *http.Request) {
	p.record(w, r, secondsOf(r, traceSecondsDefault), func() error {
		header(w, octets)
		return trace.Start(w)
	}, trace.Stop)
}

// secondsOf returns the duration in the query, or the default of so many seconds.
func secondsOf(r *http.Request, otherwise uint64) time.Duration {
	return time.Duration(cmp.Or(queryNumber(r, seconds.name), otherwise)) * time.Second
}

// beginRecording takes the lock for recordings, or answers that another request holds it.
func (p *profiles) beginRecording(w http.ResponseWriter, last time.Duration) bool {
	if !p.recording.tryAcquire(last) {
		busy(w, p.recording.secondsLeft(),
			"a profile is being recorded already, and one is at a time; try again when it has ended")
		return false
	}
	extendDeadline(w, last)
	return true
}

// record holds the lock from start to stop. It returns false if it has answered with an error.
func (p *profiles) record(
	w http.ResponseWriter, r *http.Request, last time.Duration, start func() error, stop func(),
) bool {
	if !p.beginRecording(w, last) {
		return false
	}
	defer p.recording.release()
	if err := start(); err != nil { // the process profiles itself, as with --cpuprofile
		fail(w, http.StatusConflict, codeConflict,
			fmt.Sprintf("the process is being profiled by other means, as with --cpuprofile: %v", err))
		return false
	}
	defer stop()
	select {
	case <-time.After(last):
	case <-r.Context().Done():
	}
	return true
}

// symbols answers the function names of the program counters in the body, for go tool pprof.
func (p *profiles) symbols(w http.ResponseWriter, r *http.Request) {
	text, err := readBody(w, r, symbolBytesMax)
	if err == nil {
		err = checkCounters(string(text))
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	pprof.Symbol(w, r)
}

// checkCounters checks a list of program counters, which may be empty.
func checkCounters(text string) error {
	for word := range strings.SplitSeq(text, "+") {
		digits, ok := strings.CutPrefix(word, "0x")
		if _, err := strconv.ParseUint(digits, 16, 64); text != "" && (!ok || err != nil) {
			return fmt.Errorf("%q is not a program counter; write them in hexadecimal with + between them, "+
				"as in 0x47a2b0+0x47a2c4", clip(word))
		}
	}
	return nil
}
