package gateway

import (
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

const (
	snapshot = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT
	resume   = papertapev1.ResumeMode_RESUME_MODE_RESUME
	restart  = papertapev1.ResumeMode_RESUME_MODE_RESTART
	quick    = papertapev1.ResumeMode_RESUME_MODE_QUICK

	notLoggedIn = papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN
	tooLarge    = papertapev1.RejectCode_REJECT_CODE_TOO_LARGE
	unknownType = papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE
	noSuchStock = papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT
)

func TestWelcomeComesFirst(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.Server, g.Heartbeat = "papertape test", 7*time.Second })
	seen := make(map[uint64]bool)
	for range 5 {
		p := s.peer(t)
		w := p.welcome()
		if w.GetUid() == 0 || seen[w.GetUid()] {
			t.Errorf("uid %d, want one that is not 0 and was not given before", w.GetUid())
		}
		seen[w.GetUid()] = true
		if w.GetProtocol() != 1 || w.GetServer() != "papertape test" || w.GetEpoch() != s.engine.Epoch() ||
			len(w.GetNonce()) != 0 || w.GetHeartbeatMs() != 7000 || w.GetMaxFrame() != 4096 {
			t.Errorf("WELCOME %v", w)
		}
	}
	if n := s.gw.Stats().Accepted.Load(); n != 5 {
		t.Errorf("%d connections accepted, want 5", n)
	}
	if n := s.gw.Connections(); n != 5 {
		t.Errorf("%d connections, want 5", n)
	}
}

// loginCase is a login to an account that is at sequence 11, and what has to come of it.
type loginCase struct {
	name   string
	mode   papertapev1.ResumeMode
	last   uint64
	epoch  uint64 // added to the server's
	want   papertapev1.ResumeMode
	resync bool
	replay uint64 // events
}

func (tt *loginCase) try(t *testing.T, s *server) {
	p := s.peer(t)
	p.welcome()
	p.epoch += tt.epoch
	r := p.login(alice, tt.mode, tt.last)
	if r.GetAccount() != alice || r.GetMode() != tt.want || r.GetResynced() != tt.resync || r.GetHeadSeq() != 11 ||
		r.GetOldestSeq() != 1 || r.GetEpoch() != s.engine.Epoch() || (r.GetHoldings() != nil) != (tt.want == snapshot) {
		t.Fatalf("LOGIN reply %v", r)
	}
	if h := r.GetHoldings(); h != nil && (h.GetAsOfSeq() != 11 || h.GetAccount() != alice) {
		t.Fatalf("holdings as of seq %d, want 11", h.GetAsOfSeq())
	}
	for range tt.replay {
		if f := p.expect(codec.TypeEvent); f.Flags != codec.FlagReplay {
			t.Fatalf("seq %d: flags %d, want REPLAY", p.seq, f.Flags)
		}
	}
	p.alive() // nothing else comes before the answer
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	trader := s.user(t, alice)
	trader.trade(10) // sequences 2 to 11
	for _, tt := range []loginCase{
		{name: "unspecified is snapshot", want: snapshot},
		{name: "snapshot", mode: snapshot, want: snapshot},
		{name: "quick", mode: quick, want: quick},
		{name: "restart", mode: restart, want: restart, replay: 11},
		{name: "resume", mode: resume, last: 4, want: resume, replay: 7},
		{name: "resume at the head", mode: resume, last: 11, want: resume},
		{name: "resume past the head", mode: resume, last: 12, want: snapshot, resync: true},
		{name: "resume of another epoch", mode: resume, last: 4, epoch: 1, want: snapshot, resync: true},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, s) })
	}
	if n := s.gw.Stats().Logins.Load(); n != 9 {
		t.Errorf("%d logins counted, want 9", n)
	}
	if n := s.gw.prelogin.Load(); n != 0 {
		t.Errorf("%d connections count as not logged in, want 0", n)
	}
}

func TestEveryEventOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	first, second, other := s.user(t, alice), s.user(t, alice), s.user(t, bob)
	first.trade(3)
	second.trade(2)
	other.trade(1)
	first.until(6)
	second.until(6)
	for _, p := range []*peer{first, second, other} {
		p.alive()
	}
	if first.seq != 6 || second.seq != 6 || other.seq != 2 {
		t.Errorf("sequences %d, %d and %d, want 6, 6 and 2", first.seq, second.seq, other.seq)
	}
}

func TestSecondLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.write(p.loginFrame(bob, quick, 0))
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN)
	p.trade(2)
}

