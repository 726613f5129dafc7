package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
)

// TestZeroConfiguration checks that on loopback, with no settings, whoever is at the command line may do
// everything without a token, and a program without one may read by HTTP.
func TestZeroConfiguration(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	l := startInProcess(t, data, nil)
	at := l.at()
	out, err := runAdmin(t.Context(), at, "simulate", "--rate", "3")
	if err != nil || !strings.Contains(out, "3 fills") {
		t.Errorf("simulate: %s, %v", out, err)
	}
	byHTTP := console.Dial(console.ClientConfig{Address: at.admin, NoLocal: true})
	if s, err := byHTTP.Simulator(t.Context()); err != nil || s.Rate != 3 {
		t.Errorf("reading by HTTP: %+v, %v", s, err)
	}
	var answered *console.Error
	_, err = byHTTP.SetRate(t.Context(), 4)
	if !errors.As(err, &answered) || answered.Status != http.StatusUnauthorized {
		t.Errorf("changing by HTTP: %v", err)
	}
	token, err := config.ReadToken(filepath.Join(data, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := console.NewClient(at.admin, token).SetRate(t.Context(), 0); err != nil {
		t.Errorf("changing by HTTP with the token: %v", err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
	// The token stays, and so does the chain.
	again := startInProcess(t, data, nil)
	if _, err := console.NewClient(again.at().admin, token).SetRate(t.Context(), 0); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := again.end(); err != nil {
		t.Error(err)
	}
	report, err := audit.Verify("", filepath.Join(data, auditFile))
	if err != nil || report.First != 1 || report.TornBytes > 0 {
		t.Errorf("the audit: %+v, %v", report, err)
	}
	text, err := os.ReadFile(filepath.Join(data, auditFile))
	for what, want := range map[string]int{
		`"what":"start"`: 2, `"what":"stop"`: 2, `"step":"asked"`: 3, `"step":"done"`: 3, `"step":"refused"`: 1,
	} {
		if n := strings.Count(string(text), what); n != want || err != nil {
			t.Errorf("%s is %d times in the audit, want %d, %v:\n%s", what, n, want, err, text)
		}
	}
	if bytes.Contains(text, []byte(token)) {
		t.Error("the token is in the audit")
	}
}

// TestAnonymousRole: without a key one may read where nobody else can ask, and only as long as nobody wants keys.
func TestAnonymousRole(t *testing.T) {
	for want, list := range map[console.Role][]config.Config{
		console.Watch: {{Admin: "127.0.0.1:7301"}},
		console.Nobody: {
			{Admin: "127.0.0.1:7301", AuthKeysFile: "keys"}, {Admin: "127.0.0.1:7301", AdminToken: "token"},
			{Admin: "0.0.0.0:7301"},
		},
	} {
		for _, cfg := range list {
			if got := anonymousRole(&cfg); got != want {
				t.Errorf("%s, keys %q, token %q: %s, want %s", cfg.Admin, cfg.AuthKeysFile, cfg.AdminToken, got, want)
			}
		}
	}
}

// TestAdminToken checks that with admin_token_file reading by HTTP needs a token too, and that the data directory's
// is as good.
func TestAdminToken(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	l := startInProcess(t, data, func(s *server) {
		s.cfg.AdminToken = "0123456789abcdef"
		s.access.setGiven(s.cfg.AdminToken)
	})
	at := l.at()
	var answered *console.Error
	byHTTP := console.Dial(console.ClientConfig{Address: at.admin, NoLocal: true})
	_, err := byHTTP.Simulator(t.Context())
	if !errors.As(err, &answered) || answered.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", err)
	}
	made, err := config.ReadToken(filepath.Join(data, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"0123456789abcdef", made} {
		if _, err := console.NewClient(at.admin, token).SetRate(t.Context(), 1); err != nil {
			t.Errorf("with a token: %v", err)
		}
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// TestHealthListener checks who has a health listener, and whom papertape healthcheck asks.
func TestHealthListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := ln.Addr().String()
	defer ln.Close() //nolint:errcheck // nobody connects
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"), func(s *server) { s.cfg.HealthListen = "127.0.0.1:0" })
	at := l.at()
	if out, err := runAdmin(t.Context(), at, "healthcheck", "--health", at.health); err != nil || out != "ready\n" {
		t.Errorf("the listener: %q, %v", out, err)
	}
	if out, err := runAdmin(t.Context(), at, "healthcheck"); err != nil || out != "ready\n" {
		t.Errorf("the console: %q, %v", out, err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
	none := startInProcess(t, filepath.Join(t.TempDir(), "data"), nil)
	if health := none.at().health; !strings.HasPrefix(health, "no listener of its own: health_listen is not set") {
		t.Errorf("beside another console: %s", health)
	}
	if err := none.end(); err != nil {
		t.Error(err)
	}
	other := startInProcess(t, filepath.Join(t.TempDir(), "data"), func(s *server) { s.cfg.HealthListen = taken })
	if err := <-other.ended; err == nil || !strings.Contains(err.Error(), "health_listen: listen on "+taken) {
		t.Errorf("on an address that is taken: %v", err)
	}
}

// TestHealthDefault checks that healthcheck without a flag asks the health listener, and the console where nothing, or
// something else, listens there.
func TestHealthDefault(t *testing.T) {
	if l, err := net.Listen("tcp", healthDefault); err != nil {
		t.Skip("something listens there: ", err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	s := &server{cfg: cfg}
	s.setUnready("starting", "starting")
	where, stop, err := s.serveHealth(t.Context())
	if err != nil || where != healthDefault {
		t.Fatalf("it is at %s, %v", where, err)
	}
	defer stop()
	root := newRoot()
	root.SetArgs([]string{"healthcheck"})
	root.SetOut(new(bytes.Buffer))
	root.SetErr(new(bytes.Buffer))
	var answered *console.Error
	if err := root.ExecuteContext(t.Context()); !errors.As(err, &answered) || answered.Text != "starting" {
		t.Errorf("healthcheck: %v", err)
	}
	where, stopSecond, err := s.serveHealth(t.Context())
	if err != nil || !strings.Contains(where, "address already in use") {
		t.Fatalf("a second server: %s, %v", where, err)
	}
	stopSecond()
}
