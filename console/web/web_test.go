package web

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bytesMax is what all that is embedded may take.
const bytesMax = 150 << 10

// TestBudget: the console stays small.
func TestBudget(t *testing.T) {
	if n := Bytes(); n > bytesMax || n < 50<<10 {
		t.Errorf("%d bytes are embedded, of at most %d", n, bytesMax)
	}
}

var (
	missingText = regexp.MustCompile(`\[[a-z]+\.[a-z._-]*\]|&lt;no value&gt;|%!|\{[0-9]\}`)
	inlineCode  = regexp.MustCompile(
		`(?i)<style|<script(?: type="module" src="/console/static/[0-9a-f]{12}/[a-z]+\.js"|` +
			` type="application/json" id="texts")?|\sstyle=|\son[a-z]+=|javascript:`)
	reference = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
)

// TestEveryPage: each page, in both languages and for both roles, is whole, says SIMULATED, and has nothing in it
// that its content policy forbids, nor anything from elsewhere.
func TestEveryPage(t *testing.T) {
	f := newFake(t)
	for _, lang := range languages {
		for _, operator := range []bool{true, false} {
			f.viewer = Viewer{Name: "desk", Operator: operator}
			for _, target := range everyPage {
				w := f.get(target, "Cookie", "papertape-lang="+lang)
				what := fmt.Sprintf("%s in %s, operator %t", target, lang, operator)
				body := w.Body.String()
				if w.Code != 200 || w.Header().Get("Content-Security-Policy") != policy {
					t.Errorf("%s: %d %v", what, w.Code, w.Header())
				}
				if !strings.Contains(body, `<html lang="`+lang+`"`) || strings.Count(body, "<h1") != 1 ||
					strings.Count(body, "<main") != 1 ||
					!strings.Contains(body, f.ui.texts[lang]["simulated"]+"</strong>") {
					t.Errorf("%s: not whole", what)
				}
				if found := missingText.FindAllString(withoutTexts(body), -1); found != nil {
					t.Errorf("%s: %q", what, found)
				}
				for _, found := range inlineCode.FindAllString(body, -1) {
					if found == "<script" || !strings.HasPrefix(found, "<script") {
						t.Errorf("%s has %q in it", what, found)
					}
				}
				f.follow(t, what, body)
			}
		}
	}
}

// withoutTexts takes out the texts for scripts, which have places in them.
func withoutTexts(body string) string {
	before, rest, _ := strings.Cut(body, `id="texts">`)
	_, after, _ := strings.Cut(rest, "</script>")
	return before + after
}

// follow looks whether what a page refers to is there: files, pages, and answers of the API.
func (f *fake) follow(t *testing.T, what, body string) {
	t.Helper()
	for _, found := range reference.FindAllStringSubmatch(body, -1) {
		to, _, _ := strings.Cut(template.HTMLEscapeString(found[1]), "#")
		switch {
		case to == "" || strings.HasPrefix(to, "?"):
		case strings.HasPrefix(to, f.ui.Base()):
			if w := f.get(to); w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %s is %d", what, to, w.Code)
			}
		case !strings.HasPrefix(to, "/console/") && !strings.HasPrefix(to, "/api/v1/"):
			t.Errorf("%s refers to %s", what, to)
		}
	}
}

// TestViewersHaveNoButtons: what changes something is on the pages of operators alone.
func TestViewersHaveNoButtons(t *testing.T) {
	f := newFake(t)
	changing := regexp.MustCompile(`data-(?:bust|correct|dialog|flow|method)=|id="(?:flow|kick-chosen|log-level)"`)
	buttons := 0
	for _, target := range everyPage {
		f.viewer = Viewer{Name: "desk", Operator: true}
		buttons += len(changing.FindAllString(f.get(target).Body.String(), -1))
		f.viewer = Viewer{Name: "desk"}
		if found := changing.FindAllString(f.get(target).Body.String(), -1); found != nil {
			t.Errorf("%s has %q for a viewer", target, found)
		}
	}
	if buttons < 20 {
		t.Errorf("operators have %d buttons", buttons)
	}
	if body := f.get("/console/audit").Body.String(); strings.Contains(body, "POST /api/v1/busts") ||
		!strings.Contains(body, "it is for operators") {
		t.Error("a viewer is shown the audit")
	}
}