func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	unknown := papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT
	t.Run("the third is the last", func(t *testing.T) {
		t.Parallel()
		s := start(t, nil)
		p := s.peer(t)
		p.welcome()
		for range 3 {
			p.write(p.loginFrame(7, quick, 0))
			if r := p.rejected(p.id, unknown); !strings.Contains(r.GetText(), "account 7") {
				t.Errorf("%q does not name the account", r.GetText())
			}
		}
		p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
		p.eof()
		if n := s.gw.Stats().LoginsRefused.Load(); n != 3 {
			t.Errorf("%d refused logins counted, want 3", n)
		}
	})
	t.Run("refused by the loop", func(t *testing.T) {
		t.Parallel()
		s := start(t, nil)
		p := s.peer(t)
		p.welcome()
		for range 3 {
			p.write(codec.Append(nil, codec.TypeLogin, 0, 0, &papertapev1.Login{Account: alice}))
			p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
		}
		p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
		p.eof()
	})
	t.Run("then one that succeeds", func(t *testing.T) {
		t.Parallel()
		s := start(t, nil)
		p := s.peer(t)
		p.welcome()
		p.write(p.loginFrame(7, quick, 0))
		p.rejected(p.id, unknown)
		p.write(codec.Append(nil, codec.TypeLogin, 0, 0, &papertapev1.Login{Account: alice}))
		p.rejected(0, papertapev1.RejectCode_REJECT_CODE_MALFORMED)
		p.login(alice, quick, 0)
		p.trade(2)
	})
}

func TestLoginTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.LoginTimeout = time.Hour })
	in := s.user(t, alice)
	p := s.peer(t)
	p.welcome()
	s.elapse(t, p, time.Hour/2)
	p.write(p.request(nil, codec.TypePing)) // does not extend the time
	p.expect(codec.TypePong)
	s.elapse(t, p, time.Hour/2)
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT)
	p.eof()
	if n := s.gw.Stats().LoginTimeouts.Load(); n != 1 {
		t.Errorf("%d login timeouts counted, want 1", n)
	}
	in.alive()
}

// TestLoginTimeoutWhileTheServerIsSlow has the deadline pass while the login waits for a commit.
func TestLoginTimeoutWhileTheServerIsSlow(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(g *Config, e *engine.Config) {
		g.LoginTimeout, e.Shards, e.Journal = time.Hour, 1, journal
	})
	in := s.user(t, alice)
	open := journal.shut(t)
	in.write(in.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	p := s.peer(t)
	p.welcome()
	p.write(p.loginFrame(bob, quick, 0))
	s.elapse(t, p, time.Hour)
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT)
	p.eof()
	open()
	in.executions(1)
	if n := s.gw.Stats().Logins.Load(); n != 1 {
		t.Errorf("%d logins counted, want 1", n)
	}
}

func TestBeforeLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	big := make([]byte, 600)
	for _, tt := range []struct {
		name string
		send []byte
		id   uint64
		code papertapev1.RejectCode
	}{
		{"ORDER", codec.Append(nil, codec.TypeOrder, 0, 9, &papertapev1.Order{}), 9, notLoggedIn},
		{"HOLDINGS", codec.Append(nil, codec.TypeHoldings, 0, 9, &papertapev1.HoldingsRequest{}), 9, notLoggedIn},
		{"SUBSCRIBE", codec.Append(nil, codec.TypeSubscribe, 0, 9, &papertapev1.Subscribe{}), 9, notLoggedIn},
		{"a type for servers", codec.Append(nil, codec.TypeWelcome, 0, 9, &papertapev1.Welcome{}), 9, notLoggedIn},
		{"an unknown type", codec.Append(nil, 99, 0, 9, &papertapev1.Ping{}), 9, notLoggedIn},
		{"the embedder's", codec.Append(nil, codec.TypeEmbedder, 0, 9, &papertapev1.Ping{}), 9, notLoggedIn},
		{"no room for a header", []byte{0, 0, 0, 11}, 0, malformed},
		{"length 0", []byte{0, 0, 0, 0}, 0, malformed},
		{"over 512", []byte{0, 0, 2, 1}, 0, tooLarge},
		{"a whole frame over 512",
			codec.Append(nil, codec.TypeLogin, 0, 9, &papertapev1.Login{Account: alice, Proof: big}), 0, tooLarge},
		{"the largest length", []byte{255, 255, 255, 255}, 0, tooLarge},
		{"no LOGIN in it", []byte{0, 0, 0, 13, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xff}, 9, malformed},
		{"no PING in it", []byte{0, 0, 0, 13, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xff}, 9, malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.gw.Stats().ProtocolErrors.Load()
			p := s.peer(t)
			p.welcome()
			p.write(tt.send)
			p.rejected(tt.id, tt.code)
			p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
			p.eof()
			if n := s.gw.Stats().ProtocolErrors.Load() - before; n != 1 {
				t.Errorf("%d protocol errors counted, want 1", n)
			}
		})
	}
}

