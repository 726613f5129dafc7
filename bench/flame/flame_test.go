package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// stack is a sample of a made-up profile: functions from the outermost on, and the
// milliseconds they took.
type stack struct {
	functions    string // separated by spaces
	milliseconds int64
}

// newProfile returns a profile of stacks, as runtime/pprof would write it.
func newProfile(t *testing.T, stacks ...stack) []byte {
	t.Helper()
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000, DurationNanos: 1e9,
		Mapping: []*profile.Mapping{{ID: 1, File: "papertape", Start: 1, Limit: 1 << 40, HasFunctions: true}},
	}
	locations := make(map[string]*profile.Location)
	for _, s := range stacks {
		sample := &profile.Sample{Value: []int64{s.milliseconds / 10, s.milliseconds * 1e6}}
		for _, name := range strings.Fields(s.functions) {
			l := locations[name]
			if l == nil {
				f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name, SystemName: name, Filename: "a.go"}
				l = &profile.Location{ID: f.ID, Mapping: p.Mapping[0], Address: f.ID * 16,
					Line: []profile.Line{{Function: f, Line: 1}}}
				p.Function, p.Location = append(p.Function, f), append(p.Location, l)
				locations[name] = l
			}
			sample.Location = append([]*profile.Location{l}, sample.Location...)
		}
		p.Sample = append(p.Sample, sample)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const (
	gatewayPath = "github.com/papertape/papertape/engine/gateway."
	gnetPath    = "github.com/panjf2000/gnet/v2."
	syscallEnd  = " syscall.Syscall syscall.RawSyscall6 internal/runtime/syscall/linux.Syscall6"
)

// samples returns one stack for each category, with distinct times in milliseconds.
func samples() map[Category]stack {
	const ours = "github.com/papertape/papertape/"
	const conn = ours + "bench/baseline.(*conn).read net.(*conn)."
	return map[Category]stack{
		Write: {gnetPath + "(*eventloop).run " + gatewayPath + "(*loop).flushDirty " + gnetPath +
			"(*conn).Write golang.org/x/sys/unix.Write golang.org/x/sys/unix.write" + syscallEnd, 10},
		Read: {conn + "Read internal/poll.(*FD).Read syscall.Read syscall.read" + syscallEnd, 20},
		Poll: {"runtime.mcall runtime.park_m runtime.schedule runtime.findRunnable runtime.netpoll " +
			"internal/runtime/syscall/linux.EpollWait", 30},
		Futex: {"runtime.mcall runtime.park_m runtime.schedule runtime.findRunnable runtime.stopm " +
			"runtime.notesleep runtime.futexsleep runtime.futex", 40},
		Scheduler: {"main.main runtime.chanrecv1 runtime.chanrecv runtime.goready.func1 runtime.ready " +
			"runtime.runqput", 50},
		Channels: {ours + "bench/baseline.(*conn).Send runtime.selectgo runtime.sellock runtime.lock2", 60},
		GC: {"runtime.gcBgMarkWorker runtime.systemstack runtime.gcBgMarkWorker.func2 runtime.gcDrain " +
			"runtime.scanobject", 70},
		Storage: {ours + "bench/venue.(*Venue).publish " + ours +
			"bench/venue.(*storage).append os.(*File).Write internal/poll.(*FD).Write syscall.Write syscall.write" +
			syscallEnd, 80},
		Codec: {gatewayPath + "handler.OnTraffic " + ours + "codec.DecodeOrder " + ours +
			"codec.(*fields).next", 90},
		Business: {"github.com/panjf2000/ants/v2.(*goWorker).run.func1 " + ours + "engine.(*shard).drain " + ours +
			"positions.(*Book).Decide runtime.mapaccess1_fast64", 100},
		Server: {gnetPath + "(*eventloop).run " + gatewayPath +
			"(*Session).append runtime.growslice runtime.memmove", 110},
		Gnet: {gnetPath + "(*eventloop).run " + gnetPath + "(*conn).Discard", 120},
		Ants: {"github.com/panjf2000/ants/v2.(*goWorker).run.func1 time.Now", 130},
		Zinx: {"github.com/aceld/zinx/znet.(*Connection).StartReader " +
			"github.com/aceld/zinx/zinterceptor.(*Chain).Proceed", 140},
		Net:   {"main.main net.(*conn).Write internal/poll.(*FD).writeLock", 150},
		Other: {"main.main main.something", 160},
	}
}

