package load_test

import (
	"net"
	"sync"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// script is a small server that behaves correctly except for its fault.
type script struct {
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// fault changes the answer to the n-th request of a connection. It may change the reply, or
// drop it by returning false.
type fault func(n int, t codec.Type, id *uint64, ev *papertapev1.AccountEvent) bool

func newScript(t *testing.T, f fault) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{listener: ln}
	s.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.all.Go(func() { (&scripted{conn: c, fault: f}).serve() })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.all.Wait()
	})
	return s
}

func (s *script) addr() string { return s.listener.Addr().String() }

// scripted is one connection, with an account of its own.
type scripted struct {
	conn    net.Conn
	fault   fault
	account uint64
	seq     uint64
	have    int64
	n       int
}

func (s *scripted) serve() {
	s.send(codec.AppendWelcome(nil, &papertapev1.Welcome{Uid: 1, Protocol: 1, Epoch: 1, HeartbeatMs: 60_000,
		MaxFrame: 4096}))
	var in []byte
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for {
			f, n, err := codec.Cut(in, codec.LimitAfterLogin)
			if err != nil || n == 0 {
				break
			}
			s.answer(&f)
			in = in[n:]
		}
	}
}

func (s *scripted) send(b []byte) { _, _ = s.conn.Write(b) }

func (s *scripted) answer(f *codec.Frame) {
	switch f.Type {
	case codec.TypeLogin:
		var m papertapev1.Login
		_ = codec.Unmarshal(f.Payload, &m)
		s.account, s.seq, s.have = m.GetAccount(), 7, 300
		s.send(codec.Append(nil, codec.TypeLoginReply, codec.FlagReply, f.ID, &papertapev1.LoginReply{
			Account: s.account, HeadSeq: s.seq, Epoch: 1, Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT,
			Holdings: s.holdings()}))
	case codec.TypeHoldings:
		s.send(codec.Append(nil, codec.TypeHoldingsReply, codec.FlagReply, f.ID, s.holdings()))
	case codec.TypeOrder:
		s.order(f)
	}
}

func (s *scripted) holdings() *papertapev1.Holdings {
	return &papertapev1.Holdings{Account: s.account, AsOfSeq: s.seq, Positions: []*papertapev1.Position{
		{Market: "SZ", Code: "000001", Quantity: s.have}, {Market: "SH", Code: "600519", Quantity: 100}}}
}

func (s *scripted) order(f *codec.Frame) {
	var m papertapev1.Order
	_ = codec.Unmarshal(f.Payload, &m)
	s.seq++
	s.n++
	if s.have += m.GetQuantity(); m.GetSide() == papertapev1.Side_SIDE_SELL {
		s.have -= 2 * m.GetQuantity()
	}
	ev := &papertapev1.AccountEvent{Account: s.account, Seq: s.seq, Time: 1,
		What: &papertapev1.AccountEvent_Trade{Trade: &papertapev1.Trade{
			Side: m.GetSide(), Market: m.GetMarket(), Code: m.GetCode(), Quantity: m.GetQuantity()}},
		Positions: []*papertapev1.Position{{Market: m.GetMarket(), Code: m.GetCode(), Quantity: s.have}}}
	if id := f.ID; s.fault == nil || s.fault(s.n, f.Type, &id, ev) {
		if s.fault == nil {
			id = f.ID
		}
		s.send(codec.Append(nil, codec.TypeExecution, codec.FlagReply, id, ev))
	}
}
