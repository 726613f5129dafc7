package gateway

import (
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// TestSessionsAndKick: an operator sees the connections, and can end one.
func TestSessionsAndKick(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	q := s.peer(t)
	q.welcome()
	all := s.gw.Sessions()
	if len(all) != 2 || all[0].Account != alice || all[1].Account != 0 || all[0].UID >= all[1].UID ||
		all[0].Remote != p.conn.LocalAddr().String() || all[0].Since.IsZero() {
		t.Fatalf("sessions: %+v", all)
	}
	if s.gw.Kick(4711, "nobody") {
		t.Error("a connection was kicked that does not exist")
	}
	if !s.gw.Kick(all[0].UID, "by an operator") {
		t.Error("nobody was kicked")
	}
	if g := p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED); g.GetText() != "by an operator" {
		t.Errorf("the reason is %q", g.GetText())
	}
	p.eof()
	_ = p.conn.Close()
	eventually(t, "it is gone", func() bool { return len(s.gw.Sessions()) == 1 })
}
