package conformance

import (
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// TestHeartbeat runs a server that sends a heartbeat every 300 ms.
func TestHeartbeat(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	const interval = 300 * time.Millisecond
	srv := start(t, "--heartbeat", "300ms")
	t.Run("a quiet session is pinged and lives as long as it answers", func(t *testing.T) {
		t.Parallel()
		s := open(t, srv, firstAccount)
		if s.welcome.HeartbeatMs != 300 {
			t.Fatalf("heartbeat_ms %d, want 300", s.welcome.HeartbeatMs)
		}
		s.churn(2)
		for s.pings < 8 { // twice as long as the server waits for a silent client
			f, err := s.receive()
			if err != nil || f.kind != kPing {
				t.Fatalf("got %v, error %v; want PING", f, err)
			}
			s.write(appendFrame(nil, kPong, flagReply, f.id, encode(&pb.Pong{})))
		}
		s.alive()
	})
	t.Run("a silent session is pinged and cut", func(t *testing.T) {
		t.Parallel()
		s := open(t, srv, firstAccount+1)
		for {
			f, err := s.receive()
			if err != nil {
				t.Fatalf("the connection ended with %v after %d pings, want GOODBYE IDLE first", err, s.pings)
			}
			if g, ok := f.body.(*pb.Goodbye); ok {
				if g.Reason != pb.GoodbyeReason_GOODBYE_REASON_IDLE || s.pings == 0 {
					t.Fatalf("GOODBYE {%v} after %d pings, want IDLE after some", g, s.pings)
				}
				break
			}
		}
		s.eof()
	})
	t.Run("a talking client is not cut", func(t *testing.T) {
		t.Parallel()
		s := open(t, srv, firstAccount+2)
		for range 10 {
			s.churn(2)
			time.Sleep(interval / 2)
		}
		s.alive()
	})
	t.Run("before login the server does not ping", func(t *testing.T) {
		t.Parallel()
		s := dial(t, srv)
		for range 10 { // the judge allows no heartbeat before login
			s.ping()
			time.Sleep(interval / 2)
		}
		s.login(firstAccount+3, snapshot)
		s.alive()
	})
}

// TestLoginTimeout connects and does not log in.
func TestLoginTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 s")
	}
	t.Parallel()
	srv := sharedServer(t)
	silent, talking, refused, fine := dial(t, srv), dial(t, srv), dial(t, srv), dial(t, srv)
	unknown := refused.answer(refused.send(kLogin, &pb.Login{Account: 1}))
	refused.rejected(unknown, pb.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
	time.Sleep(3 * time.Second)
	talking.ping() // still open, but talking does not extend the limit
	fine.login(newAccount(), snapshot)
	for name, s := range map[string]*session{"silent": silent, "talking": talking, "refused once": refused} {
		t.Run(name, func(t *testing.T) {
			s.on(t)
			s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT)
		})
	}
	t.Run("logged in at last", func(t *testing.T) { fine.on(t).alive() })
}

// TestSubscribe switches quotes on and off.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	list := s.ask(kInstruments, &pb.InstrumentsRequest{}).body.(*pb.Instruments).Instruments
	s.alive()
	if len(s.quotes) != 0 {
		t.Fatalf("%d quotes came without a subscription", len(s.quotes))
	}
	t.Run("on: all current quotes come once", func(t *testing.T) {
		s.on(t)
		if r := s.ask(kSubscribe, &pb.Subscribe{Quotes: true}).body.(*pb.Subscribed); !r.Quotes || r.Presence {
			t.Errorf("subscribed {%v}, want quotes only", r)
		}
		for len(s.quotes) < len(list) {
			s.step()
		}
		for _, in := range list {
			if price := s.quotes[instrument{in.Market, in.Code}]; price != in.Price {
				t.Errorf("%s.%s is quoted at %d, want %d", in.Market, in.Code, price, in.Price)
			}
		}
	})
	t.Run("off", func(t *testing.T) {
		s.on(t)
		if r := s.ask(kSubscribe, &pb.Subscribe{}).body.(*pb.Subscribed); r.Quotes || r.Presence {
			t.Errorf("subscribed {%v}, want nothing", r)
		}
		s.alive()
	})
	t.Run("trading goes on with quotes", func(t *testing.T) {
		s.on(t)
		s.ask(kSubscribe, &pb.Subscribe{Quotes: true})
		s.churn(10)
		s.holdings()
	})
}

