package console

import (
	"net/http"
	"time"

	"github.com/papertape/papertape/audit"
)

// Audit keeps the record of changes. Its method is safe for concurrent use.
type Audit interface {
	// Write writes a line, and returns its number once it is safe.
	Write(r audit.Record) (number uint64, err error)
}

// refusals sum up requests that were not let in, by the address that they come from. Strangers must not choose how many
// lines there are.
type refusals struct{ *summaries[source] }

func newRefusals(a Audit) *refusals { return &refusals{newSummaries[source](a)} }

// note notes that a request was refused.
func (f *refusals) note(r *http.Request, who Identity, status int, code string) {
	line := recordOf(r, who)
	line.Step, line.Status, line.Code = audit.Refused, status, code
	f.add(sourceOf(remoteAddress(r), false), line, 0, time.Now())
}
