package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/owner"
)

// TestWrongGoroutine enters a loop from the test's goroutine, in each way that there is. With the tag ownercheck that
// panics before anything is touched, and the panic is not contained.
func TestWrongGoroutine(t *testing.T) {
	t.Parallel()
	if !owner.Checked {
		t.Skip("built without the tag ownercheck")
	}
	srv := start(t, nil)
	p := srv.user(t, alice)
	s := srv.sessionOf(t, p)
	l, h := s.loop, handler{srv.gw}
	for name, enter := range map[string]func(){
		"OnTraffic":  func() { h.OnTraffic(foreign{session: s}) },
		"OnClose":    func() { h.OnClose(foreign{session: s}, nil) },
		"a task":     func() { _ = l.tasks.tick.Run(context.Background()) },
		"write":      func() { l.write(s) },
		"schedule":   func() { l.schedule(s) },
		"beginClose": func() { l.beginClose(s, papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, nil, 0) },
		"forget":     func() { l.forget(s, nil) },
		"subscribe":  func() { l.subscribe(s, codec.Subscribe{Quotes: true}) },
		"watch":      func() { l.watch(s, true) },
		"RemoteAddr": func() { s.RemoteAddr() },
		"contain": func() {
			defer l.contain("test", s)
			panic("what was wrong before")
		},
	} {
		if said := panicOf(enter); !strings.Contains(said, "owner: ") {
			t.Errorf("%s on another goroutine panicked with %q", name, said)
		}
	}
	p.trade(2) // the session goes on
	if n := srv.gw.Stats().Panics.Load(); n != 0 {
		t.Errorf("%d panics were contained, want none", n)
	}
}

// foreign is a connection that leads to a session, and that the test's goroutine may touch.
type foreign struct {
	gnet.Conn
	session *Session
}

func (f foreign) Context() any { return f.session }

func panicOf(enter func()) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = fmt.Sprint(p)
		}
	}()
	enter()
	return ""
}