// TestByteByByte sends a whole session one byte at a time.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	s := dial(t, sharedServer(t))
	s.account = newAccount()
	drip := func(b []byte) {
		for i := range b {
			s.write(b[i : i+1])
		}
	}
	b, login := s.request(nil, kLogin, &pb.Login{Account: s.account, Client: "drip"})
	drip(b)
	if f := s.answer(login); f.kind != kLoginReply {
		t.Fatalf("got %v, want a login reply", f)
	}
	b, order := s.request(nil, kOrder, named(buy("SZ", "000001", 100), "drip"))
	b, ping := s.request(b, kPing, &pb.Ping{})
	b, holdings := s.request(b, kHoldings, &pb.HoldingsRequest{})
	drip(b)
	for id, want := range map[uint64]kind{order: kExecution, ping: kPong, holdings: kHoldingsReply} {
		if f := s.answer(id); f.kind != want {
			t.Errorf("got %v, want type %d", f, want)
		}
	}
	s.alive()
}

// TestGlued sends fifty frames of all kinds in one write.
func TestGlued(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	var b []byte
	var ids []uint64
	var wants []kind
	add := func(k kind, payload []byte, want kind) {
		var id uint64
		b, id = s.requestBytes(b, k, payload)
		ids, wants = append(ids, id), append(wants, want)
	}
	for i := range 10 {
		add(kOrder, encode(buy("SZ", "000001", int64(i+1))), kExecution)
		add(kHoldings, nil, kHoldingsReply)
		add(kPing, nil, kPong)
		add(kOrder, encode(buy("SZ", "000001", 0)), kReject)
		add([]kind{kHistory, kInstruments}[i%2], nil, []kind{kHistoryReply, kInstrumentsReply}[i%2])
	}
	if len(ids) != 50 {
		t.Fatalf("%d frames", len(ids))
	}
	before := s.cursor
	s.write(b)
	var ordered []uint64 // answers of the book, in the order in which they came
	for range ids {
		f, err := s.tryNext()
		if err != nil {
			t.Fatal(err)
		}
		if f.kind == kExecution || f.kind == kHoldingsReply {
			ordered = append(ordered, f.id)
		}
		for i, id := range ids {
			if f.id == id && f.kind != wants[i] {
				t.Errorf("request %d of the fifty was answered %v, want type %d", i+1, f, wants[i])
			}
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("%d of fifty were not answered", len(s.asked))
	}
	for i := 1; i < len(ordered); i++ {
		if ordered[i] < ordered[i-1] {
			t.Errorf("request %d was answered before %d, want orders and lists in the order sent", ordered[i-1],
				ordered[i])
		}
	}
	if s.cursor != before+10 {
		t.Errorf("%d orders were executed, want 10", s.cursor-before)
	}
	s.alive()
}

// TestCutOff ends connections in the middle of an order, which is then not executed.
func TestCutOff(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	witness := open(t, srv, account)
	for _, sent := range []int{0, 1, 3, 4, 15, 16, 17} {
		s := open(t, srv, account)
		s.write(appendFrame(nil, kOrder, 0, 5, encode(buy("SZ", "000001", 1)))[:sent])
		s.close()
	}
	witness.alive()
	if h := witness.holdings(); h.StateHash != witness.reply.Holdings.StateHash {
		t.Errorf("state hash %#x, want %#x", h.StateHash, witness.reply.Holdings.StateHash)
	}
}
