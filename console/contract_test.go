package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// node is a mapping of the OpenAPI document.
type node = map[string]any

// contract checks answers against the OpenAPI document. It knows the few schema keywords that
// the document uses, and refuses all others, so that nothing in the document goes unchecked.
type contract struct {
	doc  node
	seen map[string]bool // statuses that have been answered, and properties that answers had
}

func loadContract(t *testing.T) *contract {
	t.Helper()
	c := &contract{seen: make(map[string]bool)}
	if err := yaml.UnmarshalWithOptions(openAPIDocument, &c.doc, yaml.Strict()); err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	if c.doc["openapi"] != "3.1.0" {
		t.Fatalf("openapi.yaml is of version %v", c.doc["openapi"])
	}
	return c
}

// resolve follows references within the document. name is that of the last one.
func (c *contract) resolve(v any) (n node, name string, err error) {
	n, ok := v.(node)
	for ok && n["$ref"] != nil {
		ref := n["$ref"].(string)
		at := c.doc
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			if at, ok = at[part].(node); !ok {
				return nil, "", fmt.Errorf("%s leads nowhere", ref)
			}
		}
		n, name = at, ref[strings.LastIndexByte(ref, '/')+1:]
	}
	if !ok {
		return nil, "", fmt.Errorf("%v is not a mapping", v)
	}
	return n, name, nil
}

// operations returns the described operations by name, such as "GET /livez".
func (c *contract) operations() map[string]node {
	all := make(map[string]node)
	for path, item := range c.doc["paths"].(node) {
		for method, op := range item.(node) {
			all[strings.ToUpper(method)+" "+path] = op.(node)
		}
	}
	return all
}

// check returns how an answer differs from the description of the operation.
func (c *contract) check(name string, op node, w *httptest.ResponseRecorder) error {
	status := strconv.Itoa(w.Code)
	responses := op["responses"].(node)
	if responses[status] == nil {
		return fmt.Errorf("status %s is not described: %s", status, w.Body)
	}
	c.seen[name+" "+status] = true
	response, _, err := c.resolve(responses[status])
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		return err
	}
	content, described := response["content"].(node)[media]
	if !described {
		return fmt.Errorf("an answer of type %s is not described", media)
	}
	body := io.Reader(w.Body)
	switch media {
	case "application/json":
	case "text/event-stream": // its first event
		_, data, _ := strings.Cut(w.Body.String(), "\ndata: ")
		body = strings.NewReader(data)
	default:
		return nil
	}
	d := json.NewDecoder(body)
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return c.match(content.(node)["schema"], v, "the answer")
}

// match returns where v does not match the schema. at is the path to v.
func (c *contract) match(schema, v any, at string) error {
	n, name, err := c.resolve(schema)
	if err != nil {
		return err
	}
	if list, ok := n["oneOf"].([]any); ok && len(n) == 1 {
		return c.matchOne(list, v, at)
	}
	for keyword := range n {
		if !slices.Contains([]string{
			"type", "properties", "required", "additionalProperties", "items",
			"enum", "pattern", "minimum", "description",
		}, keyword) {
			return fmt.Errorf("schema of %s: %s is not checked by this test", at, keyword)
		}
	}
	if list, ok := n["type"].([]any); ok { // [number, 'null']
		if n = maps.Clone(n); v == nil && slices.Contains(list, any("null")) {
			return nil
		}
		n["type"] = list[0]
	}
	switch n["type"] {
	case "object":
		return c.matchObject(n, name, v, at)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is %v, not an array", at, v)
		}
		for i, item := range list {
			err = errors.Join(err, c.match(n["items"], item, fmt.Sprintf("%s[%d]", at, i)))
		}
		return err
	case "string":
		return matchString(n, v, at)
	case "integer", "number":
		return matchNumber(n, v, at)
	case "boolean":
		if _, ok := v.(bool); !ok {
			return fmt.Errorf("%s is %v, not a boolean", at, v)
		}
		return nil
	}
	return fmt.Errorf("schema of %s: there is no type %v", at, n["type"])
}

// matchOne returns how v matches none of the schemas.
func (c *contract) matchOne(schemas []any, v any, at string) (all error) {
	for _, schema := range schemas {
		err := c.match(schema, v, at)
		if err == nil {
			return nil
		}
		all = errors.Join(all, err)
	}
	return all
}

