package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// Session is one connection, from its first byte to its last.
type Session struct {
	engine engine.Session // Peer leads back here

	// Constant.
	conn gnet.Conn
	loop *loop
	uid  uint64

	// phase is moved by the loop; and by the drainer from phaseLoggingIn, when it answers the login.
	phase atomic.Uint32

	// account is that of the last login. Stored by the loop before the engine sees the session.
	account atomic.Uint64

	mu sync.Mutex
	// Shared, under mu.
	out        *buffer                   // what waits to be written; nil: nothing
	unsent     int                       // bytes that the loop took from out and the socket has not taken yet
	head       uint64                    // the account's newest sequence in this connection's stream
	announced  uint64                    // the newest sequence when it logged in, up to which a replay goes
	end        papertapev1.GoodbyeReason // not 0: GOODBYE was appended, nothing follows
	dirty      bool                      // on its way to a loop's dirty list
	catchUp    bool                      // the engine wants to know when all has been written
	detached   bool                      // the connection is gone
	greet      bool                      // has logged in, and OnLogin was not told yet
	properties map[string]any

	// Owned by the loop.
	closing        *closing // takes no more requests; nil: takes them, or has ended
	told           uint64   // of presence: the version that the client has been told
	logins         uint8    // tries
	backlog        bool     // in the loop's list of sessions to look at again
	behind         bool     // missed some quotes
	presenceMissed bool     // is to be told of presence when it has read
	piece          bool     // in the loop's list of those that are catching up
	known          bool     // OnLogin was told
	refused        bool     // over a limit, and counted as such
	shutDown       bool     // the sending half is shut down
	pings          uint32   // sent
	opened         millis
	lastRead       millis
	lastWrite      millis
	stalled        millis // since when the socket took nothing though bytes wait; 0: nothing waits
	ending         millis // when it is closed for good; 0: not ending
	slot           int32  // in the wheel; -1: in none
	place          int32  // among the loop's subscribers of quotes, counted from 1; 0: in none
	seat           int32  // among the loop's watchers of presence, counted from 1; 0: in none
	held           int32  // bytes of half a frame
	prev           *Session
	next           *Session
}

// millis is the coarse time of a loop, in milliseconds since the gateway was made. It is never 0.
type millis int64

// The phases of a session.
const (
	phaseNew       uint32 = iota // waits for LOGIN
	phaseLoggingIn               // LOGIN is with the engine
	phaseIn                      // logged in
	phaseEnding                  // GOODBYE was appended; input is thrown away
	phaseClosed                  // gone
)

// append adds a frame to the outbox. It returns false if nothing can be added any more. mu must be held.
func (s *Session) append(frame []byte) bool {
	if s.detached || s.end != 0 {
		return false
	}
	if s.out == nil {
		s.out = newBuffer()
	}
	s.out.b = append(s.out.b, frame...)
	return true
}

// waiting returns how many bytes the client has still to take. mu must be held.
func (s *Session) waiting() int {
	if s.out == nil {
		return s.unsent
	}
	return s.unsent + len(s.out.b)
}

// finish appends GOODBYE; after it nothing can be added. mu must be held. It returns how many bytes it added.
func (s *Session) finish(reason papertapev1.GoodbyeReason, text string) int {
	return s.finishWith(reason, codec.AppendGoodbye(nil, reason, text, retryAfter(reason)))
}

// finishWith is finish with frames of which GOODBYE is the last.
func (s *Session) finishWith(reason papertapev1.GoodbyeReason, farewell []byte) int {
	if !s.append(farewell) {
		return 0
	}
	s.end = reason
	return len(farewell)
}

// buffered returns how many bytes the loop has written and the kernel has not taken. The loop calls it.
func (s *Session) buffered() int {
	if k := s.socket(); k != nil {
		return k.waiting()
	}
	return s.conn.OutboundBuffered()
}

// buffer is an outbox's memory. Idle sessions hold none.
type buffer struct{ b []byte }

// bufferKept is the largest buffer that is used again.
const bufferKept = 128 << 10

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 1024)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) <= bufferKept {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}
