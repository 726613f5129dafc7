package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSealed: every answer has the security headers, whatever the request and its outcome.
func TestSealed(t *testing.T) {
	open, locked := newFixture(t, ""), newFixture(t, "0123456789abcdef")
	want := map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	check := func(what string, w *httptest.ResponseRecorder) {
		t.Helper()
		for name, value := range want {
			if name == "Content-Security-Policy" && strings.Contains(w.Body.String(), "data-theme=") {
				value = pagePolicy
			}
			if got := w.Header().Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s: %d with %s: %q", what, w.Code, name, got)
			}
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %s", what, name, w.Header().Get(name))
			}
		}
	}
	paths := open.everywhere()
	paths["/livez"], paths["/readyz"] = []string{"GET", "PUT"}, []string{"GET", "HEAD"}
	paths["//api/../x"] = []string{"GET"}
	for path, methods := range paths {
		for _, method := range methods {
			check(method+" "+path, open.askCancelled(method, path, ""))
			check(method+" "+path+" of another site",
				open.ask(method, path, "", "Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"))
			check(method+" "+path+" by another name", open.askHost("evil.example", method, path, ""))
			check(method+" "+path+" without the token", locked.ask(method, path, ""))
			check(method+" "+path+" with a parameter", open.ask(method, path+"?x=1", ""))
		}
	}
}

// TestOtherSites: pages of other sites can read and write nothing, at any path. Only browsers
// say which page makes a request.
func TestOtherSites(t *testing.T) {
	f := newFixture(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that profiles end at once
	ask := func(method, path string, header http.Header) int {
		r := httptest.NewRequestWithContext(ctx, method, path, nil)
		r.Host, r.Header = "127.0.0.1:7301", header
		w := httptest.NewRecorder()
		f.server.http.Handler.ServeHTTP(w, r)
		return w.Code
	}
	others := []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Sec-Fetch-Site": {"Same-Origin"}},
		{"Sec-Fetch-Site": {"?"}},
		{"Origin": {"http://elsewhere.example"}}, {"Origin": {"null"}}, {"Origin": {"http://127.0.0.1:7302"}},
		{"Origin": {"http://localhost:7301"}},
		{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://127.0.0.1:7301"}},
		{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}},
		{"Sec-Fetch-Site": {"same-origin", "cross-site"}},
		{"Origin": {"http://127.0.0.1:7301", "http://elsewhere.example"}},
	}
	own := []http.Header{
		{}, {"Sec-Fetch-Site": {"same-origin"}}, {"Sec-Fetch-Site": {"none"}}, {"Origin": {"http://127.0.0.1:7301"}},
		{"Origin": {"https://127.0.0.1:7301"}},
	}
	for path, methods := range f.everywhere() {
		for _, method := range methods {
			for _, header := range others {
				visit := path == loginPage && method == "GET" && header.Get("Sec-Fetch-Mode") == "navigate"
				if code := ask(method, path, header); code != http.StatusForbidden && !visit {
					t.Errorf("%s %s with %v: %d, want 403", method, path, header, code)
				}
			}
			for _, header := range own {
				if code := ask(method, path, header); code == http.StatusForbidden ||
					code == http.StatusMisdirectedRequest {
					t.Errorf("%s %s with %v: %d", method, path, header, code)
				}
			}
		}
	}
}

// TestPaths: a path that is not in its shortest form finds nothing, and is not redirected.
func TestPaths(t *testing.T) {
	f := newFixture(t, "")
	for _, path := range []string{
		"/api//v1/log", "//api/v1/log", "/api/v1/../v1/log", "/api/v1/log/.", "/api/v1/./log", "/api/v1/log//",
		"/api/v1/log/", "/debug/../livez",
		"/api/v1/trades/100017-42/..%2f", "/api/v1/accounts/100017/../100017/holdings", "/livez/", "/LIVEZ",
		"/API/v1/log",
	} {
		request := "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
		if status, body := f.send(t, request); status != 404 || !strings.Contains(body, `"not_found"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestRequestsMax: while the most requests are being answered, further ones get 503 and when to
// try again. Health is not affected.
func TestRequestsMax(t *testing.T) {
	f := newFixture(t, "")
	for range requestsMax - 1 {
		f.server.guard.slots <- struct{}{}
	}
	if w := f.ask("GET", "/api/v1/log", ""); w.Code != 200 {
		t.Errorf("the last that may: %d %s", w.Code, w.Body)
	}
	f.server.guard.slots <- struct{}{}
	w := f.ask("GET", "/api/v1/log", "")
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" ||
		!strings.Contains(w.Body.String(), `"busy","message":"128 requests are being answered already; try again"`) {
		t.Errorf("one more: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if w := f.ask("GET", path, ""); w.Code != 200 {
			t.Errorf("%s meanwhile: %d", path, w.Code)
		}
	}
	<-f.server.guard.slots
	if w := f.ask("GET", "/api/v1/log", ""); w.Code != 200 {
		t.Errorf("when another has ended: %d %s", w.Code, w.Body)
	}
}
