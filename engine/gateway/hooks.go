package gateway

import (
	"net"

	"github.com/papertape/papertape/codec"
)

// Hooks are told of the life of connections. For one connection they are called one at a time, on its event loop, in this
// order, each at most once. They must not block: all connections of the loop wait. A panic closes the connection.
type Hooks struct {
	OnConnect    func(*Session) // a connection was let in; WELCOME is on its way
	OnLogin      func(*Session) // it has logged in; the reply is not written yet
	OnLogout     func(*Session) // a connection that OnLogin was told of is gone
	OnDisconnect func(*Session) // a connection that OnConnect was told of is gone
}

// Wrapper sees what comes and what is answered. Payloads are good during the call only.
type Wrapper struct {
	// Request sees each whole frame that comes, before it is handled, on the connection's event loop. An error refuses the
	// frame instead: it is answered with a REJECT, and the connection ends if the error is Fatal.
	Request func(*Session, codec.Frame) *codec.Error

	// Reply sees each frame that answers a request (it carries REPLY), before it goes to the outbox, once; a session that is
	// ending may no longer be sent it. It is called on an event loop or on a drainer, so it must not block at all.
	Reply func(*Session, codec.Frame)
}

// UID is the user id that the connection was given.
func (s *Session) UID() uint64 { return s.uid }

// Account is what the connection has logged in to, or tries to; 0 before that.
func (s *Session) Account() uint64 { return s.account.Load() }

// RemoteAddr is the client's address. It may be called in hooks and in Wrapper.Request only, and is nil when the connection is
// gone.
func (s *Session) RemoteAddr() net.Addr {
	if k := s.socket(); k != nil {
		return k.remote
	}
	return s.conn.RemoteAddr()
}

// SetProperty keeps a value with the session until its end. Any goroutine may call it.
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

// tell calls one hook of each of the gateway's Hooks.
func (l *loop) tell(s *Session, which func(*Hooks) func(*Session)) {
	for i := range l.gw.cfg.Hooks {
		if hook := which(&l.gw.cfg.Hooks[i]); hook != nil {
			hook(s)
		}
	}
}

func onConnect(h *Hooks) func(*Session)    { return h.OnConnect }
func onLogin(h *Hooks) func(*Session)      { return h.OnLogin }
func onLogout(h *Hooks) func(*Session)     { return h.OnLogout }
func onDisconnect(h *Hooks) func(*Session) { return h.OnDisconnect }

// requested shows a frame to the wrappers. It returns the first refusal.
func (l *loop) requested(s *Session, f codec.Frame) *codec.Error {
	for i := range l.gw.cfg.Wrappers {
		if see := l.gw.cfg.Wrappers[i].Request; see != nil {
			if refusal := see(s, f); refusal != nil {
				return refusal
			}
		}
	}
	return nil
}

// replied shows a frame to the wrappers, if it answers a request. The session's mutex must not be held: a wrapper may set
// properties.
func (g *Gateway) replied(s *Session, frame []byte) {
	if len(g.cfg.Wrappers) == 0 {
		return
	}
	f, n, err := codec.Cut(frame, codec.LimitToClient)
	if err != nil || n == 0 || f.Flags&codec.FlagReply == 0 {
		return
	}
	for i := range g.cfg.Wrappers {
		if see := g.cfg.Wrappers[i].Reply; see != nil {
			see(s, f)
		}
	}
}
