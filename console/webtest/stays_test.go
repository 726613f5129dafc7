package webtest

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/chromedp/cdproto/cdp"
)

// TestSelectionStays: what is selected stays selected while figures come, the focus stays where it is, and rows do not
// change places under the pointer. Filter and place are in the address, and back goes back.
func TestSelectionStays(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for figures")
	}
	s := newServer(t, "--accounts", "60", "--simulator.rate", "300")
	p := newBrowser(t).tab(s.base())
	p.size(1280, 900)
	p.open("/console/accounts?sort=-seq&min_rows=1")
	eval[bool](p, `(() => {
		const cell = document.querySelector("tbody tr:nth-child(3) th a").firstChild;
		getSelection().selectAllChildren(cell.parentElement);
		window.was = getSelection().toString();
		window.node = cell;
		return true;
	})()`)
	looked := `performance.getEntriesByType("resource").filter((e) => e.name.includes("/console/accounts")).length`
	eval[bool](p, `(import(document.querySelector("script[type=module]").src).then((app) => app.look())
		.then(() => { window.looked = true }), true)`)
	p.until("window.looked")
	if !eval[bool](p, `getSelection().toString() === window.was && window.was.length === 6
		&& window.node.isConnected`) {
		t.Errorf("the selection is %q", eval[string](p, `getSelection().toString()`))
	}
	eval[bool](p, `(getSelection().removeAllRanges(), true)`)
	p.until(looked + " > 1")
	order := `[...document.querySelectorAll("tbody tr")].map((row) => row.dataset.key).join(" ")`
	p.do(chromedp.MouseEvent("mouseMoved", 640, 400))
	p.until(`document.querySelector("tbody").matches(":hover")`)
	first := eval[string](p, order)
	for range 3 {
		eval[bool](p, `(window.looked = false, import(document.querySelector("script[type=module]").src)
			.then((app) => app.look()).then(() => { window.looked = true }), true)`)
		p.until("window.looked")
		if now := eval[string](p, order); now != first {
			t.Errorf("rows changed places under the pointer:\n%s\n%s", first, now)
		}
	}
	p.do(chromedp.MouseEvent("mouseMoved", 640, 20))
	p.click(`main select[name="sort"]`)
	eval[bool](p, `(() => { const s = document.querySelector('main select[name="sort"]'); s.value = "-cash";
		s.dispatchEvent(new Event("change", { bubbles: true })); return true })()`)
	p.until(`location.search.includes("sort=-cash") && location.search.includes("min_rows=1")`)
	p.do(chromedp.NavigateBack())
	p.until(`location.search.includes("sort=-seq")
		&& document.querySelector('main select[name="sort"]').value === "-seq"`)
}

// TestMemoryIsFlat: a tab that is open for long takes no more memory.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	s := newServer(t, "--accounts", "20", "--simulator.rate", "500")
	p := newBrowser(t).tab(s.base())
	p.open("/console/")
	p.says("#state", "ready")
	began := p.heap()
	// A tick a second takes too long to wait for: the same page is looked at again and again, and fed ticks.
	for range 15 {
		eval[bool](p, `(window.looked = false, import(document.querySelector("script[type=module]").src).then(async (app) => {
			for (let i = 0; i < 20; i++) await app.look();
			window.looked = true;
		}), true)`)
		p.until("window.looked")
	}
	if ended := p.heap(); ended > began+began/2+1<<20 {
		t.Errorf("the heap grew from %.0f to %.0f bytes", began, ended)
	}
}

// heap returns the bytes that a page's scripts hold, after a collection.
func (p *tab) heap() (bytes float64) {
	p.t.Helper()
	time.Sleep(100 * time.Millisecond) // for what was just begun; the collection is what counts
	if _, err := chromedp.Call(p.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
		p.t.Fatal(err)
	}
	use, err := chromedp.Call(p.ctx, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		p.t.Fatal(err)
	}
	return use.UsedSize
}
