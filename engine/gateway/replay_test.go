package gateway

import (
	"fmt"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// TestStalledReader has one session of an account stop reading while another one trades. The trader is not held up. The
// stalled one is cut when its outbox is full, resumes, and has missed nothing.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	s := start(t, smallOutboxes)
	stalled, trader := s.lazy(t, alice), s.user(t, alice)
	trader.trade(2000) // all answered, though the first session does not read
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

// TestReplayJoinsLive replays 4,000 events through small buffers. Meanwhile another session trades, and the replaying
// one sends orders and queries.
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
	c := &replaying{peer: p, head: r.GetHeadSeq(), orders: make(map[uint64]string), pings: make(map[uint64]bool)}
	c.request(own)
	trader.trade(live)
	trader.until(1 + history + live + own) // all of them happened while the replay waits for its reader

	for p.seq < 1+history+live+own || len(c.pings) > 0 || c.holdings != 0 {
		c.take(p.frame())
	}
	if len(c.orders) != 0 || c.replayed != 1+history {
		t.Errorf("%d orders unanswered, %d events with REPLAY; want 0 and %d", len(c.orders), c.replayed, 1+history)
	}
	p.trade(10) // live now
	trader.until(p.seq)
	p.alive()
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight, want 0", n)
	}
	if n := s.gw.Stats().CutOutbox.Load(); n != 0 {
		t.Errorf("%d sessions cut, want none: a replay must not fill its own outbox", n)
	}
}

// replaying is a client that catches up, and sends requests meanwhile.
type replaying struct {
	*peer
	head     uint64            // of the answer to its login, up to which events are a replay
	orders   map[uint64]string // not answered yet: the client order id by request id
	pings    map[uint64]bool   // not answered yet, by request id
	holdings uint64            // the request id of the query for holdings; 0: answered
	replayed int               // events that came with REPLAY
}

// request sends n orders, each with a PING behind it, and at last a query for holdings.
func (c *replaying) request(n int) {
	var b []byte
	for range n {
		c.id++
		c.orders[c.id] = fmt.Sprintf("own %d", c.id)
		b = codec.Append(b, codec.TypeOrder, 0, c.id, &papertapev1.Order{
			Side: papertapev1.Side_SIDE_BUY, Market: "SZ", Code: "000001", Quantity: 100, ClientOrderId: c.orders[c.id],
		})
		b = c.peer.request(b, codec.TypePing)
		c.pings[c.id] = true
	}
	b = c.peer.request(b, codec.TypeHoldings)
	c.holdings = c.id
	c.write(b)
}

// take checks a frame: each answer comes once, and at its place in the sequence of events.
func (c *replaying) take(f codec.Frame) {
	c.t.Helper()
	switch f.Type {
	case codec.TypeExecution:
		if got := ordered(c.t, f); c.orders[f.ID] == "" || got != c.orders[f.ID] {
			c.t.Fatalf("EXECUTION id %d at seq %d is of order %q, want %q", f.ID, c.seq, got, c.orders[f.ID])
		}
		delete(c.orders, f.ID)
	case codec.TypeEvent:
		if got := ordered(c.t, f); got != "" {
			c.t.Fatalf("EVENT seq %d of the client's own order %q", c.seq, got)
		}
		replay := c.seq <= c.head
		if (f.Flags&codec.FlagReplay != 0) != replay || f.ID != 0 {
			c.t.Fatalf("EVENT seq %d flags %d id %d, where the reply's head_seq is %d", c.seq, f.Flags, f.ID, c.head)
		}
		if replay {
			c.replayed++
		}
	case codec.TypePong:
		if head := decoded(c.t, f, new(papertapev1.Pong)).GetHeadSeq(); !c.pings[f.ID] || head != c.seq {
			c.t.Fatalf("PONG id %d says that seq %d is the newest in this stream; it is %d", f.ID, head, c.seq)
		}
		delete(c.pings, f.ID)
		if len(c.pings) == 0 && c.seq > c.head {
			c.t.Fatalf("the replay was over before the last PONG, at seq %d: nothing was tried", c.seq)
		}
	case codec.TypeHoldingsReply:
		if h := decoded(c.t, f, new(papertapev1.Holdings)); f.ID != c.holdings || h.GetAsOfSeq() != c.seq {
			c.t.Fatalf("HOLDINGS id %d as of seq %d came after seq %d", f.ID, h.GetAsOfSeq(), c.seq)
		}
		c.holdings = 0
	default:
		c.t.Fatalf("%v %s", f.Type, says(f))
	}
}

// ordered is the client order id in an event, empty if it has none.
func ordered(t testing.TB, f codec.Frame) string {
	t.Helper()
	return decoded(t, f, new(papertapev1.AccountEvent)).GetTrade().GetClientOrderId()
}

// TestReplayUnderASmallCap replays more than the outbox holds, to a client that reads.
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

// TestHistoryDroppedUnderACursor has the memory tail drop events that a replay has still to send.
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
	r := back.login(alice, resume, p.seq)
	if !r.GetResynced() || r.GetMode() != snapshot || r.GetHeadSeq() != trader.seq {
		t.Errorf("LOGIN reply mode %v resynced %t head %d, want a snapshot at %d",
			r.GetMode(), r.GetResynced(), r.GetHeadSeq(), trader.seq)
	}
}
