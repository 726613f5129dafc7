package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/papertape/papertape/audit"
)

// summaryInterval is the time between two lines about the requests of one key that are summed up. Each line is
// synced to the disk, and whoever asks must not choose how many there are.
const summaryInterval = time.Minute

// summaries write lines about requests that are too many to have one each: the first of a key at once, then one a
// minute, which says how many it stands for. They are safe for concurrent use.
type summaries[K comparable] struct {
	audit Audit // nil: they are not written

	mu sync.Mutex
	by map[K]*summary
}

// summary is of the requests of one key since the last line about them.
type summary struct {
	written time.Time // when the last line was
	since   time.Time // when the first request was that the next line stands for
	times   uint64
	updates uint64 // of quotes, in those requests
	last    audit.Record
}

func newSummaries[K comparable](a Audit) *summaries[K] {
	return &summaries[K]{audit: a, by: make(map[K]*summary)}
}

// add adds a request, which is written, with those before it, if the last line is a minute old.
func (f *summaries[K]) add(key K, line audit.Record, updates int, now time.Time) {
	if f.audit == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by[key] == nil && len(f.by) >= addressesKnownMax {
		if f.forget(now); len(f.by) >= addressesKnownMax {
			var shared K
			key = shared // too many: they share a line
		}
	}
	one := f.by[key]
	if one == nil {
		one = new(summary)
		f.by[key] = one
	}
	if one.times == 0 {
		one.since = now
	}
	one.times, one.updates, one.last = one.times+1, one.updates+uint64(updates), line
	if now.Sub(one.written) >= summaryInterval {
		f.write(one, now)
	}
}

// write writes a line about the requests since the last one. If the disk is full they are counted in the next.
// f.mu must be held.
func (f *summaries[K]) write(one *summary, now time.Time) {
	line := one.last
	if one.times > 1 {
		line.Times = one.times
	}
	if one.updates > 0 {
		line.Detail = fmt.Sprintf("updates of quotes: %d, since %s", one.updates,
			one.since.UTC().Format(time.RFC3339))
	}
	if _, err := f.audit.Write(line); err == nil {
		one.times, one.updates = 0, 0
	}
	one.written = now
}

// forget drops keys of which nothing was to be written for a minute, and writes what there was. f.mu must be held.
func (f *summaries[K]) forget(now time.Time) {
	for key, one := range f.by {
		if now.Sub(one.written) < summaryInterval {
			continue
		}
		if one.times > 0 {
			f.write(one, now)
		}
		delete(f.by, key)
	}
}

// flush writes what has not been written.
func (f *summaries[K]) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.by {
		if one.times > 0 && f.audit != nil {
			f.write(one, time.Now())
		}
	}
}

// noteQuotes notes that quotes were told, by whose key.
func (s *Server) noteQuotes(r *http.Request, updates int) {
	who := identityOf(r)
	line := recordOf(r, who)
	line.Step, line.Status = audit.Done, http.StatusOK
	s.told.add(who.Key, line, updates, time.Now())
}