func (c *contract) matchObject(n node, name string, v any, at string) (err error) {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is %v, not an object", at, v)
	}
	if n["additionalProperties"] != false {
		return fmt.Errorf("schema of %s: it lets any property in", at)
	}
	properties := n["properties"].(node)
	for _, required := range n["required"].([]any) {
		if _, there := object[required.(string)]; !there {
			err = errors.Join(err, fmt.Errorf("%s has no %s", at, required))
		}
		if properties[required.(string)] == nil {
			err = errors.Join(err, fmt.Errorf("schema of %s: %s is required and not described", at, required))
		}
	}
	for key, value := range object {
		if properties[key] == nil {
			err = errors.Join(err, fmt.Errorf("%s.%s is not described", at, key))
			continue
		}
		c.seen[name+"."+key] = true
		err = errors.Join(err, c.match(properties[key], value, at+"."+key))
	}
	return err
}

func matchString(n node, v any, at string) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%s is %v, not a string", at, v)
	}
	if pattern, ok := n["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(text) {
		return fmt.Errorf("%s is %q, which %s does not match", at, text, pattern)
	}
	if allowed, ok := n["enum"].([]any); ok && !slices.Contains(allowed, v) {
		return fmt.Errorf("%s is %q, not one of %v", at, text, allowed)
	}
	return nil
}

func matchNumber(n node, v any, at string) error {
	number, ok := v.(json.Number)
	if !ok {
		return fmt.Errorf("%s is %v, not a number", at, v)
	}
	if n["type"] == "integer" && strings.ContainsAny(number.String(), ".eE") {
		return fmt.Errorf("%s is %s, not an integer", at, number)
	}
	if n["minimum"] != nil && strings.HasPrefix(number.String(), "-") { // every minimum in the document is 0
		return fmt.Errorf("%s is %s, below its minimum", at, number)
	}
	return nil
}

// question is a request that questions makes to each console.
type question struct {
	operation    string // as the document names it
	target, body string // target "": the operation's path
	prepare      func(*fixture)
	status       int
}

// questions are made to each console.
func questions() []question {
	var all questionList
	all.aboutServer()
	all.aboutAccounts()
	all.aboutBusts()
	all.aboutBookings()
	all.aboutChanges()
	all.aboutTheMarket()
	return all
}

// questionList is a list of questions that is being made.
type questionList []question

func (l *questionList) ask(status int, operation, target, body string, prepare ...func(*fixture)) {
	q := question{operation: operation, target: target, body: body, status: status, prepare: func(*fixture) {}}
	if len(prepare) > 0 {
		q.prepare = prepare[0]
	}
	*l = append(*l, q)
}

func (l *questionList) aboutServer() {
	for _, path := range []string{
		"/livez", "/readyz", "/api/v1/openapi.yaml", "/api/v1/accounts", "/api/v1/counters",
		"/api/v1/server", "/api/v1/health", "/api/v1/journal", "/api/v1/config", "/api/v1/sessions/ended",
		"/api/v1/instruments", "/api/v1/sessions", "/api/v1/log", "/api/v1/simulator", "/debug/pprof/",
		"/debug/pprof/cmdline", "/debug/pprof/profile", "/debug/pprof/symbol", "/debug/pprof/trace",
		"/metrics",
	} {
		l.ask(200, "GET "+path, "", "")
	}
	const profile = "GET /debug/pprof/{name}"
	l.ask(200, profile, "/debug/pprof/goroutine", "")
	l.ask(200, profile, "/debug/pprof/goroutine?debug=2", "")
	l.ask(404, profile, "/debug/pprof/goroutines", "")
	for _, what := range []string{"profile", "trace"} {
		l.ask(409, "GET /debug/pprof/"+what, "", "", func(f *fixture) { f.stopOtherProfile = record(what) })
	}
	const live, all = "GET /api/v1/live", "?topics=overview,sessions,prices,account:100017,account:7"
	l.ask(200, live, "/api/v1/live"+all, "", func(f *fixture) { f.server.cfg.Latencies = latencies{} })
	l.ask(200, live, "", "", func(f *fixture) { f.state = StateRecovering })
	l.ask(200, "GET /api/v1/instruments", "/api/v1/instruments?after=SH.600519&limit=3", "")
	l.ask(400, "GET /api/v1/instruments", "/api/v1/instruments?after=600519", "")
	const prices = "GET /api/v1/instruments/{instrument}/prices"
	l.ask(200, prices, "/api/v1/instruments/SH.600519/prices", "")
	l.ask(404, prices, "/api/v1/instruments/SH.1/prices", "")
	recovering := func(f *fixture) { f.state, f.ready = StateRecovering, errors.New("recovering: 43%") }
	l.ask(200, "GET /api/v1/server", "", "", recovering)
	l.ask(200, "GET /api/v1/health", "", "", recovering)
	l.ask(503, "GET /readyz", "", "", func(f *fixture) { f.ready = errors.New("draining") })
	l.ask(200, "GET /readyz", "/readyz?verbose", "")
	l.ask(503, "GET /readyz", "/readyz?verbose", "", func(f *fixture) { f.ready = errors.New("draining") })
	l.ask(200, "POST /debug/pprof/symbol", "", "0x1")
}