// TestCatalogues: each language has every text, with the same places in it, and each text is of use.
func TestCatalogues(t *testing.T) {
	f := newFake(t)
	en := f.ui.texts["en"]
	place := regexp.MustCompile(`\{[0-9]\}`)
	for _, lang := range languages {
		texts := f.ui.texts[lang]
		if got, want := slices.Sorted(maps.Keys(texts)), slices.Sorted(maps.Keys(en)); !slices.Equal(got, want) {
			t.Errorf("%s has the keys %v, and en %v", lang, got, want)
		}
		for key, text := range texts {
			got, want := place.FindAllString(text, -1), place.FindAllString(en[key], -1)
			if slices.Sort(got); strings.TrimSpace(text) == "" || !slices.Equal(got, want) {
				t.Errorf("%s of %s is %q, with the places %v", key, lang, text, got)
			}
		}
	}
	used := usedTexts(t)
	for key := range en {
		if !used.MatchString(key) {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

// usedTexts matches the keys that templates, code and scripts use. Of some only the beginning is written.
func usedTexts(t *testing.T) *regexp.Regexp {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"templates", "static", "."} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if text, err := os.ReadFile(dir + "/" + e.Name()); err == nil && !strings.HasSuffix(e.Name(), "_test.go") {
				all.Write(text)
			}
		}
	}
	text := all.String()
	var forms []string
	add := func(pattern, prefix string) {
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			forms = append(forms, prefix+strings.ReplaceAll(regexp.QuoteMeta(found[1]), "%s", ".*"))
		}
	}
	add(`(?:T|"text"|"name") "([a-z._]+)"`, "")
	add(`\.T\("([a-z._]+)"`, "")
	add(`printf "([a-z][a-z._%]*)"`, "")
	add(`Name "([a-z._]+)"`, "")
	add(`T\("([a-z]+\.)" ?\+`, "")
	add(`\bt\((?:\w+ \? )?"([a-z._]+)"`, `js\.`)
	add(`texts(?:\.|\[")([a-z._]+)`, `js\.`)
	add(`: "([a-z.]+)"[,)]`, `js\.`)
	add(`\? "[a-z._]+" : "([a-z._]+)"`, `js\.`)
	add(`t\((?:[^()]|\([^)]*\))*\? "([a-z._]+)"`, `js\.`)
	add(`data-done="([a-z.]+)"`, `js\.`)
	for _, name := range []string{"theme", "colours", "zone", "name"} {
		forms = append(forms, name+"(\\..*)?")
	}
	for _, kind := range []string{"cause", "check", "latency", "durability", "js.alarm", "figure", "limit",
		"page", "result", "state", "js.state"} {
		forms = append(forms, regexp.QuoteMeta(kind)+`\..*`)
	}
	forms = append(forms, "deposit|withdraw|reset", `js\.(deposit|withdraw|reset)\.done`)
	return regexp.MustCompile("^(?:" + strings.Join(forms, "|") + ")$")
}

// TestLanguage: a parameter, a cookie, what the browser prefers, English.
func TestLanguage(t *testing.T) {
	f := newFake(t)
	for _, one := range []struct{ target, cookie, accepts, want string }{
		{"/console/", "", "", "en"},
		{"/console/", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"/console/", "", "en-GB;q=0.5, zh;q=0.7", "zh"},
		{"/console/", "", "fr, de;q=0.9", "en"},
		{"/console/", "", "zh;q=x, en", "en"},
		{"/console/", "en", "zh", "en"},
		{"/console/", "fr", "zh", "zh"},
		{"/console/?lang=zh", "en", "en", "zh"},
	} {
		w := f.get(one.target, "Accept-Language", one.accepts, "Cookie", "papertape-lang="+one.cookie)
		if got := w.Header().Get("Content-Language"); got != one.want {
			t.Errorf("%+v: %s", one, got)
		}
	}
}

