package console

import (
	"net/netip"
	"sync"
	"time"
)

// What an address may get wrong: so many tokens at once, then one a second. The limit is by address
// and never by key, or strangers could lock out its owner.
const (
	failuresAtOnce    = 10
	failureInterval   = time.Second
	addressesKnownMax = 4096 // those that have failed lately; beyond it they share one limit
)

// source is where requests come from. A page in a browser on this machine, under a name that was
// rebound to it, comes from the same address as the operator; so it has a limit of its own.
type source struct {
	address netip.Addr // an IPv6 address stands for its /64
	foreign bool       // asked under a name that is not the console's
}

func sourceOf(address netip.Addr, foreign bool) source {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			address = prefix.Addr()
		}
	}
	return source{address, foreign}
}

// failures limits the tokens that are looked at. It is safe for concurrent use.
type failures struct {
	mu sync.Mutex
	at map[source]time.Time // when all failures would have happened, had they come evenly
}

// wait returns how long a source has to wait until its token is looked at; 0: it need not.
func (f *failures) wait(from source, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(0, f.at[f.known(from)].Add(-(failuresAtOnce-1)*failureInterval).Sub(now))
}

// count counts a wrong token.
func (f *failures) count(from source, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = make(map[source]time.Time)
	}
	if len(f.at) >= addressesKnownMax {
		for one, until := range f.at {
			if until.Before(now) {
				delete(f.at, one)
			}
		}
	}
	from = f.known(from)
	at := f.at[from]
	if at.Before(now) {
		at = now
	}
	f.at[from] = at.Add(failureInterval)
}

// known returns the source under which failures are counted. f.mu must be held.
func (f *failures) known(from source) source {
	if _, ok := f.at[from]; !ok && len(f.at) >= addressesKnownMax {
		return source{}
	}
	return from
}