func (l *questionList) aboutAccounts() {
	const account = "/api/v1/accounts/100017/"
	l.ask(400, "GET /api/v1/accounts", "/api/v1/accounts?after=x", "")
	l.ask(200, "GET /api/v1/accounts", "/api/v1/accounts?sort=-value", "")
	const one = "GET /api/v1/accounts/{account}"
	l.ask(200, one, "/api/v1/accounts/100017", "")
	l.ask(400, one, "/api/v1/accounts/ann", "")
	l.ask(404, one, "/api/v1/accounts/7", "")
	for _, what := range []string{"holdings", "history"} {
		operation := "GET /api/v1/accounts/{account}/" + what
		l.ask(200, operation, account+what, "")
		l.ask(400, operation, "/api/v1/accounts/ann/"+what, "")
		l.ask(404, operation, "/api/v1/accounts/7/"+what, "")
	}
	l.ask(200, "GET /api/v1/accounts/{account}/history", account+"history?kind=adjustment&limit=1", "")
	l.ask(200, "GET /api/v1/accounts/{account}/history", account+"history?limit=1", "")
	l.ask(200, "GET /api/v1/accounts/{account}/history", account+"history?limit=1&after=2", "")
	const equity = "GET /api/v1/accounts/{account}/equity"
	const holders = "GET /api/v1/instruments/{instrument}/holders"
	l.ask(200, equity, account+"equity", "")
	l.ask(400, equity, "/api/v1/accounts/ann/equity", "")
	l.ask(404, equity, "/api/v1/accounts/7/equity", "")
	l.ask(200, holders, "/api/v1/instruments/SH.600519/holders", "")
	l.ask(404, holders, "/api/v1/instruments/SH.1/holders", "")
	const trade = "GET /api/v1/trades/{id}"
	for _, id := range []string{"42", "43"} { // a corrected trade; one that was taken back
		l.ask(200, trade, "/api/v1/trades/100017-"+id, "")
	}
	l.ask(400, trade, "/api/v1/trades/ann", "")
	for _, id := range []string{"7-42", "100017-1", "100017-45"} {
		l.ask(404, trade, "/api/v1/trades/"+id, "")
	}
	for status, err := range map[int]error{
		500: errors.New("broken"), 503: engine.ErrStopped, 504: context.DeadlineExceeded,
	} {
		broken := func(f *fixture) { f.ledger.err, f.desk.err = err, err }
		for operation, body := range bustOperations {
			l.ask(status, operation, "", body, broken)
		}
		l.ask(status, trade, "/api/v1/trades/100017-42", "", broken)
		l.ask(status, "GET /api/v1/accounts", "", "", broken)
		l.ask(status, equity, account+"equity", "", broken)
		l.ask(status, holders, "/api/v1/instruments/SH.600519/holders", "", broken)
		l.ask(status, one, "/api/v1/accounts/100017", "", broken)
		l.ask(status, "GET /api/v1/accounts/{account}/holdings", account+"holdings", "", broken)
		l.ask(status, "GET /api/v1/accounts/{account}/history", account+"history", "", broken)
	}
}

