package webtest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/chromedp/chromedp"
)

// walkServer is a server as a newcomer has it, but for its bounds. A client that reads nothing is cut for what waits
// for it, not after a time: until the flow is turned up it can be looked at for as long as a slow machine takes.
func walkServer(t *testing.T) *server {
	t.Helper()
	return newServer(t, "--accounts", "20", "--simulator.rate", "40", "--stall-timeout", "10m", "--heartbeat", "10m",
		"--socket-send-buffer-bytes", "4KiB", "--outbox-bytes-max", "256KiB")
}

// logIn opens the address that papertape console prints.
func (p *tab) logIn(s *server) {
	p.t.Helper()
	url := strings.TrimSpace(s.run("console", "--no-open"))
	p.do(chromedp.Navigate(url))
	p.until(`location.pathname === "/console/" && document.documentElement.dataset.ready === "yes"`)
	if eval[string](p, "location.hash") != "" {
		p.t.Error("the code is still in the address")
	}
}

// TestWalk is what somebody does who has never seen the console.
func TestWalk(t *testing.T) {
	b := newBrowser(t)
	s := walkServer(t)
	p := b.tab(s.base())
	p.size(1280, 800)
	p.prefer("lang", "en")
	p.logIn(s)
	p.isLive()
	account := "100017"
	client := s.terminal(account)
	p.find(account)
	s.run("simulate", "--rate", "0") // or the flow may sell what is to be taken back
	trade := p.buy(client, account)
	p.takeBack(trade)
	client.shows(trade)
	client.shows("wrong account")
	client.leaves()
	p.findStalled(s, "100003")
	p.turnUp("100003")
	p.outliveRestart(s)
	p.isViewer()
}

// isLive: the overview says that all is well, how old that is, and counts.
func (p *tab) isLive() {
	p.t.Helper()
	p.says("#state", "ready")
	p.until(`parseFloat(document.querySelector("#age").textContent) < 3`)
	p.says(".simulated", "SIMULATED")
	figure := fmt.Sprintf(`document.querySelector('[data-figure="%s"]').textContent`, eventsFigure)
	p.until(`Number(` + figure + `.replaceAll(",", "")) > 0`)
	was := eval[string](p, figure)
	p.until(figure + ` !== ` + fmt.Sprintf("%q", was))
	p.until(`document.querySelector('[data-spark] polyline:not(.area)').getAttribute("points").split(" ").length > 3`)
}

// find finds an account by the beginning of its number, with keys alone.
func (p *tab) find(account string) {
	p.t.Helper()
	p.press("/")
	p.until(`document.activeElement.id === "find"`)
	p.do(chromedp.KeyEvent(account[:5] + kb.Enter))
	p.until(`location.pathname === "/console/accounts" && document.documentElement.dataset.ready === "yes"`)
	p.says("tbody th", account)
	if rows := eval[int](p, `document.querySelectorAll("tbody tr").length`); rows < 2 || rows > 10 {
		p.t.Errorf("%d accounts begin with %s", rows, account[:5])
	}
	p.press("/")
	p.until(`document.activeElement.name === "q" && document.activeElement.closest("main")`)
	p.fill(`main input[name="q"]`, account)
	p.until(`document.querySelectorAll("tbody tr").length === 1 && location.search === "?q=` + account + `"`)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.press("j")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(`location.pathname === "/console/accounts/` + account + `" &&
		document.documentElement.dataset.ready === "yes"`)
	p.says("h1", account)
}

// buy has the client beside buy something, and returns the trade's id, which the tape shows without being asked.
func (p *tab) buy(c *terminal, account string) string {
	p.t.Helper()
	c.shows("total market value")
	c.types("buy SZ.000001 300")
	c.shows("  you  ")
	var trade string
	for line := range strings.Lines(c.said()) {
		if i := strings.Index(line, account+"-"); i >= 0 && strings.Contains(line, "  you  ") {
			trade = strings.Fields(line[i:])[0]
		}
	}
	p.until(fmt.Sprintf(`document.querySelector('[data-bust=%q]')`, trade))
	return trade
}

