package gateway

import "github.com/papertape/papertape/codec"

// Hooks are called in the life of a connection. For one connection they are called one at a time, on its event loop, in
// this order, each at most once. They must not block: all connections of the loop wait. A panic closes the connection.
type Hooks struct {
	OnConnect    func(*Session) // a connection was let in; WELCOME is on its way
	OnLogin      func(*Session) // it has logged in; the reply is not written yet
	OnLogout     func(*Session) // a connection for which OnLogin was called is gone
	OnDisconnect func(*Session) // a connection for which OnConnect was called is gone
}

// Wrapper sees requests and replies. Payloads are valid during the call only.
type Wrapper struct {
	// Request sees each whole frame that comes, before it is handled, on the connection's event loop. If it returns an
	// error, the frame is not handled but answered with a REJECT, and the connection ends if the error is Fatal.
	Request func(*Session, codec.Frame) *codec.Error

	// Reply sees each frame that answers a request (it carries REPLY), once, before it goes to the outbox. If the
	// session is ending, the frame may not be sent. Reply is called on an event loop or on a drainer, so it must not
	// block at all.
	Reply func(*Session, codec.Frame)
}

// callHooks calls one of the functions of each of the gateway's Hooks.
func (l *loop) callHooks(s *Session, which func(*Hooks) func(*Session)) {
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

// wrapRequest shows a frame to the wrappers. It returns the first refusal.
func (l *loop) wrapRequest(s *Session, f codec.Frame) *codec.Error {
	for i := range l.gw.cfg.Wrappers {
		if see := l.gw.cfg.Wrappers[i].Request; see != nil {
			if refusal := see(s, f); refusal != nil {
				return refusal
			}
		}
	}
	return nil
}

// replied shows a frame to the wrappers if it answers a request. The session's mutex must not be held, as a wrapper may
// set properties.
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
