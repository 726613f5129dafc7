package top

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/papertape/papertape/console"
)

// answers is a console that knows some questions. It notes all of them.
func answers(t *testing.T, known map[string]string) (Source, *[]string) {
	t.Helper()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		body, ok := known[r.URL.RequestURI()]
		switch {
		case ok:
		case r.URL.Path == "/api/v1/server" || r.URL.Path == "/metrics":
			w.WriteHeader(http.StatusNotFound)
			body = `{"error": {"code": "not_found", "message": "there is no such path"}}`
		default:
			w.WriteHeader(http.StatusBadRequest)
			body = `{"error": {"code": "bad_request", "message": "there is no parameter sort"}}`
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	return Ask(console.Dial(console.ClientConfig{Address: address, NoLocal: true})), &asked
}

const (
	oneSession  = `{"sessions": [{"uid": 7, "account": 100017, "waiting_bytes": 5}], "total": 90}`
	twoSessions = `{"sessions": [{"uid": 7, "account": 100017}, {"uid": 8, "account": 100017, "waiting_bytes": 5}]}`
)

// TestServerSearches checks that a server is asked for what is wanted, and for no more.
func TestServerSearches(t *testing.T) {
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Sessions, "-waiting", 20, ""}, "/api/v1/sessions?limit=20&sort=-waiting"},
		{Query{Sessions, "uid", 5, "100017"}, "/api/v1/sessions?account=100017&limit=5&sort=uid"},
		{Query{Sessions, "uid", 5, "catching_up"}, "/api/v1/sessions?limit=5&sort=uid&state=catching_up"},
		{Query{Sessions, "uid", 5, "10.0."}, "/api/v1/sessions?limit=5&remote=10.0.&sort=uid"},
		{Query{Accounts, "-value", 9, "1000"}, "/api/v1/accounts?limit=9&q=1000&sort=-value"},
	} {
		body := oneSession
		if c.q.View == Accounts {
			body = `{"accounts": [{"account": 100017}], "total": 90}`
		}
		s, asked := answers(t, map[string]string{c.want: body})
		got, err := s.Table(t.Context(), c.q)
		if err != nil || got.Total != 90 || len(got.Sessions)+len(got.Accounts) != 1 ||
			!slices.Equal(*asked, []string{c.want}) {
			t.Errorf("%+v: %+v, %v; asked %q, want %s", c.q, got, err, *asked, c.want)
		}
	}
}

// TestServerOfBefore asks one that cannot search.
func TestServerOfBefore(t *testing.T) {
	s, asked := answers(t, map[string]string{
		"/api/v1/sessions":                    twoSessions,
		"/api/v1/accounts?after=0&limit=1000": `{"accounts": [{"account": 100001}, {"account": 100017}]}`,
	})
	for range 2 {
		got, err := s.Table(t.Context(), Query{Sessions, "-waiting", 1, "100017"})
		if err != nil || got.Total != 2 || len(got.Sessions) != 1 || got.Sessions[0].UID != 8 {
			t.Errorf("sessions: %+v, %v", got, err)
		}
	}
	if len(*asked) != 3 { // it is not tried again
		t.Errorf("it was asked %q", *asked)
	}
	got, err := s.Table(t.Context(), Query{Accounts, "-account", 5, "1000"})
	if err != nil || got.Total != 2 || len(got.Accounts) != 2 || got.Accounts[0].Account != 100017 {
		t.Errorf("accounts: %+v, %v", got, err)
	}
	if limits, err := s.Limits(t.Context()); err != nil || limits != nil {
		t.Errorf("limits: %v, %v", limits, err)
	}
	if text, err := s.Metrics(t.Context()); err != nil || text != "" {
		t.Errorf("metrics: %q, %v", text, err)
	}
	s, _ = answers(t, map[string]string{"/api/v1/server": `{"limits": [{"name": "connections", "limit": 5}]}`})
	if limits, err := s.Limits(t.Context()); err != nil || len(limits) != 1 || limits[0].Limit != 5 {
		t.Errorf("limits: %v, %v", limits, err)
	}
	s, _ = answers(t, map[string]string{"/metrics": "papertape_ready 1\n"})
	if text, err := s.Metrics(t.Context()); err != nil || text != "papertape_ready 1\n" {
		t.Errorf("metrics: %q, %v", text, err)
	}
	if _, err := s.Table(t.Context(), Query{Sessions, "-waiting", 1, ""}); err == nil {
		t.Error("a server that answers nothing has a table")
	}
}
