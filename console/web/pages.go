package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	accountsShown = 50
	sessionsShown = 100
	eventsShown   = 50
	linesShown    = 100

	// instrumentsShown is how many instruments a page lists, and how many a menu has.
	instrumentsShown = 500
)

// asked copies parameters of a page to a question for the API.
func asked(r *http.Request, target string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		name, value := params[i], params[i+1]
		if given := r.URL.Query().Get(name); given != "" {
			value = given
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return target
	}
	return target + "?" + q.Encode()
}

var server = call{as: "server", target: "/api/v1/server"}

func liveOf(topics string) call { return call{"live", "/api/v1/live?topics=" + topics, true} }

// pages are the pages by pattern of http.ServeMux.
var pages = map[string]*page{
	"/console/{$}": {name: "overview", live: "sessions", every: 5, calls: func(*http.Request) []call {
		return []call{
			server, liveOf("overview,sessions"), {as: "accounts", target: "/api/v1/accounts?limit=8&sort=-seq"},
		}
	}},
	"/console/accounts": {
		name: "accounts", every: 2, params: []string{"q", "sort", "min_rows", "offset"},
		calls: func(r *http.Request) []call {
			target := asked(r, "/api/v1/accounts", "q", "", "sort", "", "min_rows", "", "offset", "", "limit",
				strconv.Itoa(accountsShown))
			return []call{{as: "accounts", target: target}, server}
		},
	},
	"/console/accounts/{account}": {
		name: "account", every: 10, params: []string{"before", "kind", "origin", "instrument", "range"},
		calls: callsOfAccount,
	},
	"/console/sessions": {
		name: "sessions", every: 2,
		params: []string{"tab", "account", "remote", "state", "min_waiting", "cause", "sort", "after"},
		calls:  callsOfSessions,
	},
	"/console/simulator": {name: "simulator", every: 2, calls: func(*http.Request) []call {
		return []call{{as: "simulator", target: "/api/v1/simulator"}, liveOf("overview")}
	}},
	"/console/journal": {name: "journal", every: 2, calls: func(*http.Request) []call {
		return []call{
			{as: "journal", target: "/api/v1/journal"}, {as: "health", target: "/api/v1/health"}, server,
			{as: "counters", target: "/api/v1/counters"}, liveOf("overview"),
		}
	}},
	"/console/instruments": {
		name: "instruments", live: "prices", every: 5, params: []string{"q", "market", "instrument"},
		calls: callsOfInstruments,
	},
	"/console/settings": {name: "settings", params: []string{"q", "differs"}, calls: func(*http.Request) []call {
		return []call{{as: "config", target: "/api/v1/config"}, {as: "log", target: "/api/v1/log"}}
	}},
	"/console/audit": {
		name: "audit", every: 5, owners: true, params: []string{"before", "action", "actor", "result"},
		calls: func(r *http.Request) []call {
			return []call{{as: "audit", target: asked(r, "/api/v1/audit", "before", "", "action", "", "actor", "",
				"result", "", "limit", strconv.Itoa(linesShown))}}
		},
	},
}

// ranges are how far back a curve of equity goes.
var ranges = map[string]time.Duration{"1h": time.Hour, "1d": 24 * time.Hour}

func callsOfAccount(r *http.Request) []call {
	at := "/api/v1/accounts/" + url.PathEscape(r.PathValue("account"))
	history := asked(r, at+"/history", "before", "", "kind", "", "origin", "", "instrument", "", "limit",
		strconv.Itoa(eventsShown))
	equity := at + "/equity?points=300"
	if back, ok := ranges[r.URL.Query().Get("range")]; ok {
		equity += "&since=" + time.Now().UTC().Add(-back).Format(time.RFC3339)
	}
	return []call{
		{as: "holdings", target: at + "/holdings"}, {as: "equity", target: equity}, {as: "history", target: history},
		{as: "sessions", target: "/api/v1/sessions?limit=1&account=" + url.QueryEscape(r.PathValue("account"))},
		{as: "instruments", target: "/api/v1/instruments"},
	}
}

func callsOfSessions(r *http.Request) []call {
	if r.URL.Query().Get("tab") == "ended" {
		return []call{{as: "ended", target: asked(r, "/api/v1/sessions/ended", "account", "", "cause", "", "limit",
			strconv.Itoa(sessionsShown))}}
	}
	params := []string{"account", "", "remote", "", "state", "", "min_waiting", "", "after", "", "limit",
		strconv.Itoa(sessionsShown), "sort", "-waiting"}
	return []call{{as: "sessions", target: asked(r, "/api/v1/sessions", params...)}}
}

