package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestHosts checks which host names a console answers to, in every form.
func TestHosts(t *testing.T) {
	named := newHosts([]string{"desk.example", "ops.example:8443"})
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:7301": true, "127.0.0.1:": true, "10.1.2.3:80": true, "0.0.0.0:7301": true,
		"[::1]": true, "[::1]:7301": true, "[::1]:": true, "[2001:DB8::1]:7301": true, "[::ffff:127.0.0.1]:7301": true,
		"[::]:1":    true,
		"localhost": true, "localhost:7301": true, "LocalHost:7301": true, "localhost.": true, "localhost.:7301": true,
		"desk.example": true, "desk.example:7301": true, "DESK.Example:1": true, "desk.example.": true,
		"ops.example": true, "ops.example:7301": true,

		"": false, ":": false, ":7301": false, ".": false, "evil.example": false, "evil.example:7301": false,
		"example":                false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "127.0.0.1.nip.io:7301": false,
		"evil.localhost":            false,
		"desk.example.evil.example": false, "evildesk.example": false, "desk.example..": false, "localhost..": false,
		".localhost":     false,
		"user@127.0.0.1": false, "127.0.0.1@evil.example": false, "localhost:7301@evil.example": false,
		"evil.example:80@localhost": false,
		"localhost:x":               false, "localhost:-1": false, "localhost:65536": false,
		"localhost:7301:7301":         false,
		"localhost:7301.evil.example": false,
		"127.0.0.1, evil.example":     false, "localhost evil.example": false, "localhost\tx": false,
		"localhost/": false,
		"localhost#": false, "localhost%00": false,
		"127.1": false, "0x7f.0.0.1": false, "0177.0.0.1": false, "2130706433": false, "127.0.0.1.": false,
		"127.0.0.01": false,
		"::1":        false, "[::1": false, "::1]": false, "]": false, "[]": false, "[": false, "[::1]x": false,
		"[::1]7301": false, "[::1]:x": false, "[::1]]": false,
		"[::1%lo]": false, "[::1%25evil.example]:7301": false, "[127.0.0.1]:7301": false, "[localhost]": false,
		"[evil.example]:7301": false, "[[::1]]": false,
		"ｌocalhost": false, "loc\u0430lhost": false, "*": false, "*.example": false,
	} {
		if got := named.has(host); got != want {
			t.Errorf("%q: %t, want %t", host, got, want)
		}
	}
}

func TestParseHost(t *testing.T) {
	for text, want := range map[string]string{
		"desk.example": "desk.example", "Desk.EXAMPLE.": "desk.example", "desk": "desk",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
		"desk.example:8443":     "desk.example:8443", "under_score": "under_score", "7desk": "7desk",
		"1.2.3.4.example": "1.2.3.4.example",
	} {
		if got, err := ParseHost(text); got != want || err != nil {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": `"" is not the name of a host; ` +
			`write one as browsers send it, as in desk.example.com`,
		"*":                             "is not the name of a host",
		"*.example":                     "is not the name of a host",
		"a..b":                          "is not the name of a host",
		"desk example":                  "is not the name of a host",
		"bücher.example":                "is not the name of a host",
		"user@desk":                     "is not the name of a host",
		"127.1":                         "is not the name of a host",
		"0x7f.0x1":                      "is not the name of a host",
		strings.Repeat("a", 64):         "is not the name of a host",
		strings.Repeat("a.", 130) + "a": "is not the name of a host",
		"https://desk.example":          "without http:// and without a path",
		"desk.example/console":          "without http:// and without a path",
		"desk.example:":                 "has no port after its colon; write desk.example.com or desk.example.com:8443",
		"desk.example:x":                "has no port after its colon",
		"desk.example:99999":            "has no port after its colon",
		"127.0.0.1":                     "need not be named: the console answers to every address, and to localhost",
		"127.0.0.1:7301":                "need not be named",
		"::1":                           "need not be named",
		"[::1]":                         "need not be named",
		"localhost":                     "need not be named",
		"LOCALHOST.:80":                 "need not be named",
	} {
		if got, err := ParseHost(text); got != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %q, %v; want %s", text, got, err, want)
		}
	}
}

