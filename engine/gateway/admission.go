package gateway

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/pace"
)

// Limits bound the number of connections. They can change while the gateway serves.
type Limits struct {
	ConnectionsMax          int
	ConnectionsPreloginMax  int
	ConnectionsPerIPMax     int // 0: no limit
	ConnectionsPerSecondMax int // admitted, with a burst of one second's worth; 0: no limit
	HandshakesPerSecondMax  int // of TLS, with a burst of one second's worth; 0: no limit
}

// refusedMax is how many refused connections may wait for their client to close. Any more are closed at once, so that
// a flood of refused connections does not use up the file descriptors.
const refusedMax = 256

// admission counts connections and decides which ones are admitted.
type admission struct {
	limits atomic.Pointer[Limits] // replaced, never changed

	open     atomic.Int64 // admitted connections
	prelogin atomic.Int64 // connections that are not logged in, refused ones included
	refused  atomic.Int64 // refused connections that wait for their client to close

	admissionMu sync.Mutex
	// Shared, under admissionMu.
	perIP      map[netip.Addr]int
	rate       pace.Limiter // of admitted connections
	handshakes pace.Limiter // of TLS
}

// SetLimits replaces the limits. Any goroutine may call it. The limits apply to new connections. Open connections stay
// open, even if there are more than the new limits allow.
func (g *Gateway) SetLimits(limits Limits) { g.limits.Store(&limits) }

// Connections returns how many connections are open.
func (g *Gateway) Connections() int { return int(g.open.Load()) }

// CurrentLimits returns the limits in force. Any goroutine may call it.
func (g *Gateway) CurrentLimits() Limits { return *g.limits.Load() }

// Prelogin returns how many connections are not logged in.
func (g *Gateway) Prelogin() int { return int(g.prelogin.Load()) }

// OutboxBytes returns how many bytes the server holds for its clients: what they have still to take, and
// halves of frames.
func (g *Gateway) OutboxBytes() int64 { return g.holds() }

// admit counts a new connection, and returns the limit that it exceeds, or "". Only connections within all other
// limits count for the rate. The rate is limited because after a restart all clients come back at once, and each
// admitted connection costs a login, and perhaps a replay.
func (a *admission) admit(from net.Addr, now time.Duration) (exceeded string) {
	open, prelogin, perIP := a.open.Add(1), a.prelogin.Add(1), a.countIP(from, 1)
	switch limits := a.limits.Load(); {
	case open > int64(limits.ConnectionsMax):
		return "the server holds as many connections as it may"
	case prelogin > int64(limits.ConnectionsPreloginMax):
		return "too many connections have not logged in yet"
	case limits.ConnectionsPerIPMax > 0 && perIP > limits.ConnectionsPerIPMax:
		return "your address has as many connections as it may"
	case !a.withinRate(now, limits.ConnectionsPerSecondMax):
		return "too many connections come at once"
	}
	return ""
}

func (a *admission) withinRate(now time.Duration, perSecond int) bool {
	a.admissionMu.Lock()
	defer a.admissionMu.Unlock()
	return a.rate.Allow(now, perSecond)
}

// mayHandshake says whether another TLS handshake may begin. Each costs as much as thousands of orders, so their rate
// has a limit of its own.
func (a *admission) mayHandshake(now time.Duration) bool {
	a.admissionMu.Lock()
	defer a.admissionMu.Unlock()
	return a.handshakes.Allow(now, a.limits.Load().HandshakesPerSecondMax)
}

// leave counts an admitted connection as gone.
func (a *admission) leave(from net.Addr) {
	a.open.Add(-1)
	a.countIP(from, -1)
}

// countIP adds to the connections of an address and returns how many there are. They are counted even while they are
// not limited, because the limit may be set later.
func (a *admission) countIP(from net.Addr, by int) int {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return 0
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	ip = ip.Unmap()
	a.admissionMu.Lock()
	defer a.admissionMu.Unlock()
	n := a.perIP[ip] + by
	if n == 0 {
		delete(a.perIP, ip)
	} else {
		a.perIP[ip] = n
	}
	return n
}

// refuseConnection ends a new connection with GOODBYE. It no longer counts as open: refused connections have a bound
// of their own.
func (l *loop) refuseConnection(s *Session, reason papertapev1.GoodbyeReason, text string) gnet.Action {
	l.goodbye(s, reason, text)
	if s.phase.Load() == phaseClosed {
		return gnet.None
	}
	s.refused = true
	l.gw.leave(s.limitedAs(s.conn.RemoteAddr()))
	if l.gw.refused.Add(1) > refusedMax {
		return gnet.Close
	}
	return gnet.None
}