// TestPingBeforeLogin: PING is answered before the login, and a PONG that answers no PING is ignored.
func TestPingBeforeLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.peer(t)
	p.welcome()
	p.write(codec.AppendPong(nil, 77, 0))
	p.write(p.request(nil, codec.TypePing))
	f := p.expect(codec.TypePong)
	head := decoded(t, f, new(papertapev1.Pong)).GetHeadSeq()
	if f.ID != p.id || f.Flags != codec.FlagReply || head != 0 {
		t.Errorf("PONG id %d flags %d head %d, want id %d, REPLY, head 0", f.ID, f.Flags, head, p.id)
	}
	p.login(alice, quick, 0)
	p.alive()
}

// TestTwoLoginsAtOnce sends the second LOGIN before the first is answered.
func TestTwoLoginsAtOnce(t *testing.T) {
	t.Parallel()
	journal := newGatedJournal()
	s := start(t, func(_ *Config, e *engine.Config) { e.Shards, e.Journal = 1, journal })
	in := s.user(t, alice)
	open := journal.shut(t)
	in.write(in.appendOrder(nil))
	eventually(t, "the order is being committed", journal.committing)
	p := s.peer(t)
	p.welcome()
	p.write(append(p.loginFrame(bob, quick, 0), p.loginFrame(bob, quick, 0)...))
	eventually(t, "the second has come", func() bool { return s.gw.Stats().ProtocolErrors.Load() == 1 })
	open()
	p.expect(codec.TypeLoginReply)
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
	p.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	p.eof()
	in.executions(1)
}

// orderFrame is an ORDER with request id 9.
func orderFrame(side papertapev1.Side, code string, quantity int64) []byte {
	return codec.Append(nil, codec.TypeOrder, 0, 9, &papertapev1.Order{
		Side: side, Market: "SZ", Code: code, Quantity: quantity,
	})
}

func TestAfterLogin(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	for _, tt := range []struct {
		name string
		send []byte
		id   uint64
		code papertapev1.RejectCode
	}{
		{"an unknown type", codec.Append(nil, 99, 0, 9, &papertapev1.Ping{}), 9, unknownType},
		{"a gap of the table", codec.Append(nil, 8, 0, 9, &papertapev1.Ping{}), 9, unknownType},
		{"type 0", codec.Append(nil, 0, 0, 9, &papertapev1.Ping{}), 9, unknownType},
		{"the embedder's", codec.Append(nil, codec.TypeEmbedder, 0, 9, &papertapev1.Ping{}), 9, unknownType},
		{"EVENT", codec.Append(nil, codec.TypeEvent, 0, 9, &papertapev1.AccountEvent{}), 9, malformed},
		{"EXECUTION", codec.Append(nil, codec.TypeExecution, 0, 9, &papertapev1.AccountEvent{}), 9, malformed},
		{"GOODBYE", codec.Append(nil, codec.TypeGoodbye, 0, 9, &papertapev1.Goodbye{}), 9, malformed},
		{"id 0", codec.Append(nil, codec.TypeOrder, 0, 0, &papertapev1.Order{}), 0, malformed},
		{"PING with id 0", codec.Append(nil, codec.TypePing, 0, 0, &papertapev1.Ping{}), 0, malformed},
		{"side 3", orderFrame(3, "000001", 100), 9, malformed},
		{"quantity 0", orderFrame(1, "000001", 0), 9, papertapev1.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"no such instrument", orderFrame(1, "1", 100), 9, noSuchStock},
		{"more than it holds", orderFrame(2, "000001", 100), 9, papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES},
		{"INSTRUMENTS of none",
			codec.Append(nil, codec.TypeInstruments, 0, 9, &papertapev1.InstrumentsRequest{Codes: []string{"SZ.1"}}), 9,
			noSuchStock},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := *p
			p.t = t
			p.write(tt.send)
			p.rejected(tt.id, tt.code)
			p.alive()
		})
	}
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests count as in flight, want 0", n)
	}
	if n := s.gw.Stats().ProtocolErrors.Load(); n != 0 {
		t.Errorf("%d protocol errors counted, want 0", n)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	p.trade(3)
	p.write(p.request(nil, codec.TypeHoldings))
	f := p.expect(codec.TypeHoldingsReply)
	if h := decoded(t, f, new(papertapev1.Holdings)); f.ID != p.id || f.Flags != codec.FlagReply ||
		h.GetAsOfSeq() != 4 || len(h.GetPositions()) != 1 {
		t.Errorf("HOLDINGS id %d flags %d: %v", f.ID, f.Flags, h)
	}
	p.id++
	p.write(codec.Append(nil, codec.TypeHistory, 0, p.id, &papertapev1.HistoryRequest{BeforeSeq: 4, Limit: 2}))
	f = p.expect(codec.TypeHistoryReply)
	if h := decoded(t, f, new(papertapev1.History)); f.ID != p.id || len(h.GetEvents()) != 2 ||
		h.GetEvents()[0].GetSeq() != 3 || h.GetOldestSeq() != 1 {
		t.Errorf("HISTORY id %d: %v", f.ID, h)
	}
	p.write(p.request(nil, codec.TypeInstruments))
	f = p.expect(codec.TypeInstrumentsReply)
	in := decoded(t, f, new(papertapev1.Instruments))
	if f.ID != p.id || len(in.GetInstruments()) != s.gw.cfg.Universe.Len() {
		t.Errorf("INSTRUMENTS id %d: %d of them, want all %d", f.ID, len(in.GetInstruments()), s.gw.cfg.Universe.Len())
	}
	eventually(t, "nothing is in flight", func() bool { return s.sessionOf(t, p).engine.InFlight() == 0 })
}

