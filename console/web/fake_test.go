package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// fake is an API that answers what testdata/api.json has, and remembers what it was asked.
type fake struct {
	ui      *UI
	answers map[string]json.RawMessage
	viewer  Viewer
	mux     *http.ServeMux

	mu    sync.Mutex
	asked []string
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{answers: make(map[string]json.RawMessage), viewer: Viewer{Name: "desk", Operator: true}}
	text, err := os.ReadFile("testdata/api.json")
	if err == nil {
		err = json.Unmarshal(text, &f.answers)
	}
	if err == nil {
		f.ui, err = New(Config{Ask: f.ask, Viewer: func(*http.Request) Viewer { return f.viewer }})
	}
	if err != nil {
		t.Fatal(err)
	}
	f.mux = http.NewServeMux()
	for pattern, handle := range f.ui.Pages() {
		f.mux.HandleFunc(pattern, handle)
	}
	f.mux.HandleFunc("/console/login", f.ui.Login)
	f.mux.HandleFunc(f.ui.Base(), f.ui.Static)
	return f
}

// ask answers as the API of a console would.
func (f *fake) ask(_ *http.Request, target string) Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, target)
	path, _, _ := strings.Cut(target, "?")
	body, ok := f.answers[path]
	switch {
	case !ok:
		return Answer{http.StatusNotFound, []byte(`{"error":{"code":"not_found","message":"there is nothing <here>"}}`)}
	case path == "/api/v1/live":
		body = append([]byte("retry: 1000\n\nid: 1\nevent: start\ndata: "), append(body, "\n\n"...)...)
	}
	return Answer{http.StatusOK, body}
}

// set changes an answer.
func (f *fake) set(path, body string) { f.answers[path] = json.RawMessage(body) }

// get returns a page.
func (f *fake) get(target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w
}

// everyPage are the addresses of all pages.
var everyPage = []string{
	"/console/", "/console/accounts", "/console/accounts/100017", "/console/sessions", "/console/sessions?tab=ended",
	"/console/simulator", "/console/journal", "/console/instruments", "/console/instruments?instrument=SH.600030",
	"/console/settings", "/console/audit", "/console/login",
}
