package console

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// operation is what a method does at a path.
type operation struct {
	role   Role // who may do it; Nobody is for health alone
	handle http.HandlerFunc
	query  func(*http.Request) error // checks the query; nil: it takes no parameters
	body   bodyKind
	audit  auditing
	check  func(http.ResponseWriter, *http.Request) bool // refuses whoever has not the role; nil for health
}

// auditing says what the audit has to do with an operation.
type auditing uint8

const (
	reads   auditing = iota // it changes nothing
	changes                 // it is written down before and after, or refused
	urgent                  // it is carried out although it cannot be written down
	feeds                   // it tells quotes; there are too many to be written down one by one
)

// everybody may ask for health.
const everybody = Nobody

// methods are the operations of a path.
type methods map[string]operation

// routes are the paths of a console, as patterns of http.ServeMux.
type routes map[string]methods

// healthRoutes are open to everybody, under any host name: a supervisor has no token, and
// health reveals nothing secret.
func healthRoutes(ready func() error, checks func() []Check) routes {
	return routes{
		"/livez": {"GET": {role: everybody, handle: live}},
		"/readyz": {
			"GET": {role: everybody, handle: answerReady(ready, checks), query: acceptParameters(bare("verbose"))},
		},
	}
}

// guardedRoutes are behind the guard.
func (s *Server) guardedRoutes() routes {
	all := routes{
		"/api/v1/openapi.yaml": {"GET": {role: Watch, handle: s.openapi}},
		accountsPath: {
			"GET": {role: Watch, handle: s.accounts, query: accountsQuery}, "POST": change(s.openAccount),
		},
		"/api/v1/accounts/{account}/deposit":  {"POST": change(s.deposit)},
		"/api/v1/accounts/{account}/withdraw": {"POST": change(s.withdraw)},
		"/api/v1/accounts/{account}/reset":    {"POST": change(s.reset)},
		"/api/v1/accounts/{account}":          {"GET": {role: Watch, handle: s.account}},
		"/api/v1/accounts/{account}/holdings": {"GET": {role: Watch, handle: s.holdings}},
		"/api/v1/accounts/{account}/history":  {"GET": {role: Watch, handle: s.history, query: s.historyQuery()}},
		"/api/v1/accounts/{account}/equity":   {"GET": {role: Watch, handle: s.equity, query: equityQuery}},
		backupPath:                            {"POST": change(s.backup)},
		bustsPath:                             {"POST": change(s.bust)},
		correctionsPath:                       {"POST": change(s.correct)},
		"/api/v1/counters":                    {"GET": {role: Watch, handle: s.counters}},
		"/api/v1/instruments": {
			"GET": {role: Watch, handle: s.instruments, query: instrumentsQuery},
		},
		"/api/v1/sessions":                        {"GET": {role: Watch, handle: s.sessions, query: sessionsQuery}},
		"/api/v1/sessions/ended":                  {"GET": {role: Watch, handle: s.endedSessions, query: endedQuery}},
		"/api/v1/live":                            {"GET": {role: Watch, handle: s.live, query: liveQuery}},
		"/api/v1/instruments/{instrument}/prices": {"GET": {role: Watch, handle: s.instrumentPrices}},
		"/api/v1/server":                          {"GET": {role: Watch, handle: s.about}},
		"/api/v1/health":                          {"GET": {role: Watch, handle: s.health}},
		"/api/v1/journal":                         {"GET": {role: Watch, handle: s.journal}},
		"/api/v1/config":                          {"GET": {role: Watch, handle: s.settings}},
		"/api/v1/instruments/{instrument}/holders": {
			"GET": {role: Watch, handle: s.holders, query: acceptParameters(number("limit"))},
		},
		"/api/v1/sessions/{uid}": {
			"DELETE": {role: Operate, handle: s.kick, body: optionalJSONBody, audit: urgent},
		},
		quotesPath: {
			"GET":  {role: Watch, handle: s.quotes, query: quotesQuery},
			"POST": {role: Operate, handle: s.setQuotes, body: jsonBody, audit: feeds},
		},
		"/api/v1/instruments/{instrument}/halt":   {"POST": {role: Operate, handle: s.halt, audit: urgent}},
		"/api/v1/instruments/{instrument}/resume": {"POST": {role: Operate, handle: s.resume, audit: changes}},
		"/api/v1/bars":        {"GET": {role: Watch, handle: s.bars, query: barsQuery}},
		"/api/v1/tape":        {"GET": {role: Watch, handle: s.tape, query: tapeQuery}},
		"/api/v1/clock":       {"GET": {role: Watch, handle: s.clock, query: clockQuery}},
		"/api/v1/calendar":    {"GET": {role: Watch, handle: s.calendar, query: calendarQuery}},
		simulatorPath:         {"GET": {role: Watch, handle: s.simulator}, "PUT": change(s.setSimulator)},
		"/api/v1/trades/{id}": {"GET": {role: Watch, handle: s.trade}},
	}
	if s.cfg.Metrics != nil {
		all["/metrics"] = methods{"GET": {role: Watch, handle: s.cfg.Metrics.ServeHTTP}}
	}
	if s.cfg.AuditPages != nil { // its lines hold who came from where, and what was sent
		all["/api/v1/audit"] = methods{"GET": {role: Operate, handle: s.auditPage, query: auditQuery}}
	}
	if s.cfg.LogLevel != nil {
		all[logPath] = methods{"GET": {role: Watch, handle: s.logLevel}, "PUT": change(s.setLogLevel)}
	}
	if s.cfg.ReloadKeys != nil {
		all[keysReloadPath] = methods{"POST": {role: Operate, handle: s.reloadKeys, audit: urgent}}
	}
	maps.Copy(all, s.profiles.routes())
	maps.Copy(all, s.pageRoutes())
	return all
}