func TestShares(t *testing.T) {
	var stacks []stack
	total := int64(0)
	for _, s := range samples() {
		stacks = append(stacks, s)
		total += s.milliseconds
	}
	shares, err := Shares(newProfile(t, stacks...))
	if err != nil {
		t.Fatal(err)
	}
	if len(shares) != len(samples()) {
		t.Errorf("%d categories, want %d", len(shares), len(samples()))
	}
	sum := 0.0
	for _, s := range shares {
		want := samples()[s.Category].milliseconds
		if s.CPU != time.Duration(want)*time.Millisecond || math.Abs(s.Part-float64(want)/float64(total)) > 1e-12 {
			t.Errorf("%s: %v, %.4f; want %d ms of %d", s.Category, s.CPU, s.Part, want, total)
		}
		sum += s.Part
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the parts add up to %v", sum)
	}
}

// TestCategoriesOfFrames: in the picture, a function and what it calls have the colour of
// their category.
func TestCategoriesOfFrames(t *testing.T) {
	for want, s := range samples() {
		n := &node{category: Other}
		for _, name := range strings.Fields(s.functions) {
			n = n.call(name)
		}
		if n.category != want {
			t.Errorf("the innermost of %q is of %s, want %s", s.functions, n.category, want)
		}
	}
}

func TestPage(t *testing.T) {
	page, err := Page(newProfile(t, samples()[Write], samples()[Codec]), "ours & <theirs>")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>ours &amp; &lt;theirs&gt; cpu</title>",
		"engine/gateway.(*loop).flushDirty", "codec.DecodeOrder", hideLinks} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	if from := regexp.MustCompile(`(src|href)="(https?:)?//[^"]*"`).Find(page); from != nil {
		t.Errorf("the page needs %s", from)
	}
}

func TestDiff(t *testing.T) {
	base, ours := newProfile(t, stack{"main.main main.old", 300}, stack{"main.main main.same", 100}), newProfile(t,
		stack{"main.main main.new", 200}, stack{"main.main main.same", 100})
	page, err := Diff(base, ours, "ours less base")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"main.old", "main.new", "main.same"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	alone, err := Page(ours, "ours less base")
	if err != nil || bytes.Equal(page, alone) || bytes.Contains(alone, []byte("main.old")) {
		t.Errorf("the profile without its base is no other page: %v", err)
	}
}

func TestCallGraph(t *testing.T) {
	data := newProfile(t, samples()[Write], samples()[Codec])
	if _, err := exec.LookPath("dot"); err == nil {
		graph, err := CallGraph(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(graph, []byte("flushDirty")) {
			t.Errorf("the graph has no flushDirty: %.300s", graph)
		}
		wellFormed(t, graph)
		hasSize(t, graph)
	}
	t.Setenv("PATH", "")
	if _, err := CallGraph(data); !errors.Is(err, ErrNoGraphviz) {
		t.Errorf("without dot: %v", err)
	}
}

// wellFormed returns the text of an XML document.
func wellFormed(t *testing.T, document []byte) (text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(document))
	d.Strict = true
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text
		}
		if err != nil {
			t.Fatalf("no XML: %v", err)
		}
		if c, ok := token.(xml.CharData); ok {
			text += string(c)
		}
	}
}

