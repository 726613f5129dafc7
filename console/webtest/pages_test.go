package webtest

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// everyPage are the addresses of all pages.
var everyPage = []string{
	"/console/", "/console/accounts", "/console/accounts/100017", "/console/sessions", "/console/sessions?tab=ended",
	"/console/simulator", "/console/journal", "/console/instruments", "/console/instruments?instrument=SH.600030",
	"/console/settings", "/console/audit", "/console/login",
}

//go:embed accessible.js
var accessible string

// TestAccessible: every page can be used by people who see it otherwise, or not at all, in both themes, wide and
// narrow, as an operator. A gain is never told by colour alone, and neither is a state.
func TestAccessible(t *testing.T) {
	if testing.Short() {
		t.Skip("twelve pages in four ways take long")
	}
	s := walkServer(t)
	p := newBrowser(t).tab(s.base())
	p.logIn(s)
	p.prefer("lang", "en")
	s.terminal("100017").shows("total market value")
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			p.size(width, 800)
			p.prefer("theme", theme)
			for _, path := range everyPage {
				p.open(path)
				if path != "/console/login" {
					p.says("#state", "ready")
				}
				for _, fault := range eval[[]string](p, accessible) {
					t.Errorf("%s, %s, %d px: %s", path, theme, width, fault)
				}
			}
		}
	}
}

// TestFocus: Tab goes through a page in the order in which it is read, first to the content, and what has the focus is
// seen. A dialog takes the focus, keeps it and gives it back.
func TestFocus(t *testing.T) {
	if testing.Short() {
		t.Skip("it tabs through pages")
	}
	s := walkServer(t)
	p := newBrowser(t).tab(s.base())
	p.size(1280, 800)
	p.logIn(s)
	for _, path := range []string{"/console/accounts?q=10000", "/console/sessions", "/console/settings?q=simulator"} {
		p.open(path)
		p.click("[data-pause]")
		eval[bool](p, `(document.activeElement.blur(), document.body.focus(), getSelection().removeAllRanges(), true)`)
		p.open(path)
		places, last := []float64{}, ""
		for i := range 25 {
			p.do(chromedp.KeyEvent(kb.Tab))
			at := eval[map[string]any](p, `(() => {
				const e = document.activeElement, all = [...document.querySelectorAll("*")], style = getComputedStyle(e);
				return { at: all.indexOf(e), text: e.outerHTML.slice(0, 90), skip: e.classList.contains("skip"), seen:
					style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, body: e === document.body };
			})()`)
			if at["body"].(bool) {
				break // through the page, and out of it
			}
			if i == 0 && !at["skip"].(bool) {
				t.Errorf("%s: Tab goes first to %s", path, at["text"])
			}
			if !at["seen"].(bool) {
				t.Errorf("%s: the focus is not seen on %s", path, at["text"])
			}
			if n := len(places); n > 0 && at["at"].(float64) <= places[n-1] {
				t.Errorf("%s: from %s Tab goes back to %s", path, last, at["text"])
				break
			}
			places, last = append(places, at["at"].(float64)), at["text"].(string)
		}
		if len(places) < 10 {
			t.Errorf("%s: Tab goes to %d places", path, len(places))
		}
	}
	p.open("/console/accounts/100017")
	p.press("?")
	p.until(`document.querySelector("#help").open && document.querySelector("#help").contains(document.activeElement)`)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until(`!document.querySelector("#help").open`)
	for key, path := range map[string]string{"o": "/console/", "a": "/console/accounts", "s": "/console/sessions",
		"i": "/console/instruments", "j": "/console/journal"} {
		p.press("g")
		p.press(key)
		p.until(fmt.Sprintf(`location.pathname === %q && document.documentElement.dataset.ready === "yes"`, path))
	}
}

// TestTabs: eight tabs have one stream, and all of them have figures. A browser opens six connections to a host.
func TestTabs(t *testing.T) {
	if testing.Short() {
		t.Skip("eight tabs take long")
	}
	s := walkServer(t)
	b := newBrowser(t)
	tabs := make([]*tab, 8)
	for i := range tabs {
		tabs[i] = b.tab(s.base())
		tabs[i].open("/console/accounts/100017")
	}
	for _, p := range tabs {
		p.says("#state", "ready")
		p.until(`parseFloat(document.querySelector("#age").textContent) < 3`)
	}
	streams := 0
	for _, p := range tabs {
		streams += p.count("/api/v1/live")
	}
	if streams != 0 {
		t.Errorf("tabs have %d streams of their own, beside the worker's", streams)
	}
}

// TestScriptFigures: the scripts show figures as the templates do.
func TestScriptFigures(t *testing.T) {
	s := newServer(t, "--accounts", "1")
	p := newBrowser(t).tab(s.base())
	p.open("/console/")
	text, err := os.ReadFile(filepath.Join("..", "web", "testdata", "figures.json"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := evalAsync[[]string](p, `(async () => {
		const f = await import(document.querySelector("script[type=module]").src.replace("app.js", "format.js"));
		return `+string(text)+`.filter(([unit, value, want]) => (unit === "money" ? f.money(value) : f.figure(value, unit)) !== want)
			.map(([unit, value, want]) => unit + " " + value + " is not " + want);
	})()`)
	for _, one := range wrong {
		t.Error(one)
	}
}

// TestWithoutScripts: the tables are there, and can be filtered.
func TestWithoutScripts(t *testing.T) {
	s := newServer(t, "--accounts", "20", "--simulator.rate", "0")
	p := newBrowser(t).tab(s.base())
	p.withoutScripts()
	for path, want := range map[string]string{
		"/console/accounts?q=10001": "100017", "/console/accounts/100017": "1,000,000.00",
		"/console/instruments": "600519",
		"/console/settings":    "simulator.rate", "/console/": "100001", "/console/login": "",
	} {
		p.do(chromedp.Navigate(s.base() + path))
		text, err := chromedp.Run(p.ctx, chromedp.TextContent(chromedp.CSS("main")))
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%s has no %s without scripts: %v %s", path, want, err, text)
		}
	}
}

// TestRebound: a page of another name that leads here is shown nothing, nor is one of another port.
func TestRebound(t *testing.T) {
	s := newServer(t, "--accounts", "1")
	b := newBrowser(t)
	_, port, _ := strings.Cut(s.admin, ":")
	p := b.tab("http://evil.test:" + port)
	p.excuse("421")
	p.excuse("Cross-Origin-Opener-Policy header has been ignored") // Chromium has none of it over plain HTTP
	p.do(chromedp.Navigate(p.base + "/console/"))
	if text := p.shown(); !strings.Contains(text, "misdirected") || strings.Contains(text, "SIMULATED") {
		t.Errorf("by another name: %s", text)
	}
}