// everywhere returns a path for each route, and some where there is nothing.
func (f *fixture) everywhere() map[string][]string {
	all := map[string][]string{
		"/": {"GET"}, "/nowhere": {"GET", "PUT"}, "/metrics": {"GET"}, "/debug/pprof": {"GET"},
		"/api/v1/": {"GET"}, "/debug/pprof/heap": {"GET"},
	}
	for path, m := range f.server.guardedRoutes() {
		path = strings.NewReplacer("{$}", "", "{account}", "100017", "{id}", "100017-42", "{uid}", "7",
			"{name}", "goroutine").Replace(path)
		for method := range m {
			all[path] = append(all[path], method)
		}
		all[path] = append(all[path], "HEAD", "OPTIONS", "PATCH")
	}
	for path, m := range f.server.openRoutes() {
		for method := range m {
			if path = strings.TrimSuffix(path, "{$}"); !strings.HasPrefix(path, "/console/static/") {
				all[path] = append(all[path], method, "PATCH")
			}
		}
	}
	return all
}

// TestRebinding: a page whose name was rebound to this address can read and change nothing, at
// any path and with any headers. Requests with the token are exempt, because no page has it.
func TestRebinding(t *testing.T) {
	const token = "0123456789abcdef"
	open, locked := newFixture(t, ""), newFixture(t, token)
	for path, methods := range open.everywhere() {
		for _, method := range methods {
			for _, header := range [][]string{
				nil, {"Origin", "http://evil.example:7301"}, {"Sec-Fetch-Site", "same-origin"},
				{"Sec-Fetch-Site", "none"},
				{"X-Forwarded-Host", "localhost"}, {"Forwarded", "host=localhost"}, {"X-Host", "127.0.0.1"},
				{"Authorization", "Bearer " + token},
				{"Authorization", "Bearer "},
			} {
				w := open.askHost("evil.example:7301", method, path, "", header...)
				if w.Code != http.StatusMisdirectedRequest {
					t.Errorf("%s %s with %q: %d, want 421", method, path, header, w.Code)
				}
			}
		}
		locked.server.guard.failures = failures{}
		if w := locked.askHost("evil.example:7301", "OPTIONS", path, "", "Authorization", "Bearer x"); w.Code != 421 {
			t.Errorf("OPTIONS %s with another token: %d", path, w.Code)
		}
		if w := locked.askHost("console:7301", "OPTIONS", path, "", "Authorization", "Bearer "+token); w.Code == 421 ||
			w.Code == 401 {
			t.Errorf("OPTIONS %s with the token: %d", path, w.Code)
		}
	}
	if open.flow.state.Rate != 1 || open.desk.asked != nil || len(open.backups) > 0 || len(open.list.infos) != 3 ||
		open.level != "info" {
		t.Error("what was kept out has changed something")
	}
	for _, path := range []string{"/livez", "/readyz"} { // health reveals nothing secret
		if w := open.askHost("balancer.example", "GET", path, ""); w.Code != 200 {
			t.Errorf("%s by another name: %d", path, w.Code)
		}
	}
}

// TestRebindingSentence: the refusal says what to do.
func TestRebindingSentence(t *testing.T) {
	f := newFixture(t, "")
	long := strings.Repeat("e", 4000) + ".example"
	for host, want := range map[string]string{
		"evil.example": `this console does not go by the name of "evil.example"; ` +
			`ask by an address, have the name in admin_hosts, or send the token`,
		"":   "the request names no host; send Host with the address that was asked, or the token",
		long: fmt.Sprintf("this console does not go by the name of %q; ask", long[:64]+"…"),
	} {
		w := f.askHost(host, "GET", "/api/v1/accounts", "")
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 421 ||
			got.Error.Code != "misdirected" || !strings.HasPrefix(got.Error.Message, want) {
			t.Errorf("%.20q: %d %s, want %s", host, w.Code, w.Body, want)
		}
	}
}