// takeBack takes a trade back: what it would do is shown first, and its id has to be typed.
func (p *tab) takeBack(trade string) {
	p.t.Helper()
	p.press("p") // so that the row stays where it is
	p.says("[data-pause]", "Go on")
	p.click(fmt.Sprintf(`[data-bust=%q]`, trade))
	p.until(`document.querySelector("#bust").open && document.activeElement.name === "reason"`)
	p.says("#bust .preview tbody", "cash")
	p.says("#bust .said", "as of event")
	p.fill(`#bust [name="reason"]`, "wrong account")
	if !eval[bool](p, `document.querySelector("#bust .go").disabled`) {
		p.t.Error("it can be taken back before its id was typed")
	}
	p.fill(`#bust [name="confirm"]`, trade[:len(trade)-1])
	if !eval[bool](p, `document.querySelector("#bust .go").disabled`) {
		p.t.Error("it can be taken back by the beginning of its id")
	}
	p.fill(`#bust [name="confirm"]`, trade)
	p.click(`#bust .go:not([disabled])`)
	p.until(`!document.querySelector("#bust").open`)
	p.says("#notices", "Trade "+trade+" was taken back.")
	p.says("tr.struck th", trade)
	if eval[bool](p, fmt.Sprintf(`Boolean(document.querySelector('[data-bust=%q]'))`, trade)) {
		p.t.Error("a trade that was taken back still has a button")
	}
	p.until(`document.activeElement !== null && !document.querySelector("dialog[open]")`)
}

// findStalled finds a client that reads nothing under most waiting. Nobody else waits for anything.
func (p *tab) findStalled(s *server, account string) {
	p.t.Helper()
	s.stall(account, 2<<10)
	p.open("/console/sessions")
	p.until(`document.querySelector("th[aria-sort=descending]")?.textContent.includes("waiting")`)
	p.until(`(() => { const row = document.querySelector("tbody tr")?.textContent;
		return row?.includes("` + account + `") && /[KM]iB/.test(row) })()`)
}

// turnUp turns the simulator up until the client that reads nothing is cut, finds it under ended with its cause, and
// turns the simulator back.
func (p *tab) turnUp(account string) {
	p.t.Helper()
	p.open("/console/simulator")
	p.fill(`#flow [name="rate"]`, "20000")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.says("#flow .said", "20,000")
	p.says("#rate-now", "20,000")
	p.until(`Number(document.querySelector('[data-figure="` + fillsFigure + `"]')
		.textContent.replaceAll(",", "")) > 100`)
	p.open("/console/sessions")
	p.click(`a[href="/console/sessions?tab=ended"]`)
	p.until(`location.search === "?tab=ended"`)
	p.until(`[...document.querySelectorAll("tbody tr")].some((row) => row.textContent.includes("` + account + `")
		&& row.textContent.includes("slow"))`)
	p.open("/console/simulator")
	p.fill(`#flow [name="rate"]`, "40")
	p.click(`#flow button.main`)
	p.says("#rate-now", "40")
}

// outliveRestart: the server is killed and started again under the open page, which says so, and goes on.
func (p *tab) outliveRestart(s *server) {
	p.t.Helper()
	p.open("/console/")
	p.says("#state", "ready")
	p.until(`parseFloat(document.querySelector("#age").textContent) < 3`)
	p.excuse("ERR_CONNECTION_REFUSED")
	p.excuse("ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.excuse("ERR_EMPTY_RESPONSE")
	p.excuse("ERR_CONNECTION_RESET")
	p.excuse("401 (Unauthorized)") // its login ended with the server
	s.signal(syscall.SIGKILL)
	p.says("#notices", "No connection to the server")
	p.says("#state", "no connection")
	s.start()
	p.says("#notices", "The server was restarted")
	p.says("#state", "ready")
	p.isLive()
}

// isViewer: a login does not outlive the server. Who is not logged in sees everything, and no button that fails.
func (p *tab) isViewer() {
	p.t.Helper()
	for _, path := range []string{"/console/accounts/100017", "/console/sessions", "/console/simulator",
		"/console/settings"} {
		p.open(path)
		p.says(".who", "Log in")
		const buttons = `document.querySelectorAll("main button:not([data-copy]):not(.expand):not([data-notice] button)," +
			"main input[type=range], #log-level").length`
		if n := eval[int](p, buttons); n > 0 {
			p.t.Errorf("%s has %d buttons for a viewer", path, n)
		}
	}
	p.open("/console/audit")
	p.says("main [role=alert]", "it is for operators")
}
