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
	s.sent.add(codec.Count(frame), len(frame))
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
