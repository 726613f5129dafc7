package webtest

import "testing"

// TestFirstPaint: what a browser that was never here shows first has the data in it. How soon that is, is logged and
// not judged: machines differ.
func TestFirstPaint(t *testing.T) {
	s := newServer(t, "--accounts", "20", "--simulator.rate", "50")
	p := newBrowser(t).tab(s.base())
	p.open("/")
	const first = `performance.getEntriesByName("first-contentful-paint")`
	p.until(first + `.length > 0`)
	p.says("h1", "Overview")
	p.says("main", "1000") // an account
	t.Logf("first paint with data after %.0f ms", eval[float64](p, first+`[0].startTime`))
}
