package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/console/web"
)

// The pages for browsers (package web) are behind the guard as the API is, which they are made of. Only the way to
// log in is for everybody: the page, its files, and the request.

// pageRoutes are the pages.
func (s *Server) pageRoutes() routes {
	all := make(routes)
	for pattern, handle := range s.web.Pages() {
		all[pattern] = methods{"GET": {role: Watch, handle: handle, query: acceptPageParameters(web.Params(pattern))}}
	}
	all[codePath] = methods{"POST": {role: Operate, handle: s.makeCode, audit: urgent}}
	return all
}

// openRoutes are for everybody who may ask at all.
func (s *Server) openRoutes() routes {
	toPages := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/console/", http.StatusFound) }
	return routes{
		"/{$}":             {"GET": {handle: toPages}},
		"/console":         {"GET": {handle: toPages}},
		loginPage:          {"GET": {handle: s.web.Login, query: acceptPageParameters([]string{"lang", "next"})}},
		s.web.Base():       {"GET": {handle: s.web.Static}},
		"/console/static/": {"GET": {handle: s.web.Static}},
		"/favicon.ico":     {"GET": {handle: s.icon}},
		loginPath:          {"POST": {handle: s.login, body: jsonBody}},
		logoutPath:         {"POST": {handle: s.logout}},
	}
}

// isOpen reports whether a path is one of openRoutes.
func isOpen(path string) bool {
	return slices.Contains([]string{"/", "/console", loginPage, loginPath, logoutPath, "/favicon.ico"}, path) ||
		strings.HasPrefix(path, "/console/static/")
}

// icon is what some browsers ask for whatever a page says.
func (s *Server) icon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, s.web.Base()+"icon.svg", http.StatusFound)
}

// isPage reports whether a browser asks for a page, to show it.
func isPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.HasPrefix(r.URL.Path, "/console/") &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

// acceptPageParameters is acceptParameters for a page. A form without scripts sends fields that are empty, and what
// the values are to be is for the API to say, which the page shows.
func acceptPageParameters(names []string) func(*http.Request) error {
	return func(r *http.Request) error {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return fmt.Errorf("the query cannot be read: %w", err)
		}
		for name, values := range query {
			switch {
			case !slices.Contains(names, name):
				return fmt.Errorf("there is no parameter %q here; %s takes %s", clip(name), r.URL.Path, inWords(names))
			case len(values) > 1:
				return fmt.Errorf("%s is there %d times; write it once", name, len(values))
			}
		}
		return nil
	}
}

// viewerOf returns who looks at a page.
func viewerOf(r *http.Request) web.Viewer {
	who := identityOf(r)
	v := web.Viewer{Operator: who.Role >= Operate}
	if who.Key != "" {
		v.Name = actorName(who)
	}
	return v
}

// askTimeout bounds what a page waits for the first event of the stream.
const askTimeout = 3 * time.Second

// askAPI answers a page's question, in the name of whoever asks for the page. Of a stream it is the first event.
func (s *Server) askAPI(r *http.Request, target string) web.Answer {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	if strings.HasPrefix(target, "/api/v1/live?") {
		ctx, cancel = context.WithTimeout(r.Context(), askTimeout)
	}
	defer cancel()
	inner, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return web.Answer{Status: http.StatusBadRequest}
	}
	inner.RemoteAddr, inner.Host, inner.RequestURI = r.RemoteAddr, r.Host, target
	w := &recorder{header: make(http.Header), status: http.StatusOK, cancel: cancel}
	s.guarded.ServeHTTP(w, inner)
	return web.Answer{Status: w.status, Body: w.body.Bytes()}
}

// recorder keeps an answer. It ends a stream after its first event.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	cancel context.CancelFunc
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

// SetWriteDeadline lets a stream set one; there is nobody who could be slow.
func (w *recorder) SetWriteDeadline(time.Time) error { return nil }

// Flush implements http.Flusher: what a stream flushes has begun, and an event ends with an empty line.
func (w *recorder) Flush() {
	text := w.body.Bytes()
	if i := bytes.Index(text, []byte("data:")); i >= 0 && bytes.Contains(text[i:], []byte("\n\n")) {
		w.cancel()
	}
}