// TestHeartbeat has one client that answers nothing, and one that answers.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	silent, answering := s.user(t, alice), s.user(t, bob)
	answering.trade(1)
	pings := make(map[uint64]bool)
	for range 6 { // twice as long as a silent client is given
		s.elapse(t, answering, time.Hour)
		f := answering.expect(codec.TypePing)
		head := decoded(t, f, new(papertapev1.Ping)).GetHeadSeq()
		if f.ID == 0 || pings[f.ID] || f.Flags != 0 || head != 2 {
			t.Errorf("PING id %d flags %d head %d, want a fresh id, no flags, head 2", f.ID, f.Flags, head)
		}
		pings[f.ID] = true
		answering.write(codec.AppendPong(nil, f.ID, 0))
	}
	for range 2 {
		s.elapse(t, silent, time.Hour)
		silent.expect(codec.TypePing)
	}
	s.elapse(t, silent, time.Hour)
	silent.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE)
	silent.eof()
}

// TestHeartbeatBeginsWithTheLogin has a heartbeat far shorter than the time that a client has to log in.
func TestHeartbeatBeginsWithTheLogin(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.Heartbeat, g.LoginTimeout = time.Second, time.Hour })
	s.user(t, alice).expect(codec.TypePing)
}

// TestIdleGoodbye: a client that falls silent after the login gets GOODBYE IDLE.
func TestIdleGoodbye(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) { g.Heartbeat = 100 * time.Millisecond })
	p := s.user(t, alice)
	f := p.frame()
	for ; f.Type == codec.TypePing; f = p.frame() {
	}
	bye := decoded(t, f, new(papertapev1.Goodbye))
	if bye.GetReason() != papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE {
		t.Errorf("%v %s, want GOODBYE IDLE", f.Type, says(f))
	}
	p.eof()
	if n := s.gw.Stats().Idle.Load(); n != 1 {
		t.Errorf("%d idle sessions counted, want 1", n)
	}
}

// TestRequestsKeepAClientIn has a client that answers no PING, but sends requests.
func TestRequestsKeepAClientIn(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	for range 6 { // twice as long as a silent client is given
		s.elapse(t, p, time.Hour)
		p.write(p.request(nil, codec.TypeHoldings))
		for f := p.frame(); f.Type != codec.TypeHoldingsReply; f = p.frame() {
			if f.Type != codec.TypePing {
				t.Fatalf("%v %s, want HOLDINGS", f.Type, says(f))
			}
		}
	}
	if n := s.gw.Stats().Idle.Load(); n != 0 {
		t.Errorf("%d idle sessions counted, want 0", n)
	}
}
