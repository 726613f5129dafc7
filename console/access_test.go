package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/positions"
)

// TestEveryRouteHasARole: no route lacks one, what may change something is for operators, and only
// health is for everybody.
func TestEveryRouteHasARole(t *testing.T) {
	f := newFixture(t, "")
	for path, m := range f.server.guardedRoutes() {
		for method, o := range m {
			operators := method != http.MethodGet || strings.HasPrefix(path, "/debug/") ||
				path == "/api/v1/audit"
			switch {
			case o.role != Watch && o.role != Operate:
				t.Errorf("%s %s has no role", method, path)
			case operators != (o.role == Operate):
				t.Errorf("%s %s is for %s", method, path, o.role)
			}
			changing := method != http.MethodGet && !strings.HasPrefix(path, "/debug/")
			if changing != (o.audit != reads) {
				t.Errorf("%s %s is written to the audit: %t", method, path, o.audit != reads)
			}
		}
	}
	for path, m := range healthRoutes(f.server.cfg.Ready, nil) {
		for method, o := range m {
			if o.role != everybody || method != http.MethodGet {
				t.Errorf("%s %s is health, and not for everybody to read", method, path)
			}
		}
	}
}

// keyring knows a key of each role.
type keyring struct{}

func (keyring) Authenticate(bearer string, _ netip.Addr) (Identity, bool) {
	role := slices.Index([]string{"K.nobody", "K.watch", "K.operate"}, bearer)
	if role < 0 {
		return Identity{}, false
	}
	return Identity{Key: "K", Name: "desk", Role: Role(role)}, true
}

// TestRoles asks each route with each role.
func TestRoles(t *testing.T) {
	for _, anonymous := range []Role{Nobody, Watch} {
		f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous = keyring{}, anonymous })
		for path, m := range f.server.guardedRoutes() {
			path = strings.NewReplacer("{$}", "", "{account}", "100017", "{id}", "100017-42", "{uid}", "7",
				"{instrument}", "SH.600519",
				"{name}", "goroutine").Replace(path)
			for method, o := range m {
				for bearer, has := range map[string]Role{
					"": anonymous, "K.nobody": Nobody, "K.watch": Watch, "K.operate": Operate,
				} {
					// A parameter that is none: whoever may ask is told so, and nothing happens.
					header, want := []string(nil), 400
					if bearer != "" {
						header = []string{"Authorization", "Bearer " + bearer}
					}
					switch {
					case has >= o.role:
					case bearer == "":
						want = 401
					default:
						want = 403
					}
					if w := f.ask(method, path+"?nothing=1", "", header...); w.Code != want {
						t.Errorf("%s %s with %q: %d, want %d: %s", method, path, bearer, w.Code, want, w.Body)
					}
				}
			}
		}
		w := f.ask("HEAD", "/debug/pprof/heap", "", "Authorization", "Bearer K.watch")
		if w.Code != 403 {
			t.Errorf("HEAD of a profile with the role watch: %d", w.Code)
		}
	}
}

// TestActor: a bust is by the one whose key it is, and the audit says for whom.
func TestActor(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous, c.Audit = keyring{}, Watch, kept })
	w := f.ask("POST", bustsPath, bustOperations["POST /api/v1/busts"], "Authorization", "Bearer K.operate")
	if w.Code != 200 || f.desk.asked.Actor != "desk" {
		t.Errorf("%d, the actor is %+v", w.Code, f.desk.asked)
	}
	for _, line := range kept.Memory() {
		if line.OnBehalfOf != "ann" || line.Name != "desk" || line.Key != "K" {
			t.Errorf("the audit has %+v", line)
		}
	}
	f.desk.asked = nil
	for _, actor := range []string{`a\nb`, "\u202e", strings.Repeat("x", 65)} {
		w := f.ask("POST", bustsPath, `{"trade":"100017-42","reason":"r","actor":"`+actor+`"}`,
			"Authorization", "Bearer K.operate")
		if w.Code != 400 || f.desk.asked != nil || !strings.Contains(w.Body.String(), "the actor must be one line") {
			t.Errorf("for %q: %d %s", actor, w.Code, w.Body)
		}
	}
}