// TestPreferred: red is up in Chinese and green in English, unless it was chosen; cookies choose theme and zone.
func TestPreferred(t *testing.T) {
	f := newFake(t)
	for _, one := range [][2]string{
		{"papertape-lang=zh", `data-theme="auto" data-colours="red-up" data-zone="browser"`},
		{"papertape-lang=en", `data-theme="auto" data-colours="green-up" data-zone="browser"`},
		{"papertape-lang=zh; papertape-colours=green-up", `data-colours="green-up"`},
		{
			"papertape-theme=dark; papertape-zone=shanghai",
			`data-theme="dark" data-colours="green-up" data-zone="shanghai"`,
		},
		{
			"papertape-theme=pink; papertape-zone=\"><b>",
			`data-theme="auto" data-colours="green-up" data-zone="browser"`,
		},
	} {
		cookies, want := one[0], one[1]
		if body := f.get("/console/accounts/100017", "Cookie", cookies).Body.String(); !strings.Contains(body, want) {
			t.Errorf("with %s: %.200s", cookies, body)
		}
	}
	body := f.get("/console/accounts/100017", "Cookie", "papertape-zone=shanghai").Body.String()
	if !strings.Contains(body, `<span id="zone">UTC+8</span>`) {
		t.Error("the zone of the times is not said")
	}
	const at = "2026-11-30T09:25:03.118Z"
	if !strings.Contains(body, `<time datetime="`+at+`" data-form="clock" title="`+at+`">`) ||
		!strings.Contains(body, "17:25:03") {
		t.Error("the time of an event is not that of Shanghai")
	}
}

// TestEscapes: what the API has in it is shown as text.
func TestEscapes(t *testing.T) {
	f := newFake(t)
	const evil = `\"><script>alert(1)</script><img src=x onerror=alert(1)>`
	for path, body := range f.answers {
		changed := regexp.MustCompile(`"(name|reason|text|remote|detail|what|actor|meaning|value|key|version|code|body)": ?"(?:[^"\\]|\\.)*"`).
			ReplaceAllString(string(body), `"$1": "`+strings.ReplaceAll(evil, "$", "$$")+`"`)
		if !json.Valid([]byte(changed)) {
			t.Fatalf("%s: %s", path, changed)
		}
		f.set(path, changed)
	}
	seen := 0
	for _, target := range everyPage {
		body := withoutTexts(f.get(target).Body.String())
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") {
			t.Errorf("%s runs what it shows", target)
		}
		seen += strings.Count(body, "&lt;script&gt;alert(1)")
	}
	if seen < 20 {
		t.Errorf("it was shown %d times", seen)
	}
	body := f.get("/console/accounts?q=%22%3E%3Cscript%3Ealert(1)").Body.String()
	if strings.Contains(body, "<script>alert") {
		t.Error("a filter is run")
	}
}

// TestFigures: figures look as testdata/figures.json says; webtest holds the scripts to the same.
func TestFigures(t *testing.T) {
	text, err := os.ReadFile("testdata/figures.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		unit := row[0].(string)
		got := figure(row[1], unit)
		if unit == "money" {
			got = money(row[1])
		}
		if got != row[2] {
			t.Errorf("%s %v: %q, want %q", unit, row[1], got, row[2])
		}
	}
	for value, want := range map[string]string{"1204.00": "▲</span> +1,204.00", "-0.01": "▼</span> -0.01",
		"0.00": "=</span> 0.00"} {
		if got := string(signed(value)); !strings.Contains(got, want) {
			t.Errorf("signed %s: %s", value, got)
		}
	}
	if got := string(percent("-540.00", "110100.00")); !strings.Contains(got, "-0.49 %") {
		t.Errorf("a percentage: %s", got)
	}
	if got := string(percent("1", "0.00")); got != nothing {
		t.Errorf("of nothing: %s", got)
	}
}