func (l *questionList) aboutBusts() {
	for operation, body := range bustOperations {
		l.ask(200, operation, "", body, func(f *fixture) { f.desk.repeated = true })
		l.ask(200, operation, "", body)
		l.ask(400, operation, "", "{}")
		preview := strings.NewReplacer(`"bust_id":"b-1"`, `"preview":true`, `,"expect_cascade":["100017-43"]`,
			"").Replace(body)
		l.ask(200, operation, "", preview)
		for reason := positions.BustUnknownAccount; reason <= positions.BustCascadeChanged; reason++ {
			l.ask(bustRefusals[reason].status, operation, "", body, func(f *fixture) {
				f.desk.outcome = positions.BustOutcome{Reason: reason, InTheWay: []uint64{44, 43}, More: true}
			})
		}
	}
}

func (l *questionList) aboutBookings() {
	for operation, body := range bookingOperations {
		path := strings.Replace(strings.TrimPrefix(operation, "POST "), "{account}", "100017", 1)
		l.ask(200, operation, path, body)
		l.ask(200, operation, path, body, func(f *fixture) { f.booked.event = f.ledger.events[4] })
		l.ask(200, operation, path, body, func(f *fixture) { f.booked.repeated = true })
		l.ask(400, operation, path, "{}", func(f *fixture) { f.booked.err = refusedWith(engine.BookingMalformed) })
		for status, err := range map[int]error{
			500: errors.New("broken"), 503: engine.ErrStopped, 504: context.DeadlineExceeded,
		} {
			l.ask(status, operation, path, body, func(f *fixture) { f.booked.err = err })
		}
		if strings.HasSuffix(path, "accounts") {
			l.ask(409, operation, path, body, func(f *fixture) { f.booked.err = engine.ErrAccountOpen })
			l.ask(409, operation, path, body, func(f *fixture) { f.booked.err = engine.ErrNoNumberFree })
			continue
		}
		for reason := engine.BookingUnknownAccount; reason <= engine.BookingOpeningNotKept; reason++ {
			l.ask(bookingRefusals[reason].status, operation, path, body, func(f *fixture) {
				f.booked.err = refusedWith(reason)
			})
		}
	}
}

func refusedWith(reason engine.BookingReason) error {
	return &engine.BookingRefusedError{Reason: reason}
}

// bookingOperations are the operations on accounts, each with a request that has all members.
var bookingOperations = map[string]string{
	"POST /api/v1/accounts":                    `{"account":7,"cash":"1000.00","reason":"anew","actor":"ann"}`,
	"POST /api/v1/accounts/{account}/deposit":  `{"amount":"1.00","reason":"anew","request_id":"d-1","actor":"ann"}`,
	"POST /api/v1/accounts/{account}/withdraw": `{"amount":"1.00","reason":"anew","request_id":"w-1","actor":"ann"}`,
	"POST /api/v1/accounts/{account}/reset":    `{"cash":"1.00","reason":"anew","request_id":"r-1","actor":"ann"}`,
}

func (l *questionList) aboutChanges() {
	const backup, out = "POST /api/v1/backup", `{"out":"/var/backups/papertape-1"}`
	l.ask(200, backup, "", out)
	l.ask(400, backup, "", `{"out":"./papertape-1"}`)
	for status, err := range map[int]error{
		409: Conflict("it exists"), 500: errors.New("no space left on device"), 503: ErrNotReady,
	} {
		l.ask(status, backup, "", out, func(f *fixture) { f.backupErr = err })
	}
	l.ask(200, "DELETE /api/v1/sessions/{uid}", "/api/v1/sessions/7", "{\"reason\":\"late\"}")
	l.ask(400, "DELETE /api/v1/sessions/{uid}", "/api/v1/sessions/x", "")
	l.ask(404, "DELETE /api/v1/sessions/{uid}", "/api/v1/sessions/8", "")
	l.ask(200, "POST /api/v1/keys/reload", "", "")
	l.ask(400, "POST /api/v1/keys/reload", "", "{}")
	l.ask(409, "POST /api/v1/keys/reload", "", "", func(f *fixture) { f.reloadErr = errors.New("line 3 is wrong") })
	l.ask(200, "PUT /api/v1/log", "", `{"level":"debug"}`)
	l.ask(400, "PUT /api/v1/log", "", "{}")
	l.ask(200, "PUT /api/v1/simulator", "", `{"rate":2.5,"paused":true}`)
	l.ask(200, "GET /api/v1/audit", "", "", func(f *fixture) { f.fillAudit() })
	l.ask(500, "GET /api/v1/audit", "", "", func(f *fixture) { f.server.cfg.AuditPages = brokenAudit{} })
	l.ask(400, "PUT /api/v1/simulator", "", `{"rate":-1}`)
}

