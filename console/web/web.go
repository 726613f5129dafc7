// Package web is the console in the browser: pages that are rendered with their data in them, and the
// scripts that keep them current.
//
//	ui, err := web.New(web.Config{Ask: ask, Viewer: viewer})
//	mux.Handle("/console/", ui.Pages()["/console/accounts"])
//
// A page knows nothing of the server but what the HTTP API answers: it asks for a few paths of it, in the name of
// whoever looks, and its template shows the JSON. So all that a page shows, a script can have too, and the page
// links to it. Scripts ask for the page again and put what has changed into the one that is shown (static/morph.js),
// and take the figures of each second from the API's stream (static/stream.js).
//
// All of it is embedded: nothing is fetched from elsewhere. The content policy allows no code in a page, and no
// styles, so there are none: widths and points are attributes of SVG.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

//go:embed templates static lang
var files embed.FS

// Answer is what the API answers.
type Answer struct {
	Status int
	Body   []byte
}

// Viewer is who looks at a page.
type Viewer struct {
	Name     string // "" is somebody who has not logged in
	Operator bool
}

// Config is what the pages need. Its functions are called by several goroutines at a time.
type Config struct {
	Ask    func(r *http.Request, target string) Answer // asks the API in the name of whoever makes r
	Viewer func(r *http.Request) Viewer
}

// UI makes the pages. Make one with New.
type UI struct {
	cfg       Config
	templates *template.Template
	texts     map[string]catalogue // by language
	assets    map[string][]byte    // by name
	base      string               // the path of the assets, which changes with them
}

// policy is the content policy of a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New reads what is embedded.
func New(cfg Config) (*UI, error) {
	u := &UI{cfg: cfg, texts: make(map[string]catalogue), assets: make(map[string][]byte)}
	hash := sha256.New()
	err := fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		u.assets[path.Base(name)] = text
		_, _ = hash.Write(text) // never fails
		return err
	})
	if err != nil {
		return nil, err
	}
	u.base = "/console/static/" + hex.EncodeToString(hash.Sum(nil)[:6]) + "/"
	for _, lang := range languages {
		if u.texts[lang], err = readCatalogue(lang); err != nil {
			return nil, err
		}
	}
	u.templates, err = template.New("").Funcs(functions).ParseFS(files, "templates/*.html")
	return u, err
}

// page is one of the pages.
type page struct {
	name   string   // of its template and of its texts
	params []string // what its query may have
	calls  func(r *http.Request) []call
	live   string // the topics of the stream that it wants, besides overview
	every  int    // seconds between two looks at what the stream does not carry; 0: none
	owners bool   // for operators alone
}

// call is a question to the API.
type call struct {
	as, target string
	first      bool // the first event of a stream is the answer
}

// Pages are the handlers by pattern of http.ServeMux. Each takes GET.
func (u *UI) Pages() map[string]http.HandlerFunc {
	all := make(map[string]http.HandlerFunc, len(pages))
	for pattern, p := range pages {
		all[pattern] = func(w http.ResponseWriter, r *http.Request) { u.show(w, r, p) }
	}
	return all
}

// Params are the parameters that the page of a pattern takes.
func Params(pattern string) []string { return append([]string{"lang"}, pages[pattern].params...) }

// show answers with a page.
func (u *UI) show(w http.ResponseWriter, r *http.Request, p *page) {
	v := u.newView(r, p.name)
	v.Topics, v.Every = p.live, p.every
	if v.Account != "" {
		v.Topics = "account:" + v.Account
	}
	status := http.StatusOK
	if p.owners && !v.Viewer.Operator {
		v.Problem = &problem{Status: http.StatusForbidden, Message: v.T("needs.operator")}
	} else {
		for i, c := range p.calls(r) {
			v.ask(r, c, i == 0)
		}
	}
	if v.Problem != nil && v.Problem.main {
		status = v.Problem.Status
	}
	u.render(w, v, status)
}

// Login answers with the page that logs a browser in. It is for everybody, and shows nothing.
func (u *UI) Login(w http.ResponseWriter, r *http.Request) {
	v := u.newView(r, "login")
	v.Bare = true
	v.Next = nextPage(r.URL.Query().Get("next"))
	u.render(w, v, http.StatusOK)
}

// nextPage returns where to go after a login: to a page of the console, and nowhere else.
func nextPage(next string) string {
	to, err := url.Parse(next)
	if err != nil || to.IsAbs() || to.Host != "" || !strings.HasPrefix(to.Path, "/console/") ||
		path.Clean(to.Path)+"/" != strings.TrimSuffix(to.Path, "/")+"/" ||
		strings.HasPrefix(to.Path, "/console/login") {
		return "/console/"
	}
	return to.RequestURI()
}

func (u *UI) render(w http.ResponseWriter, v *view, status int) {
	var b bytes.Buffer
	if err := u.templates.ExecuteTemplate(&b, "layout.html", v); err != nil {
		http.Error(w, fmt.Sprintf("the page could not be made: %v", err), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Language", v.Lang)
	h.Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// body renders the part of a page that is its own. html/template cannot choose a template by name.
func (u *UI) body(v *view) (template.HTML, error) {
	var b bytes.Buffer
	if err := u.templates.ExecuteTemplate(&b, v.Page+".html", v); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil //nolint:gosec // a template has escaped it
}

var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// Static answers with a file of the pages. Its path has the hash of all of them in it, so it may be kept for ever.
func (u *UI) Static(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, u.base)
	text, known := u.assets[name]
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", policy) // that of a worker is its own
	_, _ = w.Write(text)
}

// Base is the path of the files of the pages.
func (u *UI) Base() string { return u.base }

// Bytes is the size of all that is embedded.
func Bytes() (n int) {
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			text, _ := files.ReadFile(name)
			n += len(text)
		}
		return err
	})
	return n
}

// languages are those that the pages have. The first is for whoever asks for none of them.
var languages = []string{"en", "zh"}

func known(list []string, value string) bool { return slices.Contains(list, value) }