// TestHostOnTheWire sends all forms in which a request can name its host.
func TestHostOnTheWire(t *testing.T) {
	f := newFixture(t, "")
	for request, want := range map[string]int{
		"GET /api/v1/log HTTP/1.1\r\nHost: 127.0.0.1:7301\r\n\r\n": 200,
		"GET /api/v1/log HTTP/1.1\r\nHost: evil.example\r\n\r\n":   421,
		"GET /api/v1/log HTTP/1.1\r\nHost:\r\n\r\n":                421,
		"GET /api/v1/log HTTP/1.1\r\n\r\n":                         400,
		"GET /api/v1/log HTTP/1.0\r\n\r\n":                         421,
		// As load balancers ask.
		"GET /readyz HTTP/1.0\r\n\r\n":                                                                      200,
		"GET /api/v1/log HTTP/1.0\r\nHost: localhost\r\n\r\n":                                               200,
		"GET /api/v1/log HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n":                         400,
		"GET /api/v1/log HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n":                         400,
		"GET http://evil.example/api/v1/log HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                            421,
		"GET http://127.0.0.1/api/v1/log HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                               200,
		"GET http://localhost@evil.example/api/v1/log HTTP/1.1\r\nHost: localhost\r\n\r\n":                  421,
		"GET http://evil.example@localhost/api/v1/log HTTP/1.1\r\nHost: localhost\r\n\r\n":                  421,
		"GET //evil.example/api/v1/log HTTP/1.1\r\nHost: localhost\r\n\r\n":                                 404,
		"GET /api/v1/log HTTP/1.1\r\nHost: user:pass@localhost\r\n\r\n":                                     400,
		"GET /api/v1/log HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n\r\n":             421,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                                  421,
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n":                                                     404,
		"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n":                                       421,
		"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                                          404,
		"PUT /api/v1/log HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 17\r\n\r\n{\"level\":\"debug\"}": 421,
	} {
		if status, body := f.send(t, request); status != want {
			t.Errorf("%q: %d, want %d: %s", request, status, want, body)
		}
	}
	if f.level != "info" {
		t.Errorf("the level is %s", f.level)
	}
}

// TestAdminHosts: the console answers to the operator's names, and their pages may make
// requests.
func TestAdminHosts(t *testing.T) {
	f := newFixtureWith(t, func(c *Config) { c.Hosts = []string{"desk.example", "ops.example:8443"} })
	const target, body = "/api/v1/simulator", `{"rate":2}`
	for _, c := range []struct {
		host, site, origin string
		want               int
	}{
		{"desk.example", "", "", 200},
		{"Desk.Example.:7301", "", "", 200},
		{"evil.example", "", "", 421},
		{"127.0.0.1:7301", "cross-site", "https://desk.example", 200},
		{"127.0.0.1:7301", "", "http://desk.example", 200},
		{"127.0.0.1:7301", "same-site", "https://ops.example:8443", 200},
		{"desk.example", "cross-site", "https://desk.example:8443", 403},
		{"desk.example", "cross-site", "https://ops.example", 403},
		{"desk.example", "cross-site", "https://desk.example.evil.example", 403},
		{"desk.example", "cross-site", "null", 403},
		{"desk.example", "cross-site", "", 403},
		{"evil.example", "same-origin", "https://desk.example", 421},
	} {
		var header []string
		if c.site != "" {
			header = append(header, "Sec-Fetch-Site", c.site)
		}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		for method, body := range map[string]string{"GET": "", "PUT": body} {
			if w := f.askHost(c.host, method, target, body, header...); w.Code != c.want {
				t.Errorf("%s of %+v: %d %s", method, c, w.Code, w.Body)
			}
		}
	}
	if _, err := New(Config{Hosts: []string{"not a host"}}); err == nil ||
		!strings.HasPrefix(err.Error(), "console: ") {
		t.Errorf("a name that is none: %v", err)
	}
}