func TestPicture(t *testing.T) {
	large := newProfile(t, stack{"main.main main.<write> syscall.write", 300},
		stack{"main.main " + gnetPath + "Run", 100})
	small := newProfile(t, stack{"main.main main.<write> syscall.write", 100}, stack{"main.main main.other", 100},
		stack{"main.main main.thin", 0})
	picture, err := Picture("Orders & <pushes>", Named{"baseline", large}, Named{"ours", small})
	if err != nil {
		t.Fatal(err)
	}
	text := wellFormed(t, picture)
	for _, want := range []string{"Orders & <pushes>", "baseline: 400 ms of CPU", "ours: 200 ms of CPU",
		"main.<write>", "syscall.write: 100 ms, 50.0 % of CPU",
		"gnet.Run", "write\n75.0 %\n50.0 %\n", "gnet\n25.0 %\n0.0 %\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
	if strings.Contains(text, "main.thin") || strings.Contains(text, "zinx") {
		t.Error("the picture has what took nothing")
	}
	widths := widthsOf(t, picture, "syscall.write")
	if len(widths) != 2 || math.Abs(widths[0]-3*widths[1]) > 0.3 || math.Abs(widths[0]-0.75*(wide-2*margin)) > 0.1 {
		t.Errorf("300 and 100 ms are %v wide", widths)
	}
}

// widthsOf returns the widths of a function's frames, in the order of the picture.
func widthsOf(t *testing.T, picture []byte, function string) (widths []float64) {
	t.Helper()
	frame := regexp.MustCompile(`<title>` + regexp.QuoteMeta(function) +
		`: [^<]*</title><rect x="[0-9.]+" y="[0-9]+" width="([0-9.]+)"`)
	for _, m := range frame.FindAllSubmatch(picture, -1) {
		w, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		widths = append(widths, w)
	}
	return widths
}

// TestDeepStacks: a stack deeper than the picture is cut off, not drawn outside it.
func TestDeepStacks(t *testing.T) {
	var deep strings.Builder
	for i := range 2 * rowsMax {
		_, _ = fmt.Fprintf(&deep, "main.f%d ", i)
	}
	picture, err := Picture("deep", Named{"deep", newProfile(t, stack{deep.String(), 100})})
	if err != nil {
		t.Fatal(err)
	}
	// One more for the legend.
	if bytes.Count(picture, []byte("<rect x=")) != rowsMax+1 || bytes.Contains(picture, []byte(`y="-`)) {
		t.Errorf("%d frames of at most %d are drawn", bytes.Count(picture, []byte("<rect x=")), rowsMax)
	}
}

func TestPerMillion(t *testing.T) {
	scaled, err := PerMillion(newProfile(t, stack{"main.main", 300}), 50_000)
	if err != nil {
		t.Fatal(err)
	}
	shares, err := Shares(scaled)
	if err != nil || shares[len(shares)-1].CPU != 6*time.Second {
		t.Errorf("300 ms for 50,000 requests are %v for a million, %v", shares[len(shares)-1].CPU, err)
	}
	if p, err := profile.ParseData(scaled); err != nil || p.DurationNanos != 0 {
		t.Errorf("they took %d ns, %v", p.DurationNanos, err)
	}
}

func TestNoProfile(t *testing.T) {
	heap := &profile.Profile{SampleType: []*profile.ValueType{{Type: "inuse_space", Unit: "bytes"}},
		Sample: []*profile.Sample{{Value: []int64{1}}}}
	var b bytes.Buffer
	if err := heap.Write(&b); err != nil {
		t.Fatal(err)
	}
	good := newProfile(t, stack{"main.main", 10})
	for name, data := range map[string][]byte{"nothing": nil, "noise": []byte("<html>"), "a heap profile": b.Bytes()} {
		_, pageErr := Page(data, "")
		_, baseErr := Diff(data, good, "")
		_, diffErr := Diff(good, data, "")
		_, graphErr := CallGraph(data)
		_, sharesErr := Shares(data)
		_, scaleErr := PerMillion(data, 1)
		_, pictureErr := Picture("", Named{"", data})
		for i, err := range []error{pageErr, baseErr, diffErr, graphErr, sharesErr, scaleErr, pictureErr} {
			if err == nil {
				t.Errorf("%s: function %d does not mind", name, i)
			}
		}
	}
	empty := newProfile(t)
	if _, err := Shares(empty); err == nil {
		t.Error("shares of nothing")
	}
	if _, err := Picture("", Named{"", empty}); err == nil {
		t.Error("a picture of nothing")
	}
	if _, err := PerMillion(good, 0); err == nil {
		t.Error("a million of no requests")
	}
}