func callsOfInstruments(r *http.Request) []call {
	calls := []call{
		{as: "instruments", target: "/api/v1/instruments"}, {as: "quotes", target: "/api/v1/quotes?limit=5000"},
		liveOf("prices"),
	}
	if one := r.URL.Query().Get("instrument"); one != "" {
		at := "/api/v1/instruments/" + url.PathEscape(one)
		calls = append(calls, call{as: "prices", target: at + "/prices"}, call{as: "holders", target: at + "/holders"})
	}
	return calls
}

// tiles are the figures that a page begins with, by their names in the API.
var tiles = map[string][]string{
	"overview":  {"events", "requests", "push_p99", "sync_p99", "connections", "orders_refused", "checkpoint_age"},
	"simulator": {"fills", "fills_skipped", "events"},
	"journal": {
		"commits", "events_a_commit", "sync_p99", "checkpoint_age", "uncheckpointed_bytes", "heap_bytes", "goroutines",
	},
}

// Tiles are the figures that a page begins with, each with its ring of the last minutes.
func (v *view) Tiles() (shown []map[string]any) {
	figures, _ := at(v.D["live"], "overview.figures").([]any)
	rings, _ := at(v.D["live"], "rings.figures").([]any)
	byName := func(list []any, name string) any {
		i := slices.IndexFunc(list, func(one any) bool { return text(at(one, "name")) == name })
		if i < 0 {
			return nil
		}
		return list[i]
	}
	for _, name := range tiles[v.Page] {
		f := byName(figures, name)
		if f == nil {
			continue
		}
		ring, _ := at(byName(rings, name), "seconds").([]any)
		shown = append(shown, map[string]any{
			"name": name, "value": at(f, "value"), "unit": text(at(f, "unit")), "ring": ring[max(0, len(ring)-120):],
		})
	}
	return shown
}

// Instruments are the first of those that the filter leaves, each with its place in the list of all, its
// quote and its prices.
func (v *view) Instruments() (shown []map[string]any) {
	all, _ := at(v.D["instruments"], "instruments").([]any)
	rings, _ := at(v.D["live"], "rings.prices").([]any)
	quotes, _ := at(v.D["quotes"], "quotes").([]any)
	q := strings.ToLower(v.Q("q"))
	for i, in := range all {
		code, name, market := text(at(in, "code")), text(at(in, "name")), text(at(in, "market"))
		fits := strings.HasPrefix(code, q) || strings.Contains(strings.ToLower(name), q) ||
			strings.HasPrefix(strings.ToLower(market+"."+code), q)
		if !fits || v.Q("market") != "" && v.Q("market") != market {
			continue
		}
		var ring any
		if i < len(rings) {
			ring = rings[i]
		}
		quote, before := any(nil), at(in, "previous_close")
		if i < len(quotes) { // both lists are by market and code
			quote, before = quotes[i], at(quotes[i], "previous_close")
		}
		shown = append(shown, map[string]any{"i": in, "index": i, "ring": ring, "q": quote, "close": before})
		if len(shown) == instrumentsShown {
			break
		}
	}
	return shown
}

// Menu are all instruments, or none if they are too many for a menu: then one is typed.
func (v *view) Menu() []any {
	all, _ := at(v.D["instruments"], "instruments").([]any)
	if len(all) > instrumentsShown {
		return nil
	}
	return all
}

// Markets are those of all instruments.
func (v *view) Markets() (markets []string) {
	all, _ := at(v.D["instruments"], "instruments").([]any)
	for _, in := range all {
		if m := text(at(in, "market")); !known(markets, m) {
			markets = append(markets, m)
		}
	}
	slices.Sort(markets)
	return markets
}

// Settings are those that the filter leaves.
func (v *view) Settings() (shown []any) {
	all, _ := at(v.D["config"], "settings").([]any)
	q := strings.ToLower(v.Q("q"))
	for _, one := range all {
		of := strings.ToLower(text(at(one, "key")) + " " + text(at(one, "meaning")))
		if strings.Contains(of, q) && (v.Q("differs") == "" || text(at(one, "from")) != "default") {
			shown = append(shown, one)
		}
	}
	return shown
}

// LogLevel is the level of the log.
func (v *view) LogLevel() string { return text(at(v.D["log"], "level")) }

// Causes are how sessions end.
func (v *view) Causes() []string {
	return []string{
		"client", "idle", "kicked", "login_timeout", "lost", "protocol", "revoked", "server", "shutdown", "slow_outbox",
		"slow_stalled", "slow_total", "handshake", "full",
	}
}
