package gateway

import (
	"net/netip"
	"sync"
	"time"

	"github.com/papertape/papertape/keys"
)

const (
	failuresAtOnce = 10          // refused logins that an address may have at once
	failureEvery   = time.Second // and one more after each of these

	failingAddressesMax = 1 << 14 // addresses that are told apart; those beyond share a bucket

	failureLogEvery = time.Minute      // lines about one address, after the first
	sweepEvery      = 10 * time.Second // looks for lines that are due, and for addresses to forget
)

// attempts limits refused logins by address. Keys cannot be guessed; this saves processor time and lines of the log. It
// does not count by key, since then anybody could lock out the holder of a key.
type attempts struct {
	mu sync.Mutex
	// Shared, under mu.
	of     map[netip.Prefix]*failures
	others failures // of the addresses beyond failingAddressesMax
	swept  time.Duration
}

// failures are the refused logins of one address. Times are since the start of the gateway.
type failures struct {
	spent  float64       // of failuresAtOnce, at the time at
	at     time.Duration // of the last failure
	logged time.Duration // of the last line
	more   int           // failures since that line
}

// subscriber returns what one subscriber of a provider is given: an IPv4 address, or a /64 of IPv6.
func subscriber(from netip.Addr) netip.Prefix {
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	p, _ := from.WithZone("").Prefix(bits) // without an address: the zero prefix
	return p
}

// find returns the failures of an address, or nil if it has none. mu must be held.
func (a *attempts) find(from netip.Prefix) *failures {
	if f := a.of[from]; f != nil {
		return f
	}
	if len(a.of) >= failingAddressesMax {
		return &a.others
	}
	return nil
}

// left is what remains of spent at a time.
func (f *failures) left(now time.Duration) float64 {
	return max(0, f.spent-float64(now-f.at)/float64(failureEvery))
}

// mayTry reports whether an address may try to log in.
func (a *attempts) mayTry(from netip.Addr, now time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.find(subscriber(from))
	return f == nil || f.left(now) <= failuresAtOnce-1
}

// failed counts a refused login. It returns how many failures a line in the log should tell of; 0: no line is due.
func (a *attempts) failed(from netip.Addr, now time.Duration) (tell int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := subscriber(from)
	f := a.find(of)
	if f == nil {
		f = new(failures)
		if a.of == nil {
			a.of = make(map[netip.Prefix]*failures)
		}
		a.of[of] = f
	}
	f.spent, f.at = f.left(now)+1, now
	f.more++
	return f.due(now)
}

// due returns how many failures a line is due for, and counts them as told.
func (f *failures) due(now time.Duration) (tell int) {
	if f.more == 0 || f.logged != 0 && now-f.logged < failureLogEvery {
		return 0
	}
	tell, f.more, f.logged = f.more, 0, now
	return tell
}

// sweep calls tell for each address with failures that were not told for a minute, and forgets those that have not
// failed for so long.
func (a *attempts) sweep(now time.Duration, tell func(from netip.Prefix, failures int)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now-a.swept < sweepEvery {
		return
	}
	a.swept = now
	for from, f := range a.of {
		if n := f.due(now); n > 0 {
			tell(from, n)
		}
		if f.more == 0 && now-f.at >= failureLogEvery {
			delete(a.of, from)
		}
	}
	if n := a.others.due(now); n > 0 {
		tell(netip.Prefix{}, n)
	}
}

// noteFailure counts a refused login, and writes a line about it if one is due.
func (g *Gateway) noteFailure(from netip.Addr, keyID string, why keys.Refusal) {
	g.stats.AuthFailed.Add(1)
	if n := g.attempts.failed(from, time.Since(g.start)); n > 0 {
		g.cfg.Log.Warn().Stringer("remote", from).Str("key", keyID).Stringer("cause", why).Int("failures", n).
			Msg("a login was refused")
	}
}

// tellFailures writes the lines about refused logins that are due. It is called by the ticker.
func (g *Gateway) tellFailures() {
	if g.cfg.Keys == nil {
		return
	}
	g.attempts.sweep(time.Since(g.start), func(from netip.Prefix, failures int) {
		line := g.cfg.Log.Warn().Int("failures", failures)
		if from.IsValid() {
			line = line.Stringer("remote", from.Addr())
		}
		line.Msg("logins were refused since the last line about this address")
	})
}
