package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// view is what a template sees.
type view struct {
	ui *UI

	Page                       string
	Lang, Theme, Colours, Zone string
	Base, Next, Path           string
	Bare                       bool // without navigation
	Viewer                     Viewer
	Query                      url.Values
	Topics                     string // of the stream
	Every                      int    // seconds
	D                          map[string]any
	API                        []string // the calls that were made
	Problem                    *problem
	Now                        time.Time
	Account                    string // whose page it is

	texts  catalogue
	struck map[string]string // trades that events of the page took back, and by which
}

// problem is an answer of the API that is an error.
type problem struct {
	Status        int
	Code, Message string
	main          bool // it is what the page is about
}

// newView returns the view of whoever makes a request, with what he prefers: cookies first, then what his browser
// asks for.
func (u *UI) newView(r *http.Request, name string) *view {
	v := &view{
		ui: u, Page: name, Base: u.base, Viewer: u.cfg.Viewer(r), Query: r.URL.Query(), D: make(map[string]any),
		Now: time.Now(), Path: r.URL.Path, Lang: language(r), Zone: preference(r, "zone", zones),
		Theme: preference(r, "theme", themes),
	}
	v.texts, v.Account = u.texts[v.Lang], r.PathValue("account")
	v.Colours = preference(r, "colours", colours)
	if v.Colours == colours[0] {
		v.Colours = map[string]string{"en": "green-up", "zh": "red-up"}[v.Lang]
	}
	return v
}

// What can be preferred; the first is the default.
var (
	zones   = []string{"browser", "utc", "shanghai"}
	themes  = []string{"auto", "dark", "light"}
	colours = []string{"auto", "green-up", "red-up"}
)

// preference returns what a cookie prefers.
func preference(r *http.Request, name string, of []string) string {
	if c, err := r.Cookie("papertape-" + name); err == nil && known(of, c.Value) {
		return c.Value
	}
	return of[0]
}

// language returns the language of a page: that of the query, the cookie, or the first of ours that the browser
// prefers.
func language(r *http.Request) string {
	if lang := r.URL.Query().Get("lang"); known(languages, lang) {
		return lang
	}
	if c, err := r.Cookie("papertape-lang"); err == nil && known(languages, c.Value) {
		return c.Value
	}
	best, most := languages[0], 0.0
	for one := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, weight, weighed := strings.Cut(strings.TrimSpace(one), ";q=")
		q := 1.0
		if weighed {
			q, _ = strconv.ParseFloat(weight, 64) // 0 if it is no number
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if known(languages, primary) && q > most {
			best, most = primary, q
		}
	}
	return best
}

// ask asks the API for a part of the page.
func (v *view) ask(r *http.Request, c call, main bool) {
	a := v.ui.cfg.Ask(r, c.target)
	v.API = append(v.API, c.target)
	text := a.Body
	if c.first {
		text = firstEvent(text)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil && a.Status == http.StatusOK {
		a.Status, value = http.StatusBadGateway, nil
	}
	if a.Status == http.StatusOK {
		v.D[c.as] = value
		return
	}
	p := &problem{Status: a.Status, Message: v.T("no.answer"), main: main}
	if body, ok := at(value, "error").(map[string]any); ok {
		p.Code, p.Message = fmt.Sprint(body["code"]), fmt.Sprint(body["message"])
	}
	if v.Problem == nil && !c.first { // what a stream would have begun with comes with the stream
		v.Problem = p
	}
}

// firstEvent returns the data of the first event of a stream.
func firstEvent(stream []byte) []byte {
	for line := range bytes.Lines(stream) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			return bytes.TrimSpace(data)
		}
	}
	return nil
}

// at returns a member of a value, by names with dots between them; nil if it is not there.
func at(value any, names string) any {
	for name := range strings.SplitSeq(names, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// T returns a text, with what is to stand in the places {0}, {1} …
func (v *view) T(key string, with ...any) string {
	text, ok := v.texts[key]
	if !ok {
		return "[" + key + "]"
	}
	for i, one := range with {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i)+"}", fmt.Sprint(one))
	}
	return text
}

// Has reports whether there is a text. Names that the server gives have one, mostly.
func (v *view) Has(key string) bool { _, ok := v.texts[key]; return ok }

// Name returns the text for a name that the server gives, or else the name.
func (v *view) Name(kind string, name any) string {
	if key := kind + "." + text(name); v.Has(key) {
		return v.T(key)
	}
	return text(name)
}

// Body is the part of the page that is its own.
func (v *view) Body() (template.HTML, error) { return v.ui.body(v) }

// Texts are those for the scripts.
func (v *view) Texts() map[string]string { return v.texts.script() }

// With returns the page's path with a parameter changed; "" takes it out. The place in a list begins anew.
func (v *view) With(name, value string) string {
	q := url.Values{}
	for key, values := range v.Query {
		q[key] = values
	}
	for _, place := range []string{"offset", "before", "after"} {
		q.Del(place)
	}
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	if len(q) == 0 {
		return v.Path
	}
	return v.Path + "?" + q.Encode()
}

// Q is a parameter of the page.
func (v *view) Q(name string) string { return v.Query.Get(name) }

// Sorted is the value of aria-sort for a column.
func (v *view) Sorted(column, otherwise string) string {
	sort := v.Q("sort")
	if sort == "" {
		sort = otherwise
	}
	switch sort {
	case column:
		return "ascending"
	case "-" + column:
		return "descending"
	}
	return ""
}

// SortBy is the link that sorts by a column: figures from the largest first, and the other way round at once more.
func (v *view) SortBy(column, otherwise string) string {
	if v.Sorted(column, otherwise) == "descending" {
		return v.With("sort", column)
	}
	return v.With("sort", "-"+column)
}

// Title is that of the window.
func (v *view) Title() string {
	name := v.T("page." + v.Page)
	if v.Account != "" {
		name = v.Account
	}
	return name + " · " + v.T("simulated") + " · Papertape"
}

// Time shows a moment in the zone that is preferred. Scripts show it anew for the zone of the browser, which only
// they know.
func (v *view) Time(value any, form string) template.HTML {
	moment, err := time.Parse(time.RFC3339Nano, text(value))
	if err != nil {
		return "–"
	}
	at, full := moment.UTC(), moment.UTC().Format("2006-01-02T15:04:05.000Z")
	if v.Zone == "shanghai" {
		at = at.In(shanghai)
	}
	shown := at.Format(timeForms[form])
	if form == "clock" && v.Now.Sub(moment).Abs() > 20*time.Hour {
		shown = at.Format(timeForms["full"])
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // all of it was formatted here
		`<time datetime="%s" data-form="%s" title="%s">%s</time>`, full, form, full, shown))
}

var (
	shanghai  = time.FixedZone("Asia/Shanghai", 8*60*60) // has had no other offset since 1991
	timeForms = map[string]string{"clock": "15:04:05.000", "full": "2006-01-02 15:04:05"}
)

// Ago says how long ago a moment was.
func (v *view) Ago(value any) string {
	moment, err := time.Parse(time.RFC3339Nano, text(value))
	if err != nil {
		return "–"
	}
	return v.T("ago", seconds(max(0, v.Now.Sub(moment).Seconds())))
}