// TestFirstTable makes the requests of 30 November 2026, which a console on 127.0.0.1 answered as they say, to a
// listener.
func TestFirstTable(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newFixtureWith(t, func(c *Config) {
		c.Keys, c.Anonymous, c.BackupDir, c.Audit = Token("0123456789abcdef"), Watch, "", kept
		c.Log = zerolog.New(io.Discard).Level(zerolog.ErrorLevel)
	})
	const evil = "Host: evil.example:7751\r\n"
	const rate, js = `{"rate": 9}`, "Content-Type: application/json\r\n"
	put := func(headers, body string) string {
		return "PUT /api/v1/simulator HTTP/1.1\r\n" + headers + "Content-Length: 11\r\n\r\n" + body
	}
	backup := `{"out": "` + filepath.Join(t.TempDir(), "copy") + `"}`
	post := func(headers string) string {
		return "POST /api/v1/backup HTTP/1.1\r\n" + headers + js + "Content-Length: " + itoa(len(backup)) + "\r\n\r\n" +
			backup
	}
	const bearer = "Authorization: Bearer 0123456789abcdef\r\n"
	for _, c := range []struct {
		what, request string
		want          int
	}{
		{"a rebound page reads (200)", "GET /api/v1/accounts HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
		{"by an absolute target (200)",
			"GET http://evil.example/api/v1/accounts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421},
		{"a page profiles (200)",
			"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: evil.example\r\nSec-Fetch-Site: cross-site\r\n\r\n", 421},
		{"a page of another site profiles",
			"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n\r\n", 403},
		{"a rebound page writes (200)", put(evil+"Origin: http://evil.example:7751\r\n"+js, rate), 421},
		{"as of the same origin (200)",
			put(evil+"Origin: http://evil.example:7751\r\nSec-Fetch-Site: same-origin\r\n"+js, rate), 421},
		{"a rebound page backs up (200)", post(evil), 421},
		{"a program backs up (200)", post("Host: 127.0.0.1\r\n"), 401},
		{"a program with the token backs up to anywhere", post("Host: 127.0.0.1\r\n" + bearer), 403},
		{"text (200)", put("Host: 127.0.0.1\r\nContent-Type: text/plain\r\n"+bearer, rate), 415},
		{"text without the token", put("Host: 127.0.0.1\r\nContent-Type: text/plain\r\n", rate), 401},
		{"another site (403)", put("Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n"+js, rate), 403},
		{"another site, with the token", put("Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n"+js+bearer, rate), 403},
		{"no token", put("Host: 127.0.0.1\r\n"+js, rate), 401},
	} {
		if status, body := f.send(t, c.request); status != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, status, c.want, body)
		}
	}
	if f.flow.state.Rate != 1 || len(f.backups) > 0 {
		t.Errorf("the rate is %v, backups are %q", f.flow.state.Rate, f.backups)
	}
	before := len(kept.Memory())
	if status, body := f.send(t, put("Host: 127.0.0.1\r\n"+js+bearer, rate)); status != 200 {
		t.Fatalf("an operator: %d %s", status, body)
	}
	// The answer is sent when the second line is written, but the handler ends after it.
	eventually(t, "a change at log level error is in the audit twice", func() bool {
		return len(kept.Memory()) == before+2
	})
	lines := kept.Memory()[before:]
	if lines[0].Step != audit.Asked || lines[0].Body != `{"rate":9}` || lines[0].Key != tokenKey ||
		lines[1].Step != audit.Done || lines[1].Asked != lines[0].Number || lines[1].Status != 200 {
		t.Errorf("the audit says %+v", lines)
	}
}