// TestEquityIsTheEndOfItsCurve: the figure above the chart and the last point of the chart are from one answer.
func TestEquityIsTheEndOfItsCurve(t *testing.T) {
	f := newFake(t)
	body := f.get("/console/accounts/100017").Body.String()
	var equity map[string]any
	if err := json.Unmarshal(f.answers["/api/v1/accounts/100017/equity"], &equity); err != nil {
		t.Fatal(err)
	}
	points := equity["points"].([]any)
	end := money(at(points[len(points)-1], "last"))
	if !strings.Contains(body, `<dd id="equity">`+end+`</dd>`) || !strings.Contains(body, "as of event 445") {
		t.Errorf("the equity is not %s as of its sequence", end)
	}
	c := newCurve(points)
	final := points[len(points)-1]
	last := fmt.Sprintf("%.1f,%.1f\"", c.x(timeOf(at(final, "time"))), c.y(number(at(final, "last"))))
	if !strings.Contains(body, last) {
		t.Errorf("the curve does not end at %s", last)
	}
}

// TestTape: a trade that was taken back is struck through and stays; it has no button any more.
func TestTape(t *testing.T) {
	f := newFake(t)
	body := f.get("/console/accounts/100017").Body.String()
	for id, want := range map[string]bool{"442": true, "444": true, "440": false} {
		row := between(body, `<tr data-key="e`+id+`"`, "</tr>")
		if struck := strings.Contains(row, `class="struck"`); struck != want || !strings.Contains(row, "100017-"+id) {
			t.Errorf("trade %s is struck: %t", id, struck)
		}
		if button := strings.Contains(row, `data-bust="100017-`+id); button == want {
			t.Errorf("trade %s has a button: %t", id, button)
		}
	}
	if row := between(body, `<tr data-key="e442"`, "</tr>"); !strings.Contains(row, "struck by 100017-445") {
		t.Errorf("it does not say by what: %s", row)
	}
	if !strings.Contains(body, "before=440") {
		t.Error("there is no way to what is older")
	}
}

func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	part, _, _ := strings.Cut(rest, to)
	return part
}

// TestFilters: what the address asks for is what the API is asked, and what the page's fields have.
func TestFilters(t *testing.T) {
	f := newFake(t)
	for _, one := range [][2]string{
		{"/console/accounts", "/api/v1/accounts?limit=50"},
		{
			"/console/accounts?q=1000&sort=-equity&min_rows=5",
			"/api/v1/accounts?limit=50&min_rows=5&q=1000&sort=-equity",
		},
		{"/console/accounts?q=&offset=50", "/api/v1/accounts?limit=50&offset=50"},
		{"/console/sessions", "/api/v1/sessions?limit=100&sort=-waiting"},
		{
			"/console/sessions?state=catching_up&remote=10.0.0.",
			"/api/v1/sessions?limit=100&remote=10.0.0.&sort=-waiting&state=catching_up",
		},
		{"/console/sessions?sort=uid&min_waiting=65536", "/api/v1/sessions?limit=100&min_waiting=65536&sort=uid"},
		{"/console/sessions?tab=ended&cause=slow_stalled", "/api/v1/sessions/ended?cause=slow_stalled&limit=100"},
		{
			"/console/accounts/100017?kind=bust&before=9",
			"/api/v1/accounts/100017/history?before=9&kind=bust&limit=50",
		},
		{
			"/console/accounts/100017?instrument=SH.600030",
			"/api/v1/accounts/100017/history?instrument=SH.600030&limit=50",
		},
		{"/console/accounts/100017", "/api/v1/accounts/100017/equity?points=300"},
		{"/console/instruments?instrument=SH.600030", "/api/v1/instruments/SH.600030/holders"},
		{
			"/console/audit?result=refused&actor=desk&action=bust",
			"/api/v1/audit?action=bust&actor=desk&limit=100&result=refused",
		},
	} {
		target, want := one[0], one[1]
		f.asked = nil
		body := f.get(target).Body.String()
		if !slices.Contains(f.asked, want) {
			t.Errorf("%s asks %v, not %s", target, f.asked, want)
		}
		if !strings.Contains(body, `<a href="`+strings.ReplaceAll(want, "&", "&amp;")+`"`) {
			t.Errorf("%s has no link to %s", target, want)
		}
	}
	body := f.get("/console/accounts?sort=-equity&q=100").Body.String()
	for _, want := range []string{
		`aria-sort="descending"><a href="/console/accounts?q=100&amp;sort=equity">`,
		`name="q" type="search" inputmode="numeric" value="100"`,
		`<option value="-equity" selected>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if body := f.get("/console/settings?differs=1&q=simul").Body.String(); strings.Count(body, `data-key="s`) != 1 {
		t.Error("the filter of the settings leaves more, or less")
	}
	body = f.get("/console/instruments").Body.String()
	for _, want := range []string{"27.45 <small>300</small>", "27.47 <small>600</small>", "123,400", "halted",
		"auction", `data-close="27.00"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the instruments have no %s", want)
		}
	}
	if body := f.get("/console/instruments?q=sh.600&market=SH").Body.String(); strings.Count(body, `data-key="i`) != 2 {
		t.Error("the filter of the instruments leaves more, or less")
	}
}