func (l *questionList) aboutTheMarket() {
	moved := func(f *fixture) { f.server.cfg.Prices = f.tapes.feed.Snapshot; f.tell() }
	const quotes, tell = "GET /api/v1/quotes", "POST /api/v1/quotes"
	l.ask(200, quotes, "", "", moved)
	l.ask(404, quotes, "/api/v1/quotes?instrument=SH.1", "")
	l.ask(200, tell, "", updates)
	l.ask(400, tell, "", "{}")
	for status, err := range map[int]error{
		409: errors.New("the tape has a clock of its own"), 503: ErrNotReady, 504: context.DeadlineExceeded,
	} {
		l.ask(status, tell, "", updates, func(f *fixture) { f.tapes.err = err })
	}
	for _, verb := range []string{"halt", "resume"} {
		operation, path := "POST /api/v1/instruments/{instrument}/"+verb, "/api/v1/instruments/SH.600519/"+verb
		l.ask(200, operation, path, "", moved)
		l.ask(400, operation, path+"?nothing=1", "")
		l.ask(404, operation, "/api/v1/instruments/SH.1/"+verb, "")
		l.ask(409, operation, path, "", func(f *fixture) { f.server.cfg.Market = nil })
	}
	for _, what := range []string{"bars", "tape"} {
		operation, path := "GET /api/v1/"+what, "/api/v1/"+what+"?instrument="
		l.ask(200, operation, path+"SH.600519", "")
		l.ask(404, operation, path+"SH.1", "")
		l.ask(409, operation, path+"SH.600519", "", func(f *fixture) { f.server.cfg.Bars = nil })
	}
	const dates = "&from=2026-11-29&to=2026-11-30"
	for what, more := range map[string]string{"clock": "", "calendar": dates} {
		operation, path := "GET /api/v1/"+what, "/api/v1/"+what+"?market=SH"+more
		l.ask(200, operation, path, "")
		l.ask(400, operation, "", "")
		l.ask(409, operation, path, "", func(f *fixture) { f.server.cfg.Clock, f.server.cfg.Calendar = nil, nil })
	}
}

// updates have all that an update can say.
const updates = `{"updates":[{"time":"2023-11-14T22:13:20Z","market":"SH","code":"600519","bid":"1479.99",` +
	`"ask":"1480.01","bid_size":100,"ask_size":200,"last":"1480.00","size":300,"volume":4000,"status":"open"},` +
	`{"market":"SH","code":"1"}]}`

// tell lets an instrument be traded.
func (f *fixture) tell() {
	f.tapes.feed.Apply(tapeTime, []market.Update{{Time: tapeTime, Says: market.SaysLast, Last: 5_0000}}, nil)
}

// bustOperations are the operations on trades, each with a request that has all members.
var bustOperations = map[string]string{
	"POST /api/v1/busts": `{"trade":"100017-42","reason":"mistyped","policy":"cascade","bust_id":"b-1","actor":"ann",` +
		`"expect_cascade":["100017-43"]}`,
	"POST /api/v1/corrections": `{"trade":"100017-42","reason":"mistyped","policy":"cascade",` +
		`"bust_id":"b-1","actor":"ann",` +
		`"price":"1500.00","quantity":300,"revision":0,"expect_cascade":["100017-43"]}`,
}

