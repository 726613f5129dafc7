package gateway

import (
	"fmt"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// TestStalledReader has one session of an account stop reading while another orders. The other waits for nothing; the first
// is cut at its cap, resumes, and has missed nothing.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	trader.trade(2000) // every one answered while the first does not read
	eventually(t, "the stalled one is gone", func() bool { return s.gw.Connections() == 1 })
	stalled.cut()
	if n := s.gw.Stats().CutOutbox.Load(); n != 1 {
		t.Errorf("%d sessions cut, want 1", n)
	}
	if stalled.seq >= trader.seq {
		t.Fatalf("the stalled one was cut after seq %d, and there were %d", stalled.seq, trader.seq)
	}
	back := s.peer(t)
	back.welcome()
	r := back.login(alice, resume, stalled.seq)
	if r.GetResynced() || r.GetMode() != resume || r.GetHeadSeq() != trader.seq {
		t.Fatalf("LOGIN reply %v", r)
	}
	back.until(trader.seq) // from stalled.seq+1, each once
	back.alive()
	trader.trade(2)
	back.until(trader.seq)
}

// TestReplayJoinsLive replays 4,000 events through small buffers, into which come live events of another session and
// orders and queries of the replaying one.
func TestReplayJoinsLive(t *testing.T) {
	t.Parallel()
	const history, live, own = 4000, 40, 40
	s := start(t, func(g *Config, _ *engine.Config) { g.SocketSendBufferBytes = 8 << 10 })
	trader := s.user(t, alice)
	trader.trade(history)

	p := s.peerWith(t, smallBuffers())
	p.welcome()
	r := p.login(alice, restart, 0)
	if r.GetHeadSeq() != history+1 || r.GetOldestSeq() != 1 {
		t.Fatalf("LOGIN reply %v", r)
	}
	executions, pongs := make(map[uint64]string), make(map[uint64]bool) // the former by order id
	var holdings uint64
	var b []byte
	for range own {
		p.id++
		executions[p.id] = fmt.Sprintf("own %d", p.id)
		b = codec.Append(b, codec.TypeOrder, 0, p.id, &papertapev1.Order{
			Side: papertapev1.Side_SIDE_BUY, Market: "SZ", Code: "000001", Quantity: 100, ClientOrderId: executions[p.id],
		})
		b = p.request(b, codec.TypePing)
		pongs[p.id] = true
	}
	b = p.request(b, codec.TypeHoldings)
	holdings = p.id
	p.write(b)
	trader.trade(live)
	trader.until(1 + history + live + own) // all of them happened while the replay waits for its reader

	const last = 1 + history + live + own
	replayed := 0
	for p.seq < last || len(pongs) > 0 || holdings != 0 {
		f := p.frame()
		switch f.Type {
		case codec.TypeExecution:
			if got := ordered(t, f); executions[f.ID] == "" || got != executions[f.ID] {
				t.Fatalf("EXECUTION id %d at seq %d is of order %q, want %q", f.ID, p.seq, got, executions[f.ID])
			}
			delete(executions, f.ID)
		case codec.TypeEvent:
			if got := ordered(t, f); got != "" {
				t.Fatalf("EVENT seq %d of the client's own order %q", p.seq, got)
			}
			replay := p.seq <= r.GetHeadSeq()
			if (f.Flags&codec.FlagReplay != 0) != replay || f.ID != 0 {
				t.Fatalf("EVENT seq %d flags %d id %d, where the reply's head_seq is %d", p.seq, f.Flags, f.ID, r.GetHeadSeq())
			}
			if replay {
				replayed++
			}
		case codec.TypePong:
			if head := decoded(t, f, new(papertapev1.Pong)).GetHeadSeq(); !pongs[f.ID] || head != p.seq {
				t.Fatalf("PONG id %d says that seq %d is the newest in this stream; it is %d", f.ID, head, p.seq)
			}
			delete(pongs, f.ID)
			if len(pongs) == 0 && p.seq > 1+history {
				t.Fatalf("the replay was over before the last PONG, at seq %d: nothing was tried", p.seq)
			}
		case codec.TypeHoldingsReply:
			if h := decoded(t, f, new(papertapev1.Holdings)); f.ID != holdings || h.GetAsOfSeq() != p.seq {
				t.Fatalf("HOLDINGS id %d as of seq %d came after seq %d", f.ID, h.GetAsOfSeq(), p.seq)
			}
			holdings = 0
		default:
			t.Fatalf("%v %s", f.Type, says(f))
		}
	}
	if len(executions) != 0 || replayed != 1+history {
		t.Errorf("%d orders unanswered, %d events with REPLAY; want 0 and %d", len(executions), replayed, 1+history)
	}
	p.trade(10) // live now
	trader.until(p.seq)
	p.alive()
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight, want 0", n)
	}
	if n := s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none: a replay does not trip its own cap", n)
	}
}

// ordered is the client's order id in an event, empty if there is none.
func ordered(t *testing.T, f codec.Frame) string {
	t.Helper()
	return decoded(t, f, new(papertapev1.AccountEvent)).GetTrade().GetClientOrderId()
}

// TestReplayUnderASmallCap replays more than the session's cap, to a client that reads.
func TestReplayUnderASmallCap(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.OutboxBytesMax = 16 << 10 })
	trader := s.user(t, alice)
	trader.trade(1000)
	p := s.lazy(t, bob)
	p.alive()
	p = s.peerWith(t, smallBuffers())
	p.welcome()
	p.login(alice, restart, 0)
	trader.trade(50)
	p.until(trader.seq)
	p.alive()
	if n := s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none", n)
	}
}

// TestManyReplaysAtOnce has sessions of all accounts resume while their accounts trade.
func TestManyReplaysAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	accounts := []uint64{alice, alice + 1, bob, bob + 1}
	var traders []*peer
	for _, account := range accounts {
		p := s.user(t, account)
		p.trade(500)
		traders = append(traders, p)
	}
	var replaying []*peer
	for i := range 32 {
		p := s.peer(t)
		p.welcome()
		p.login(accounts[i%len(accounts)], restart, 0)
		replaying = append(replaying, p)
		traders[i%len(accounts)].trade(20)
	}
	for i, p := range replaying {
		p.until(traders[i%len(accounts)].seq)
	}
}

// TestHistoryDroppedUnderACursor has the tail drop what a replay has still to send.
func TestHistoryDroppedUnderACursor(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.SocketSendBufferBytes = 8 << 10 })
	trader := s.user(t, alice)
	trader.trade(2000)
	p := s.peerWith(t, smallBuffers())
	p.welcome()
	p.login(alice, restart, 0)
	trader.trade(5000) // more than a tail holds
	p.cut()
	if n := s.gw.Stats().Lost.Load(); n != 1 {
		t.Errorf("%d sessions lost their history, want 1", n)
	}
	back := s.peer(t)
	back.welcome()
	if r := back.login(alice, resume, p.seq); !r.GetResynced() || r.GetMode() != snapshot || r.GetHeadSeq() != trader.seq {
		t.Errorf("LOGIN reply mode %v resynced %t head %d, want a snapshot at %d", r.GetMode(), r.GetResynced(), r.GetHeadSeq(), trader.seq)
	}
}
