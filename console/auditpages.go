package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/papertape/papertape/audit"
)

// AuditPages reads the record of changes. Its methods are safe for concurrent use.
type AuditPages interface {
	// Back calls see with the lines whose numbers are below before (0: all), newest first, until it returns false.
	Back(before uint64, see func(*audit.Record) bool) error
	Head() (number uint64, hash string) // of the newest line
}

// AuditPage is a page of the audit, newest first.
type AuditPage struct {
	Lines      []audit.Record `json:"lines"`
	NextBefore uint64         `json:"next_before"` // from where to go on; 0: there is nothing more
	Newest     uint64         `json:"newest"`
	Head       string         `json:"head"` // the hash of the newest line
}

const (
	auditDefault = 50
	auditMax     = 200
	auditScanMax = 20_000 // lines that are looked at for a page
)

// auditResults are the kinds of lines, with what they are.
var auditResults = map[string]func(*audit.Record) bool{
	"asked":   func(r *audit.Record) bool { return r.Step == audit.Asked },
	"done":    func(r *audit.Record) bool { return r.Step == audit.Done && !failed(r) },
	"failed":  func(r *audit.Record) bool { return r.Step == audit.Done && failed(r) },
	"refused": func(r *audit.Record) bool { return r.Step == audit.Refused },
	"noted":   func(r *audit.Record) bool { return r.Step == audit.Noted },
}

// failed reports whether a change that was carried out was answered with an error, or not at all.
func failed(r *audit.Record) bool { return r.Status >= http.StatusBadRequest || r.Status == 0 }

var auditQuery = acceptParameters(number("before"), number("limit"), text("action"), text("actor"),
	oneOf("result", "asked", "done", "failed", "noted", "refused"))

// wanted reports whether a line is what a query asks for.
func wantedLine(r *http.Request) func(*audit.Record) bool {
	q := r.URL.Query()
	action, actor, result := q.Get("action"), q.Get("actor"), auditResults[q.Get("result")]
	return func(line *audit.Record) bool {
		who := strings.HasPrefix(line.Key, actor) || strings.HasPrefix(line.Name, actor) ||
			strings.HasPrefix(line.OnBehalfOf, actor)
		return who && strings.Contains(line.Method+" "+line.Path+" "+line.What, action) &&
			(result == nil || result(line))
	}
}

func (s *Server) auditPage(w http.ResponseWriter, r *http.Request) {
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = auditDefault
	}
	limit = min(limit, auditMax)
	page := AuditPage{Lines: []audit.Record{}}
	page.Newest, page.Head = s.cfg.AuditPages.Head()
	scanned, last, wanted := 0, uint64(0), wantedLine(r)
	err := s.cfg.AuditPages.Back(queryNumber(r, "before"), func(line *audit.Record) bool {
		if uint64(len(page.Lines)) == limit || scanned == auditScanMax {
			page.NextBefore = last
			return false
		}
		scanned, last = scanned+1, line.Number
		if wanted(line) {
			page.Lines = append(page.Lines, *line)
		}
		return true
	})
	switch {
	case errors.Is(err, audit.ErrNotOpen):
		fail(w, http.StatusServiceUnavailable, codeNotReady,
			"the server is starting, and has not opened its audit; try again")
	case err != nil:
		s.cfg.Log.Error().Err(err).Msg("console: the audit cannot be read")
		fail(w, http.StatusInternalServerError, codeInternal, "the audit could not be read; the server's log says why")
	default:
		answer(w, page)
	}
}