// TestContract: what is served is described, what is described is served, and every answer
// matches its description. Every described status occurs, and so does every described property.
func TestContract(t *testing.T) {
	c := loadContract(t)
	described := c.operations()
	served := served(newFixture(t, "").server)
	if got := slices.Sorted(maps.Keys(described)); !slices.Equal(got, served) {
		t.Errorf("described are\n%s\nserved are\n%s", strings.Join(got, "\n"), strings.Join(served, "\n"))
	}
	for _, q := range questions() {
		op := described[q.operation]
		method, path, _ := strings.Cut(q.operation, " ")
		if op == nil {
			t.Errorf("%s is not described", q.operation)
			continue
		}
		if q.target == "" {
			q.target = path
		}
		if err := c.matchBody(op, &q); err != nil {
			t.Errorf("the body of %s: %v", q.operation, err)
		}
		f := newFixture(t, "")
		q.prepare(f)
		w := f.askCancelled(method, q.target, q.body)
		if f.stopOtherProfile != nil {
			f.stopOtherProfile()
		}
		if w.Code != q.status {
			t.Errorf("%s: %d, want %d: %s", q.target, w.Code, q.status, w.Body)
		}
		if err := c.check(q.operation, op, w); err != nil {
			t.Errorf("%s: %v", q.operation, err)
		}
	}
	c.checkRefusals(t, described)
	c.checkLogins(t, described)
	for _, missing := range c.unseen(described) {
		t.Errorf("%s is described, and nothing was answered so", missing)
	}
}

// served returns the operations of the mux.
func served(s *Server) (all []string) {
	for _, r := range []routes{healthRoutes(s.cfg.Ready, s.cfg.Checks), s.guardedRoutes(), s.openRoutes()} {
		for path, m := range r {
			if !isAPI(path) {
				continue
			}
			for method := range m {
				all = append(all, method+" "+strings.TrimSuffix(path, "{$}"))
			}
		}
	}
	slices.Sort(all)
	return all
}

// askCancelled makes a request whose context has ended, so that profiles end at once.
func (f *fixture) askCancelled(method, target, body string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:7301"
	r.Header.Set("Content-Type", "application/json")
	f.server.http.Handler.ServeHTTP(w, r)
	return w
}

// fillAudit writes a line of every kind, with all that a line can have.
func (f *fixture) fillAudit() {
	for _, line := range []audit.Record{
		{Step: audit.Noted, What: "start", Detail: "papertape 1.2.3"},
		{Step: audit.Asked, Key: "PK7", Name: "desk", Remote: "127.0.0.1:5", OnBehalfOf: "ann", Method: "PUT",
			Path: "/api/v1/log", Body: `{"level":"debug"}`, Bytes: 17},
		{Step: audit.Done, Asked: 2, Method: "PUT", Path: "/api/v1/log", Status: 400, Code: "bad_request", TookMS: 1.5},
		{Step: audit.Done, Asked: 2, Method: "PUT", Path: "/api/v1/log", Status: 200},
		{Step: audit.Refused, Remote: "192.0.2.1:7", Status: 401, Times: 3},
	} {
		_, _ = f.journal.Write(line) // it is in memory
	}
}

// brokenAudit cannot be read.
type brokenAudit struct{}

func (brokenAudit) Back(uint64, func(*audit.Record) bool) error { return errors.New("broken") }

func (brokenAudit) Head() (uint64, string) { return 0, "" }

