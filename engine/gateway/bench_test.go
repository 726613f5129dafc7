package gateway

import (
	"cmp"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
)

// The allocations that these benchmarks report are the server's: their clients allocate nothing once they are set up.

// window sends the frames of n orders, and reads their answers.
type window struct {
	b    *testing.B
	conn *net.TCPConn
	out  []byte
	in   []byte
	n    int // orders
}

// newWindow logs in to the account; half of its n orders buy and half sell, so that any number of rounds can be
// executed. One order alone is refused or not by turns.
func newWindow(b *testing.B, s *server, account uint64, n int) *window {
	p := s.user(b, account)
	p.trade(2)
	return p.window(b, p.appendOrders(nil, max(n, 2)), n)
}

func (p *peer) window(b *testing.B, out []byte, n int) *window {
	if err := p.conn.SetDeadline(time.Time{}); err != nil { // a round can take as long as it likes
		b.Fatal(err)
	}
	return &window{b: b, conn: p.conn, out: out, in: make([]byte, 64<<10), n: n}
}

// round has all orders of the window executed.
func (w *window) round() {
	w.send(w.out)
	w.receive(w.n)
}

func (w *window) send(frames []byte) {
	if _, err := w.conn.Write(frames); err != nil {
		w.b.Fatal(err)
	}
}

// receive reads until n frames have come, all of them EXECUTION or EVENT, and nothing after.
func (w *window) receive(n int) {
	held := 0
	for n > 0 {
		m, err := w.conn.Read(w.in[held:])
		if err != nil {
			w.b.Fatal(err)
		}
		held += m
		at := 0
		for held-at >= codec.HeaderBytes {
			size := 4 + int(binary.BigEndian.Uint32(w.in[at:]))
			if held-at < size {
				break
			}
			if t := codec.Type(binary.BigEndian.Uint16(w.in[at+4:])); t != codec.TypeExecution && t != codec.TypeEvent {
				w.b.Fatalf("%v, want EXECUTION or EVENT", t)
			}
			at += size
			n--
		}
		held = copy(w.in, w.in[at:held])
	}
	if n != 0 || held != 0 {
		w.b.Fatalf("%d frames and %d bytes too many", -n, held)
	}
}

// orders runs n orders a round and reports per order.
func orders(b *testing.B, n int) {
	s := start(b, nil)
	w := newWindow(b, s, alice, n)
	for range 1000 / n { // buffers, pools and the tail have grown
		w.round()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		w.round()
	}
	b.StopTimer()
}

// BenchmarkOrderPipelined32 is orders of one client, thirty-two with each write; per order.
func BenchmarkOrderPipelined32(b *testing.B) { orders(b, 32) }

// BenchmarkOrderPipelined200 is orders of one client, two hundred with each write; per order.
func BenchmarkOrderPipelined200(b *testing.B) { orders(b, 200) }

// BenchmarkOrderRoundTrip is one order at a time; per order.
func BenchmarkOrderRoundTrip(b *testing.B) {
	s := start(b, nil)
	w := newWindow(b, s, alice, 1)
	half := len(w.out) / 2 // a purchase, then a sale, of the same length
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.send(w.out[i%2*half:][:half])
		w.receive(1)
	}
	b.StopTimer()
}

// BenchmarkPing is the network edge by itself: PING and PONG, 32 with each write; per PING.
func BenchmarkPing(b *testing.B) {
	s := start(b, nil)
	p := s.user(b, alice)
	var out []byte
	for range 32 {
		out = p.request(out, codec.TypePing)
	}
	if err := p.conn.SetDeadline(time.Time{}); err != nil {
		b.Fatal(err)
	}
	in := make([]byte, 32*len(codec.AppendPong(nil, p.id, 1)))
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += 32 {
		if _, err := p.conn.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p.conn, in); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

// BenchmarkPush1000Sessions is orders of one client, 32 with each write, each pushed to a thousand other sessions of
// its account and read by all; per push.
func BenchmarkPush1000Sessions(b *testing.B) {
	const sessions = 1000
	s := start(b, func(g *Config, e *engine.Config) {
		g.ConnectionsMax, g.ConnectionsPreloginMax, e.SessionsPerAccountMax = 2*sessions, 2*sessions, 2*sessions
	})
	w := newWindow(b, s, alice, 32)
	all := make([]*window, sessions)
	for i := range all {
		p := s.peer(b)
		p.welcome()
		p.login(alice, papertapev1.ResumeMode_RESUME_MODE_QUICK, 0)
		all[i] = p.window(b, nil, 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += sessions * w.n {
		w.round()
		for _, p := range all {
			p.receive(w.n)
		}
	}
	b.StopTimer()
}

// quoting is a round of quotes in which all prices move, to a hundred subscribers that read them; per subscriber.
func quoting(b *testing.B, instruments int, in *papertapev1.Subscribe) {
	const subscribers = 100
	u := many(b, instruments)
	feed := market.NewFeed(u, market.FeedConfig{})
	s := start(b, func(g *Config, e *engine.Config) {
		g.Universe, e.Universe, g.Prices, e.Prices = u, u, feed.Snapshot, feed.Snapshot
		e.SessionsPerAccountMax = 2 * subscribers
	})
	s.gw.Quote(feed.Snapshot())
	updates := make([]market.Update, instruments)
	move := func(now int64) *market.Prices {
		for i := range updates {
			updates[i] = market.Update{ID: market.ID(i), Time: now, Last: 100_0000 + now%2*100, Says: market.SaysLast}
		}
		return feed.Apply(now, updates, nil)
	}
	want := cmp.Or(len(in.GetCodes()), instruments)
	read := func(p *peer) {
		for n := 0; n < want; {
			n += len(decoded(p.t, p.expect(codec.TypeQuotes), new(papertapev1.Quotes)).GetQuotes())
		}
	}
	var all []*peer
	for range subscribers {
		p := s.user(b, alice)
		p.want(in)
		read(p)
		all = append(all, p)
	}
	b.ResetTimer()
	now := int64(0)
	for done := 0; done < b.N; done += subscribers {
		now++
		s.gw.Quote(move(now))
		for _, p := range all {
			read(p)
		}
	}
	b.StopTimer()
}

// BenchmarkQuote50 is plain quotes of fifty instruments to a hundred subscribers; per subscriber.
func BenchmarkQuote50(b *testing.B) { quoting(b, 50, &papertapev1.Subscribe{Quotes: true}) }

// BenchmarkQuoteDetail50 is the same in detail.
func BenchmarkQuoteDetail50(b *testing.B) {
	quoting(b, 50, &papertapev1.Subscribe{Quotes: true, Detail: true})
}

// BenchmarkQuoteCode is the quotes of one instrument of four thousand.
func BenchmarkQuoteCode(b *testing.B) {
	quoting(b, 4000, &papertapev1.Subscribe{Quotes: true, Codes: []string{"US.S00100"}})
}

// BenchmarkQuote4000 is plain quotes of four thousand instruments, in pieces.
func BenchmarkQuote4000(b *testing.B) { quoting(b, 4000, &papertapev1.Subscribe{Quotes: true}) }
