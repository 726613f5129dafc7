package gateway

import (
	"sync"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
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
	n := codec.Count(frame)
	s.out.frames += int32(n) //nolint:gosec // of one frame or a few
	s.sent.add(n, len(frame))
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

// finishWith appends the last frames, which end with GOODBYE. mu must be held. It returns how many bytes it added.
func (s *Session) finishWith(reason papertapev1.GoodbyeReason, farewell []byte) int {
	if !s.append(farewell) {
		return 0
	}
	s.end = goodbye(reason) //nolint:gosec // a small number
	s.because(causeOf(reason))
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
type buffer struct {
	b       []byte
	frames  int32 // in b
	decided int64 // when the oldest event in b was decided, by tally.Now; 0: none is measured
	asked   int64 // when the oldest request that b answers was read; likewise
}

// timed notes when an event and a request were decided and read, of which b has a frame. 0: there is none.
func (b *buffer) timed(decided, asked int64) {
	if b.decided == 0 {
		b.decided = decided
	}
	if b.asked == 0 {
		b.asked = asked
	}
}

// bufferKept is the largest buffer that is used again.
const bufferKept = 128 << 10

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 1024)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) free() {
	if cap(b.b) <= bufferKept {
		*b = buffer{b: b.b[:0]}
		buffers.Put(b)
	}
}
