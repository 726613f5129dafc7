package gateway

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/engine"
)

// endedBy waits until a session has ended so, and returns it.
func (s *server) endedBy(t *testing.T, why string) EndedSession {
	t.Helper()
	var found []EndedSession
	eventually(t, "a session has ended: "+why, func() bool {
		found, _ = s.gw.Ended(1, func(e *EndedSession) bool { return e.Cause == why })
		return len(found) == 1
	})
	return found[0]
}

// TestEnded: it is known of sessions that were logged in who they were, why they ended and what they had not read; of
// others, and of those before the last thousand, nothing.
func TestEnded(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	from := stalled.conn.LocalAddr().String()
	for s.gw.Stats().CutOutbox.Load() == 0 {
		trader.trade(20)
	}
	e := s.endedBy(t, "slow_outbox")
	if e.Account != alice || e.Remote != from || e.WaitingBytes == 0 || e.FramesSent < 2 || e.Ended.Before(e.Since) ||
		e.UID == 0 || e.BytesSent < uint64(e.WaitingBytes) || e.FramesReceived != 1 {
		t.Errorf("%+v, from %s", e, from)
	}
	all := s.gw.Sessions()
	s.gw.Kick(all[0].UID, "late")
	trader.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED)
	_ = trader.conn.Close()
	if e := s.endedBy(t, "kicked"); e.UID != all[0].UID || e.WaitingBytes != 0 ||
		e.FramesReceived != all[0].FramesReceived {
		t.Errorf("kicked: %+v, was %+v", e, all[0])
	}
	_ = s.user(t, bob).conn.Close()
	if e := s.endedBy(t, "client"); e.Account != bob {
		t.Errorf("%+v", e)
	}
	nobody := s.peer(t)
	nobody.welcome()
	_ = nobody.conn.Close()
	garbler := s.user(t, bob)
	garbler.write([]byte{0, 0, 0, 1, 2, 3, 4, 5})
	garbler.cut()
	s.endedBy(t, "protocol")
	eventually(t, "all are gone", func() bool { return s.gw.Connections() == 0 })
	list, ended := s.gw.Ended(10, func(*EndedSession) bool { return true })
	if len(list) != 4 || ended != 4 || !slices.IsSortedFunc(list, func(a, b EndedSession) int {
		return b.Ended.Compare(a.Ended)
	}) {
		t.Errorf("%d of %d: %+v", len(list), ended, list)
	}
}

// TestEndedStalled: a client that reads nothing for the stall timeout is told apart from one whose outbox was full.
func TestEndedStalled(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.SocketSendBufferBytes, g.StallTimeout = 8<<10, 200*time.Millisecond
	})
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	for s.gw.Stats().CutStalled.Load() == 0 && s.gw.Stats().CutOutbox.Load() == 0 {
		trader.trade(20)
	}
	if s.gw.Stats().CutStalled.Load() > 0 {
		if e := s.endedBy(t, "slow_stalled"); e.Account != alice || e.WaitingBytes == 0 {
			t.Errorf("%+v", e)
		}
	}
	stalled.cut()
}

// TestEndedIsARing: the last thousand are kept.
func TestEndedIsARing(t *testing.T) {
	t.Parallel()
	var g Gateway
	from := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}
	for uid := uint64(1); uid <= 3*endedMax+5; uid++ {
		g.gone.add(EndedSession{SessionInfo: SessionInfo{UID: uid}, Cause: causeNames[uid%2], from: from})
	}
	list, all := g.Ended(2*endedMax, func(*EndedSession) bool { return true })
	if len(list) != endedMax || all != 3*endedMax+5 {
		t.Fatalf("%d of %d", len(list), all)
	}
	for i, e := range list {
		if want := uint64(3*endedMax + 5 - i); e.UID != want || e.Remote != "192.0.2.1:7" {
			t.Fatalf("%d is %d from %s, want %d", i, e.UID, e.Remote, want)
		}
	}
	list, _ = g.Ended(3, func(e *EndedSession) bool { return e.Cause == "idle" })
	if len(list) != 3 || list[0].UID != 3*endedMax+5 || list[1].UID != 3*endedMax+3 {
		t.Errorf("%+v", list)
	}
}

// TestFindSessions: searches find what the list of all has.
func TestFindSessions(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	a, b := s.user(t, alice), s.user(t, alice)
	s.user(t, bob)
	s.peer(t).welcome()
	a.trade(3)
	b.until(a.seq)
	var all []SessionInfo
	eventually(t, "everything is written", func() bool {
		all = s.gw.Sessions()
		return !slices.ContainsFunc(all, func(in SessionInfo) bool { return in.WaitingBytes+in.InFlight > 0 })
	})
	if len(all) != 4 || all[0].FramesReceived != 4 || all[0].FramesSent < 5 || all[0].BytesSent < 100 ||
		all[1].FramesReceived != 1 || all[0].LastRead.Before(all[0].Since) {
		t.Fatalf("%+v", all)
	}
	uids := func(q SessionSearch) (uids []uint64, total int) {
		list, total, totals := s.gw.FindSessions(q)
		if totals != (SessionTotals{Sessions: 4, Live: 3, NotLoggedIn: 1}) {
			t.Errorf("%+v: in all %+v", q, totals)
		}
		for _, in := range list {
			uids = append(uids, in.UID)
		}
		return uids, total
	}
	first := all[0].UID
	for _, c := range []struct {
		q     SessionSearch
		want  []uint64 // from the first uid on
		total int
	}{
		{SessionSearch{Limit: 10}, []uint64{0, 1, 2, 3}, 4},
		{SessionSearch{Limit: 2}, []uint64{0, 1}, 4},
		{SessionSearch{Limit: 2, After: first + 1}, []uint64{2, 3}, 4},
		{SessionSearch{Limit: 2, Descending: true}, []uint64{3, 2}, 4},
		{SessionSearch{Limit: 10, Account: alice}, []uint64{0, 1}, 2},
		{SessionSearch{Limit: 10, State: NotLoggedIn}, []uint64{3}, 1},
		{SessionSearch{Limit: 10, State: Live}, []uint64{0, 1, 2}, 3},
		{SessionSearch{Limit: 10, State: CatchingUp}, nil, 0},
		{SessionSearch{Limit: 10, MinWaiting: 1}, nil, 0},
		{SessionSearch{Limit: 1, By: ByFramesReceived, Descending: true}, []uint64{0}, 4},
		{SessionSearch{Limit: 1, By: ByAccount, Descending: true}, []uint64{2}, 4},
		{SessionSearch{Limit: 4, By: ByAccount}, []uint64{3, 0, 1, 2}, 4},
		{SessionSearch{Limit: 10, Remote: all[1].Remote}, []uint64{1}, 1},
		{SessionSearch{Limit: 10, Remote: "127.0.0."}, []uint64{0, 1, 2, 3}, 4},
		{SessionSearch{Limit: 10, Remote: "192."}, nil, 0},
		{SessionSearch{}, nil, 4},
	} {
		for i := range c.want {
			c.want[i] += first
		}
		if got, total := uids(c.q); !slices.Equal(got, c.want) || total != c.total {
			t.Errorf("%+v: %v of %d, want %v of %d", c.q, got, total, c.want, c.total)
		}
	}
	if !strings.HasPrefix(all[0].Remote, "127.0.0.1:") {
		t.Errorf("from %s", all[0].Remote)
	}
}
