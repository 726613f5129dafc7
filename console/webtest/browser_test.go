package webtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a test waits for what must happen. It is long, since machines are slow at times.
const patience = 90 * time.Second

// chromium returns where Chromium is, or skips the test.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const message = "there is no Chromium here: install one (apt-get install chromium), or name it in CHROMIUM"
	if os.Getenv("PAPERTAPE_CI") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// browser is a Chromium with a profile of its own.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.DisableGPU,
		chromedp.Flag("lang", "en-US"), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("host-resolver-rules", "MAP console.test 127.0.0.1, MAP evil.test 127.0.0.1"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return &browser{t, ctx}
}

// tab is a page that is open. It remembers whatever a page must not do.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of the server

	mu       sync.Mutex
	faults   []string
	requests map[network.RequestID]string
	excused  []string // parts of faults that a test expects
}

// tab opens one for the server at base. At the end of the test it must have had no fault: an error on its console,
// a breach of the content policy, a request to elsewhere.
func (b *browser) tab(base string) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &tab{t: b.t, ctx: ctx, base: base, requests: make(map[network.RequestID]string)}
	b.t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			if !p.isExcused(fault) {
				b.t.Errorf("the page: %s", fault)
			}
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (p *tab) isExcused(fault string) bool {
	for _, part := range p.excused {
		if strings.Contains(fault, part) {
			return true
		}
	}
	return false
}

// excuse says that a fault with this in it is what a test wants.
func (p *tab) excuse(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused = append(p.excused, part)
}

// hear is called for all that happens in a tab.
func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.faults = append(p.faults, fmt.Sprintf("log: %s (%s)", e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			text, _ := json.Marshal(e.Args)
			p.faults = append(p.faults, "console: "+string(text))
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		p.faults = append(p.faults, "exception: "+string(text))
	case *network.EventRequestWillBeSent:
		to := e.Request.URL
		p.requests[e.RequestID] = to
		if !strings.HasPrefix(to, p.base+"/") && !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "about:") {
			p.faults = append(p.faults, "a request to elsewhere: "+to)
		}
	}
}

// open goes to a page, and waits until its scripts have run.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.base + path))
	p.until(`document.documentElement.dataset.ready === "yes"`)
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v\n%s", err, p.shown())
	}
}

// shown is what a page shows, for a test that has failed.
func (p *tab) shown() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body?.innerText ?? "")`))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval returns the value of an expression in a page.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// evalAsync returns what an expression promises.
func evalAsync[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(e *runtime.EvaluateParams) {
		e.AwaitPromise, e.ReturnByValue = new(true), new(true)
	}))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// withoutScripts has a page run none.
func (p *tab) withoutScripts() {
	p.t.Helper()
	params := emulation.SetScriptExecutionDisabledParams{Value: true}
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, params); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until an expression is true.
func (p *tab) until(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if err == nil && ok {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	p.t.Fatalf("never: %s\n%s", expression, p.shown())
}

// says waits until a place of a page has a text in it.
func (p *tab) says(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))`, selector, text))
}

// click clicks on what a selector finds first, as a person does.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.querySelector(%q)`, selector))
	p.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill types a text into a field, in the place of what is there.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.querySelector(%q)`, selector))
	eval[bool](p, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.select?.();
		return true })()`, selector))
	p.do(chromedp.KeyEvent(text))
}

// prefer sets what a person prefers, as the page's own menu does.
func (p *tab) prefer(name, value string) {
	p.t.Helper()
	u, err := url.Parse(p.base)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = chromedp.Call(p.ctx, network.SetCookie, network.SetCookieParams{
		Name: "papertape-" + name, Value: value, Domain: u.Hostname(), Path: "/console",
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// size sets the size of the window.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// still has a page move nothing, as some people prefer it.
func (p *tab) still() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// picture returns what a tab shows.
func (p *tab) picture() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

// count returns how many requests there were to addresses with this in them.
func (p *tab) count(part string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, to := range p.requests {
		if strings.Contains(to, part) {
			n++
		}
	}
	return n
}

// press presses a key that is a letter or a sign, as a keyboard does: what the page makes of it comes before its text.
func (p *tab) press(key string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		down := input.DispatchKeyEventParams{Type: kb.KeyDown, Key: key, Text: key}
		if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, down); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kb.KeyUp, Key: key})
		return err
	}))
}
