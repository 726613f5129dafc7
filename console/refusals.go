package console

import (
	"net/http"
	"sync"
	"time"

	"github.com/papertape/papertape/audit"
)

// Audit keeps the record of changes. Its method is safe for concurrent use.
type Audit interface {
	// Write writes a line, and returns its number once it is safe.
	Write(r audit.Record) (number uint64, err error)
}

// refusalInterval is the time between two lines about refusals to one address. Each line is synced to
// the disk, and strangers must not choose how many there are.
const refusalInterval = time.Minute

// refusals writes lines about requests that were not let in: the first of an address at once, then
// one a minute, which says how many it stands for.
type refusals struct {
	audit Audit // nil: they are not written

	mu sync.Mutex
	by map[source]*refused
}

// refused are the refusals to one address since the last line about it.
type refused struct {
	written time.Time
	times   uint64
	last    audit.Record
}

func newRefusals(a Audit) *refusals { return &refusals{audit: a, by: make(map[source]*refused)} }

// note notes that a request was refused.
func (f *refusals) note(r *http.Request, who Identity, status int, code string) {
	if f.audit == nil {
		return
	}
	line := recordOf(r, who)
	line.Step, line.Status, line.Code = audit.Refused, status, code
	f.add(sourceOf(remoteAddress(r), false), line, time.Now())
}

func (f *refusals) add(from source, line audit.Record, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by[from] == nil && len(f.by) >= addressesKnownMax {
		if f.forget(now); len(f.by) >= addressesKnownMax {
			from = source{} // too many addresses: they share a line
		}
	}
	one := f.by[from]
	if one == nil {
		one = new(refused)
		f.by[from] = one
	}
	one.times, one.last = one.times+1, line
	if now.Sub(one.written) >= refusalInterval {
		f.write(one, now)
	}
}

// write writes a line about the refusals since the last one. If the disk is full they are counted in the
// next. f.mu must be held.
func (f *refusals) write(one *refused, now time.Time) {
	line := one.last
	if one.times > 1 {
		line.Times = one.times
	}
	if _, err := f.audit.Write(line); err == nil {
		one.times = 0
	}
	one.written = now
}

// forget drops addresses that were not refused anything for a minute, and writes what there was.
// f.mu must be held.
func (f *refusals) forget(now time.Time) {
	for from, one := range f.by {
		if now.Sub(one.written) < refusalInterval {
			continue
		}
		if one.times > 0 {
			f.write(one, now)
		}
		delete(f.by, from)
	}
}

// flush writes what has not been written.
func (f *refusals) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.by {
		if one.times > 0 && f.audit != nil {
			f.write(one, time.Now())
		}
	}
}