// TestHealthWhileIdle is the request of the first table that needs many connections: 128 that asked once and are
// idle, then /livez.
func TestHealthWhileIdle(t *testing.T) {
	f := newFixture(t, "")
	c := newCrowd(t, f)
	for range 128 {
		if err := c.ask(c.dial(""), "/readyz"); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := c.ask(c.dial(""), "/livez"); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

// TestFailures: ten wrong tokens of an address are looked at, then one a second. Others, and those who show none,
// are not concerned; a page whose name was rebound cannot use up the operator's.
func TestFailures(t *testing.T) {
	var f failures
	at, from := time.Now(), sourceOf(netip.MustParseAddr("2001:db8:0:1::5"), false)
	try := func(from source, at time.Time) bool {
		if f.wait(from, at) > 0 {
			return false
		}
		f.count(from, at)
		return true
	}
	looked := 0
	for range 100 {
		if try(from, at) {
			looked++
		}
	}
	if looked != failuresAtOnce {
		t.Errorf("%d were looked at, want %d", looked, failuresAtOnce)
	}
	for _, address := range []string{"2001:db8:0:1:ffff::1", "2001:db8:0:1::5%eth0"} {
		if try(sourceOf(netip.MustParseAddr(address), false), at) {
			t.Errorf("%s is in the same /64", address)
		}
	}
	for _, other := range []source{
		sourceOf(netip.MustParseAddr("2001:db8:0:2::5"), false), sourceOf(netip.MustParseAddr("127.0.0.1"), false),
		sourceOf(netip.MustParseAddr("2001:db8:0:1::5"), true),
	} {
		if !try(other, at) {
			t.Errorf("%v is another", other)
		}
	}
	if wait := f.wait(from, at); wait <= 0 || wait > failureInterval {
		t.Errorf("it waits %s", wait)
	}
	later := at.Add(failureInterval)
	if try(from, later.Add(-1)) || !try(from, later) || try(from, later) {
		t.Error("one more is looked at after a second")
	}
	for n := range 3 * addressesKnownMax { // more addresses than are known
		try(sourceOf(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), false), at)
	}
	if len(f.at) > addressesKnownMax+1 {
		t.Errorf("%d addresses are kept", len(f.at))
	}
	if try(from, at.Add(failureInterval)) {
		t.Error("who has failed is forgotten when others fail")
	}
	if !try(from, at.Add(time.Hour)) {
		t.Error("it is never forgotten")
	}
}

// TestGuessing: guesses by HTTP are answered 401, then 429 with when to try again; even the right token then is.
func TestGuessing(t *testing.T) {
	f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous = Token("0123456789abcdef"), Watch })
	put := func(host, bearer string) (int, http.Header) {
		w := f.askHost(host, "PUT", "/api/v1/log", `{"level":"debug"}`, "Authorization", "Bearer "+bearer)
		return w.Code, w.Header()
	}
	for range 50 { // a rebound page guesses
		put("evil.example", "x")
	}
	statuses := make(map[int]int)
	for range failuresAtOnce {
		status, _ := put("127.0.0.1", "x")
		statuses[status]++
	}
	if statuses[401] != failuresAtOnce {
		t.Errorf("wrong tokens: %v", statuses)
	}
	status, header := put("127.0.0.1", "0123456789abcdef")
	if status != 429 || header.Get("Retry-After") != "1" || f.level != "info" {
		t.Errorf("after that the right one: %d %v", status, header)
	}
	if w := f.ask("GET", "/api/v1/log", ""); w.Code != 200 {
		t.Errorf("who shows no token: %d", w.Code)
	}
	if wrong, limited := f.server.Refused(); wrong < failuresAtOnce || limited < 1 {
		t.Errorf("counted are %d wrong and %d limited", wrong, limited)
	}
	// The right token is right again when the time is over.
	f.server.guard.failures = failures{}
	if status, _ := put("127.0.0.1", "0123456789abcdef"); status != 200 || f.level != "debug" {
		t.Errorf("later: %d", status)
	}
}

// broken is an audit that cannot be written.
type broken struct{ err error }

func (b *broken) Write(audit.Record) (uint64, error) { return 7, b.err }

