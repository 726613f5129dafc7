package gateway

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/keys"
)

// Session is one connection, from its first byte to its last.
type Session struct {
	engine engine.Session // Peer leads back here

	// Constant.
	conn gnet.Conn
	loop *loop
	uid  uint64

	// account is that of the last login. The loop stores it before the engine sees the session.
	account atomic.Uint64

	// phase is moved by the loop, and from phaseLoggingIn by the drainer that answers the login.
	phase atomic.Uint32

	mu sync.Mutex
	// Shared, under mu. They and their neighbours are in an order without gaps.
	end        goodbye // not 0: GOODBYE was appended, nothing follows
	cause      cause   // why it ends, as far as the server has decided that
	out        *buffer // what waits to be written; nil: nothing
	unsent     int     // bytes that the loop took from out and the socket has not taken yet
	head       uint64  // the account's newest sequence in this connection's stream
	announced  uint64  // the newest sequence when it logged in, up to which a replay goes
	sent       traffic // appended to out
	properties map[string]any
	dirty      bool // in, or on its way to, a loop's dirty list
	catchUp    bool // the engine wants to know when all has been written
	detached   bool // the connection is gone
	greet      bool // it has logged in, and OnLogin was not told yet

	// Owned by the loop.
	pings          uint32    // sent
	key            *keys.Key // with which it logged in; nil: without
	received       traffic   // frames that were cut, and their bytes
	front          *front    // a PROXY header and TLS; nil: neither
	closing        *closing  // takes no more requests; nil: takes them, or has ended
	presenceTold   uint64    // the version of presence that the client has been told
	logins         uint8     // tries
	inBacklog      bool      // in the loop's backlog
	inRetries      bool      // in the loop's retries
	inPieces       bool      // in the loop's pieces
	presenceMissed bool      // it is to be told of presence when it has read what waits
	greeted        bool      // OnLogin was told
	refused        bool      // counted as refused, not as open
	shutDown       bool      // the sending half is shut down
	opened         millis
	lastRead       millis
	lastWrite      millis
	stalled        millis // since when the socket took nothing though bytes wait; 0: it is not stalled
	ending         millis // when it is closed for good; 0: not ending
	halfFrame      int32  // bytes that gnet keeps of a frame that has come in part
	quotesSeat     int32  // its place among the loop's subscribers of quotes, from 1; 0: none
	presenceSeat   int32  // its place among the loop's watchers of presence, from 1; 0: none

	// Owned by the loop's wheel.
	slot       int32 // -1: in none
	prev, next *Session
}

// goodbye is a papertapev1.GoodbyeReason in a byte.
type goodbye uint8

// traffic counts frames and their bytes.
type traffic struct{ frames, bytes uint64 }

func (t *traffic) add(frames, bytes int) {
	t.frames += uint64(frames) //nolint:gosec // counts
	t.bytes += uint64(bytes)   //nolint:gosec // counts
}

// The phases of a session.
const (
	phaseNew       uint32 = iota // waits for LOGIN
	phaseLoggingIn               // LOGIN is with the engine
	phaseIn                      // logged in
	phaseEnding                  // GOODBYE was appended; input is thrown away
	phaseClosed                  // gone
)

// UID is the user id that the connection was given.
func (s *Session) UID() uint64 { return s.uid }

// Account is the account that the connection has logged in to, or is logging in to; 0 before that.
func (s *Session) Account() uint64 { return s.account.Load() }

// RemoteAddr is the client's address, or nil when the connection is gone. If the connection came through a trusted
// proxy, it is the address that the proxy named. It may be called in hooks and in Wrapper.Request only.
func (s *Session) RemoteAddr() net.Addr {
	s.loop.goroutine.Check()
	return s.remote()
}

// SetProperty keeps a value with the session while the session lasts. Any goroutine may call it.
func (s *Session) SetProperty(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.properties == nil {
		s.properties = make(map[string]any)
	}
	s.properties[key] = value
}

// Property returns a value that was set. Any goroutine may call it.
func (s *Session) Property(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.properties[key]
	return v, ok
}