// change is an operation that takes a JSON body and changes something.
func change(handle http.HandlerFunc) operation {
	return operation{role: Operate, handle: handle, body: jsonBody, audit: changes}
}

// mux is the handler behind the guard.
func (s *Server) mux() http.Handler {
	guarded := http.NewServeMux()
	for path, m := range s.guardedRoutes() {
		guarded.Handle(path, s.protected(m))
	}
	for path, m := range s.openRoutes() {
		guarded.Handle(path, m)
	}
	guarded.HandleFunc("/", notFound)
	return guarded
}

// protected returns operations that look at the role first, and are audited.
func (s *Server) protected(all methods) methods {
	as := make(methods, len(all))
	for method, o := range all {
		handle, role, kind := o.handle, o.role, o.audit
		o.check = func(w http.ResponseWriter, r *http.Request) bool { return s.guard.allow(w, r, role) }
		if kind == changes || kind == urgent {
			o.handle = func(w http.ResponseWriter, r *http.Request) { s.audited(w, r, kind == urgent, handle) }
		}
		as[method] = o
	}
	return as
}

func (s *Server) handler() http.Handler {
	health := healthRoutes(s.cfg.Ready, s.cfg.Checks)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m, ok := health[r.URL.Path]; ok {
			m.ServeHTTP(w, r)
			return
		}
		if p := connOf(r).place; p != nil && p.spare {
			w.Header().Set("Connection", "close")
			busy(w, 1, fmt.Sprintf("%d requests of this address are being answered already; try again", perAddressMax))
			return
		}
		s.guard.ServeHTTP(w, r)
	})
}

// ServeHTTP calls the operation for the method, or answers 405 in JSON, which http.ServeMux
// would not.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	if o, ok := m[method]; ok {
		o.serve(w, r)
		return
	}
	var allowed []string
	for _, name := range []string{"GET", "PUT", "POST", "DELETE"} {
		if _, ok := m[name]; ok {
			allowed = append(allowed, name)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	fail(w, http.StatusMethodNotAllowed, codeMethod,
		r.URL.Path+" takes "+strings.Join(allowed, " or ")+", not "+clip(r.Method))
}

// serve handles a request of somebody who may make it, and whose query and body have the right form.
func (o *operation) serve(w http.ResponseWriter, r *http.Request) {
	if o.check != nil && !o.check(w, r) {
		return
	}
	query := o.query
	if query == nil {
		query = acceptParameters()
	}
	if err := query(r); err != nil {
		badRequest(w, err.Error())
		return
	}
	if !o.body.refuse(w, r) {
		o.handle(w, r)
	}
}

// openAPIDocument is the OpenAPI description of the console.
//
//go:embed openapi.yaml
var openAPIDocument []byte

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	header(w, "application/yaml")
	_, _ = w.Write(openAPIDocument)
}