// matchBody checks a request body that was answered with 200 against its description.
func (c *contract) matchBody(op node, q *question) error {
	body, ok := op["requestBody"].(node)
	if !ok || q.status >= 300 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(q.body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return c.match(body["content"].(node)["application/json"].(node)["schema"], v, "the body")
}

// checkRefusals makes requests to each operation that the guard or the query check refuses:
// without the token, under another host name, from a page of another site, with an unknown
// parameter, and while the console is busy.
func (c *contract) checkRefusals(t *testing.T, described map[string]node) {
	f, locked, full := newFixture(t, ""), newFixture(t, "0123456789abcdef"), newFixture(t, "")
	guessed := newFixture(t, "0123456789abcdef")
	for range 1000 { // more than are forgotten while this test runs
		guessed.server.guard.failures.count(sourceOf(netip.MustParseAddr("192.0.2.1"), false), time.Now())
	}
	for range requestsMax {
		full.server.guard.slots <- struct{}{}
	}
	for name, op := range described {
		method, path, _ := strings.Cut(name, " ")
		if isOpen(path) {
			continue // checkLogins
		}
		open := op["security"] != nil
		for status, w := range map[int]*httptest.ResponseRecorder{
			400: f.ask(method, path+"?nothing=1", ""),
			401: locked.ask(method, path, ""),
			403: f.ask(method, path, "", "Sec-Fetch-Site", "cross-site"),
			421: f.askHost("evil.example", method, path, ""),
			429: guessed.ask(method, path, "", "Authorization", "Bearer x"),
			503: full.ask(method, path, ""),
		} {
			if open && status != 400 {
				status = 200
			}
			if err := c.check(name, op, w); err != nil || w.Code != status {
				t.Errorf("%s: %d, %v; want %d", name, w.Code, err, status)
			}
		}
		if body, _ := op["requestBody"].(node); body == nil {
			continue
		}
		w := f.ask(method, path, "{}", "Content-Type", "text/plain")
		if err := c.check(name, op, w); err != nil || w.Code != 415 {
			t.Errorf("%s with a body of text: %d, %v", name, w.Code, err)
		}
	}
}

// unseen returns the described statuses and properties that no answer has had.
func (c *contract) unseen(described map[string]node) (missing []string) {
	for name, op := range described {
		for status := range op["responses"].(node) {
			if !c.seen[name+" "+status] {
				missing = append(missing, name+" "+status)
			}
		}
	}
	for name, schema := range c.doc["components"].(node)["schemas"].(node) {
		properties, _ := schema.(node)["properties"].(node)
		for property := range properties {
			if !c.seen[name+"."+property] {
				missing = append(missing, name+"."+property)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// TestContractBreaches: the checker of TestContract finds answers that break the contract.
func TestContractBreaches(t *testing.T) {
	c := loadContract(t)
	for text, want := range map[string]string{
		`{"error":{"code":"busy"}}`:                           "the answer.error has no message",
		`{"error":{"code":"busy","message":"m","more":1}}`:    "the answer.error.more is not described",
		`{"error":{"code":"bored","message":"m"}}`:            `the answer.error.code is "bored", not one of`,
		`{"error":{"code":"busy","message":7}}`:               "the answer.error.message is 7, not a string",
		`{"error":[]}`:                                        "the answer.error is [], not an object",
		`{}`:                                                  "the answer has no error",
		`{"error":{"code":"busy","message":"m"}}`:             "",
		`{"error":{"code":"busy","message":"m"},"error2":{}}`: "the answer.error2 is not described",
	} {
		c.expect(t, "Error", text, want)
	}
	row := func(old, with string) string {
		return strings.Replace(`{"market":"SH","code":"1","name":"n","price":"9.98",`+
			`"previous_close":"10.00","lot":100,"tick":"0.01","currency":"CNY","upper":"11.00","lower":"9.00",`+
			`"status":"open","mic":"XSHG"}`, old, with, 1)
	}
	c.expect(t, "Instrument", row("", ""), "")
	c.expect(t, "Instrument", row(`"9.98"`, `9.98`), "the answer.price is 9.98, not a string")
	c.expect(t, "Instrument", row(`"9.98"`, `"9.9"`), `the answer.price is "9.9", which`)
	c.expect(t, "Instrument", row(`100`, `1e2`), "the answer.lot is 1e2, not an integer")
	c.expect(t, "Instrument", row(`100`, `-100`), "the answer.lot is -100, below its minimum")
	c.expect(t, "Instrument", row(`100`, `null`), "the answer.lot is <nil>, not a number")
	c.expect(t, "Accounts", `{"accounts":null}`, "the answer.accounts is <nil>, not an array")
	c.expect(t, "Accounts", `{"accounts":[1]}`, "the answer.accounts[0] is 1, not an object")
	c.expect(t, "Nothing", `{}`, "leads nowhere")
	if err := c.match(node{"type": "string", "maxLength": 3}, "long", "it"); err == nil ||
		!strings.Contains(err.Error(), "maxLength is not checked") {
		t.Errorf("a keyword that is not known: %v", err)
	}
}

func (c *contract) expect(t *testing.T, schema, text, want string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	err := c.match(node{"$ref": "#/components/schemas/" + schema}, v, "the answer")
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s as %s: %v, want %s", text, schema, err, want)
	}
}