// TestPlaces: the links to what comes before and after.
func TestPlaces(t *testing.T) {
	f := newFake(t)
	for target, want := range map[string][]string{
		"/console/accounts": {"1 – 12 of 100", `offset=12" rel="next"`},
		"/console/accounts?offset=50&sort=seq": {"51 – 62 of 100", `sort=seq" rel="prev"`,
			`offset=62&amp;sort=seq" rel="next"`},
		"/console/accounts?offset=88": {"89 – 100 of 100", `offset=38" rel="prev"`},
	} {
		body := f.get(target).Body.String()
		for _, part := range want {
			if !strings.Contains(body, part) {
				t.Errorf("%s has no %s", target, part)
			}
		}
	}
}

// TestAnswersThatFail: a page says what the API says, with its status if it is about that, and what there is instead.
func TestAnswersThatFail(t *testing.T) {
	f := newFake(t)
	w := f.get("/console/accounts/7")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "there is nothing &lt;here&gt;") ||
		!strings.Contains(w.Body.String(), "There is no account 7.") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	delete(f.answers, "/api/v1/counters")
	if w := f.get("/console/journal"); w.Code != 200 ||
		!strings.Contains(w.Body.String(), `role="alert"><p>there is nothing`) {
		t.Errorf("a part that is missing: %d", w.Code)
	}
	delete(f.answers, "/api/v1/live")
	if w := f.get("/console/"); w.Code != 200 || strings.Contains(w.Body.String(), `role="alert"><p>`) {
		t.Errorf("a stream that is not there yet: %d", w.Code)
	}
	f.set("/api/v1/accounts", "no JSON")
	if w := f.get("/console/accounts"); w.Code != 502 || !strings.Contains(w.Body.String(), "did not answer this") {
		t.Errorf("an answer that is none: %d", w.Code)
	}
	f.set("/api/v1/accounts", `{"accounts":[],"total":0}`)
	if w := f.get("/console/accounts?q=9"); !strings.Contains(w.Body.String(), "No account begins with 9.") ||
		!strings.Contains(w.Body.String(), "The first is 100001, and there are 100.") {
		t.Errorf("nothing that fits: %s", w.Body)
	}
}

// TestPages: each pattern has its page, and the parameters that it takes.
func TestPages(t *testing.T) {
	f := newFake(t)
	if got := len(f.ui.Pages()); got != 9 {
		t.Errorf("there are %d pages", got)
	}
	if got := Params("/console/accounts"); !slices.Equal(got, []string{"lang", "q", "sort", "min_rows", "offset"}) {
		t.Errorf("the accounts take %v", got)
	}
}