// TestAuditOnFullDisk: what cannot be written down is refused, but for the end of a session and a halt.
func TestAuditOnFullDisk(t *testing.T) {
	var log bytes.Buffer
	b := &broken{syscall.ENOSPC}
	f := newFixtureWith(t, func(c *Config) { c.Audit, c.Log = b, zerolog.New(&log).Level(zerolog.Disabled) })
	for path, m := range f.server.guardedRoutes() {
		for method, o := range m {
			path := strings.NewReplacer("{uid}", "7", "{instrument}", "SH.600519").Replace(path)
			body := bodies[method+" "+path]
			switch o.audit {
			case changes:
				w := f.ask(method, path, body)
				if w.Code != 503 || !strings.Contains(w.Body.String(), `"read_only","message":"nothing was changed: `) {
					t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
				}
			case urgent:
				if w := f.ask(method, path, body); w.Code != 200 {
					t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
				}
			}
		}
	}
	if f.flow.state.Rate != 1 || f.desk.asked != nil || len(f.backups) > 0 || f.level != "info" ||
		len(f.list.infos) != 2 {
		t.Errorf("%+v, bust %v, backups %q, level %s, %d sessions", f.flow.state, f.desk.asked, f.backups, f.level,
			len(f.list.infos))
	}
	for err, code := range map[error]string{
		audit.ErrNotOpen: "not_ready", audit.ErrClosed: "stopping",
	} {
		b.err = err
		w := f.ask("PUT", "/api/v1/log", `{"level":"debug"}`)
		if w.Code != 503 || !strings.Contains(w.Body.String(), code) {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
	b.err = nil
	if w := f.ask("PUT", "/api/v1/log", `{"level":"debug"}`); w.Code != 200 || f.level != "debug" {
		t.Errorf("when there is room again: %d", w.Code)
	}
}

// TestAuditLines checks what the audit has of requests of all kinds.
func TestAuditLines(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous, c.Audit = keyring{}, Watch, kept })
	lines := func(method, target, body string, header ...string) (got []audit.Record) {
		before := len(kept.Memory())
		f.ask(method, target, body, header...)
		return kept.Memory()[before:]
	}
	const key, value = "Authorization", "Bearer K.operate"
	if got := lines("GET", "/api/v1/accounts", ""); len(got) != 0 {
		t.Errorf("of a read: %+v", got)
	}
	f.desk.err = errors.New("broken")
	got := lines("POST", bustsPath, bustOperations["POST /api/v1/busts"], key, value)
	if len(got) != 2 || got[0].Status != 0 || got[1].Status != 500 || got[1].Code != "internal" {
		t.Errorf("of a bust that failed: %+v", got)
	}
	got = lines("PUT", "/api/v1/log", `{"level":"loud","secret":"S","in":[{"Admin_Token":"T"}]}`, key, value)
	if len(got) != 2 || got[1].Status != 400 || got[1].Code != "bad_request" ||
		got[0].Body != `{"in":[{"Admin_Token":"********"}],"level":"loud","secret":"********"}` {
		t.Errorf("of secrets: %+v", got)
	}
	got = lines("PUT", "/api/v1/log", `{"secret":"S"`, key, value)
	if len(got) != 2 || got[0].Body != "" || got[0].Bytes != 13 {
		t.Errorf("of what is no JSON: %+v", got)
	}
	got = lines("DELETE", "/api/v1/sessions/7", "", key, value)
	if len(got) != 2 || got[0].Path != "/api/v1/sessions/7" || got[0].Remote != "192.0.2.1:1234" {
		t.Errorf("of a kick: %+v", got)
	}
	// Refusals: the first at once, then counted.
	got = nil
	for range 30 {
		got = append(got, lines("PUT", "/api/v1/log", `{"level":"debug"}`)...)
	}
	if len(got) != 1 || got[0].Step != audit.Refused || got[0].Status != 401 || got[0].Times != 0 {
		t.Errorf("of refusals: %+v", got)
	}
	f.server.FlushRefusals()
	all := kept.Memory()
	if last := all[len(all)-1]; last.Step != audit.Refused || last.Times != 29 {
		t.Errorf("at the end: %+v", last)
	}
	for _, line := range all {
		if text, _ := json.Marshal(line); strings.Contains(string(text), "K.operate") {
			t.Errorf("a key is in the audit: %s", text)
		}
	}
}

// TestPerAddress: one address has 64 connections, and when all are being answered, eight more for health. Another
// address is not concerned.
func TestPerAddress(t *testing.T) {
	f := newFixture(t, "")
	arrived := make(chan struct{}, connectionsMax)
	f.server.cfg.Counters = func() []Counter { return nil }
	f.server.cfg.Books = waitingBooks{Books: f.ledger, arrived: arrived}
	c := newCrowd(t, f)
	const request = "GET /api/v1/accounts/100017/holdings HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for range perAddressMax {
		c.dial(request)
	}
	for range perAddressMax {
		<-arrived
	}
	for range 20 {
		if err := c.ask(c.dial(""), "/readyz"); err != nil {
			t.Fatalf("health: %v", err)
		}
	}
	conn := c.dial("GET /api/v1/counters HTTP/1.1\r\nHost: localhost\r\n\r\n")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 503 ") ||
		!strings.Contains(string(text), "64 requests of this address") {
		t.Errorf("one more of the address: %v\n%s", err, text)
	}
	if err := c.ask(c.dialFrom(2, ""), "/api/v1/counters"); err != nil {
		t.Errorf("another address: %v", err)
	}
	f.server.stop()
}

// waitingBooks answers when its context ends.
type waitingBooks struct {
	Books
	arrived chan struct{}
}

func (b waitingBooks) Holdings(ctx context.Context, _ uint64) (h positions.Holdings, err error) {
	b.arrived <- struct{}{}
	<-ctx.Done()
	return h, ctx.Err()
}

// TestHealthServer: it answers health, and nothing else.
func TestHealthServer(t *testing.T) {
	ready := errors.New("starting")
	h := NewHealth(func() error { return ready }, nil, zerolog.Nop())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := h.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	defer serving.Wait()
	c := Dial(ClientConfig{Address: ln.Addr().String(), NoLocal: true})
	var answered *Error
	if err := c.Ready(t.Context()); !errors.As(err, &answered) || answered.Status != 503 {
		t.Errorf("not ready: %v", err)
	}
	ready = nil
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Accounts(t.Context(), 0, 0); !errors.As(err, &answered) || answered.Status != 404 {
		t.Errorf("accounts: %v", err)
	}
	for range 3 * healthConnectionsMax { // held open
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing was written
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("in a crowd: %v", err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
