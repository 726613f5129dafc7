package console

import (
	_ "embed"
	"maps"
	"net/http"
	"strings"
)

// operation is what a method does at a path.
type operation struct {
	handle http.HandlerFunc
	query  func(*http.Request) error // checks the query; nil: it takes no parameters
	body   bodyKind
}

// methods are the operations of a path.
type methods map[string]operation

// routes are the paths of a console, as patterns of http.ServeMux.
type routes map[string]methods

// healthRoutes are open to everybody, under any host name: a supervisor has no token, and
// health reveals nothing secret.
func (s *Server) healthRoutes() routes {
	return routes{
		"/livez":  {"GET": {handle: s.live}},
		"/readyz": {"GET": {handle: s.ready}},
	}
}

// guardedRoutes are behind the guard.
func (s *Server) guardedRoutes() routes {
	reason := parameter{"reason", checkReason}
	page := func(from string) func(*http.Request) error { return acceptParameters(number(from), number("limit")) }
	all := routes{
		"/api/v1/openapi.yaml":                {"GET": {handle: s.openapi}},
		"/api/v1/accounts":                    {"GET": {handle: s.accounts, query: page("after")}},
		"/api/v1/accounts/{account}/holdings": {"GET": {handle: s.holdings}},
		"/api/v1/accounts/{account}/history":  {"GET": {handle: s.history, query: page("before")}},
		backupPath:                            {"POST": {handle: s.backup, body: jsonBody}},
		bustsPath:                             {"POST": {handle: s.bust, body: jsonBody}},
		correctionsPath:                       {"POST": {handle: s.correct, body: jsonBody}},
		"/api/v1/counters":                    {"GET": {handle: s.counters}},
		"/api/v1/instruments":                 {"GET": {handle: s.instruments}},
		"/api/v1/sessions":                    {"GET": {handle: s.sessions}},
		"/api/v1/sessions/{uid}":              {"DELETE": {handle: s.kick, query: acceptParameters(reason)}},
		"/api/v1/simulator": {
			"GET": {handle: s.simulator}, "PUT": {handle: s.setSimulator, body: jsonBody},
		},
		"/api/v1/trades/{id}": {"GET": {handle: s.trade}},
	}
	if s.cfg.LogLevel != nil {
		all["/api/v1/log"] = methods{"GET": {handle: s.logLevel}, "PUT": {handle: s.setLogLevel, body: jsonBody}}
	}
	maps.Copy(all, s.profiles.routes())
	return all
}

// mux is the handler behind the guard.
func (s *Server) mux() http.Handler {
	guarded := http.NewServeMux()
	for path, m := range s.guardedRoutes() {
		guarded.Handle(path, m)
	}
	guarded.HandleFunc("/", notFound)
	return guarded
}

func (s *Server) handler() http.Handler {
	health := s.healthRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m, ok := health[r.URL.Path]; ok {
			m.ServeHTTP(w, r)
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

// serve handles a request whose query and body have the right form.
func (o *operation) serve(w http.ResponseWriter, r *http.Request) {
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
