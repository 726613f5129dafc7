package gateway

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

func TestFramesByteByByte(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.peer(t)
	p.welcome()
	slowly := func(b []byte) {
		for i := range b {
			p.write(b[i : i+1])
		}
	}
	slowly(p.loginFrame(alice, quick, 0))
	p.expect(codec.TypeLoginReply)
	p.account, p.seq = alice, 1
	slowly(p.appendOrders(nil, 2))
	p.executions(2)
}

// TestFramesGlued sends fifty requests of all kinds with one write.
func TestFramesGlued(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	want := make(map[uint64]codec.Type)
	var b []byte
	for i := range 50 {
		types := []struct{ request, reply codec.Type }{
			{codec.TypeOrder, codec.TypeExecution}, {codec.TypePing, codec.TypePong},
			{codec.TypeHoldings, codec.TypeHoldingsReply},
			{codec.TypeHistory, codec.TypeHistoryReply}, {codec.TypeSubscribe, codec.TypeSubscribed},
		}[i%5]
		if types.request == codec.TypeOrder {
			b = p.appendOrder(b)
		} else {
			b = p.request(b, types.request)
		}
		want[p.id] = types.reply
	}
	p.write(b)
	for range 50 {
		f := p.frame()
		if want[f.ID] != f.Type {
			t.Fatalf("%v %s answers id %d, want %v", f.Type, says(f), f.ID, want[f.ID])
		}
		delete(want, f.ID)
	}
}

// TestFramesSplit sends two frames in two writes, split at every byte.
func TestFramesSplit(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	two := func() []byte { return p.request(p.appendOrder(nil), codec.TypePing) }
	for at := 1; at < len(two()); at++ {
		p.orders = at - 1 // the condition of the loop made two() count once too often
		b := two()
		p.write(b[:at])
		if at%8 == 0 {
			time.Sleep(time.Millisecond) // so that the server sometimes reads the parts apart
		}
		p.write(b[at:])
		answered := map[codec.Type]int{p.frame().Type: 1}
		answered[p.frame().Type]++
		if answered[codec.TypeExecution] != 1 || answered[codec.TypePong] != 1 {
			t.Fatalf("split at %d: answers %v", at, answered)
		}
	}
}

// TestLargestFrames sends frames of the largest length that is allowed, and one byte more.
func TestLargestFrames(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	pad := func(b []byte, length int) []byte { // an unknown field 15, bytes
		const header = 4
		n := length + header - len(b) - 3
		b = append(b, 15<<3|2, byte(n&0x7f|0x80), byte(n>>7))
		b = append(b, make([]byte, n)...)
		binary.BigEndian.PutUint32(b, uint32(len(b)-header))
		return b
	}
	p := s.peer(t)
	p.welcome()
	p.write(pad(p.loginFrame(alice, quick, 0), codec.LimitBeforeLogin))
	p.expect(codec.TypeLoginReply)
	p.account, p.seq = alice, 1
	p.write(pad(p.appendOrder(nil), codec.LimitAfterLogin))
	p.expect(codec.TypeExecution)
	p.write(pad(p.appendOrder(nil), codec.LimitAfterLogin+1))
	p.rejected(0, papertapev1.RejectCode_REJECT_CODE_TOO_LARGE)
	p.goodbye(protocol)
	p.eof()
}

// attack returns bytes that look like frames: some are random, some are good ones with a bit changed.
func attack(rng *rand.Rand, p *peer) []byte {
	var b []byte
	for range 1 + rng.IntN(8) {
		at := len(b)
		switch rng.IntN(6) {
		case 0:
			b = p.appendOrder(b)
		case 1:
			account, mode := uint64(alice+rng.IntN(3)), papertapev1.ResumeMode(rng.IntN(6))
			b = append(b, p.loginFrame(account, mode, rng.Uint64N(20))...)
		case 2:
			b = p.request(b, codec.Type(rng.IntN(40)))
		case 3:
			b = p.request(b, codec.Type(rng.Uint32()))
		case 4: // a good header before garbage
			n := rng.IntN(64)
			b = binary.BigEndian.AppendUint32(b, uint32(12+n))
			b = binary.BigEndian.AppendUint16(b, uint16(rng.IntN(40)))
			b = binary.BigEndian.AppendUint16(b, uint16(rng.IntN(4)))
			b = binary.BigEndian.AppendUint64(b, rng.Uint64N(3))
			for range n {
				b = append(b, byte(rng.Uint32()))
			}
		case 5:
			for range rng.IntN(40) {
				b = append(b, byte(rng.Uint32()))
			}
		}
		if rng.IntN(3) == 0 && len(b) > at {
			b[at+rng.IntN(len(b)-at)] ^= 1 << rng.IntN(8)
		}
	}
	return b
}

// TestRandomFrames sends ten thousand random and mutated frames, on connections logged in and not.
func TestRandomFrames(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := start(t, nil)
	honest := s.user(t, bob)
	for frames := 0; frames < 10_000; {
		p := s.peer(t)
		p.welcome()
		if rng.IntN(4) > 0 {
			p.login(alice, quick, 0)
		}
		for range 1 + rng.IntN(5) {
			b := attack(rng, p)
			frames += 4
			if err := p.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := p.conn.Write(b); err != nil {
				break // ended already
			}
		}
		if rng.IntN(2) == 0 {
			_ = p.conn.SetLinger(0)
		}
		_ = p.conn.Close()
		if rng.IntN(50) == 0 {
			honest.trade(2)
		}
	}
	eventually(t, "the attackers are gone", func() bool { return s.gw.Connections() == 1 })
	honest.trade(2)
	s.user(t, alice).trade(2)
	if n := s.gw.Stats().Panics.Load() + s.engine.Stats().Panics; n != 0 {
		t.Errorf("%d panics contained, want none", n)
	}
	if n := s.gw.Stats().ProtocolErrors.Load(); n == 0 {
		t.Error("there was no protocol error: nothing was tried")
	}
}

// FuzzTraffic feeds bytes to a live server, in two writes, logged in or not.
func FuzzTraffic(f *testing.F) {
	s := start(f, nil)
	example := &peer{t: f}
	f.Add(example.appendOrder(nil), true, uint16(3))
	f.Add(example.loginFrame(alice, restart, 0), false, uint16(0))
	f.Add(example.request(nil, codec.TypeHoldings), true, uint16(9))
	f.Add([]byte{0, 0, 0, 12, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, false, uint16(1))
	honest := s.user(f, bob)
	f.Fuzz(func(t *testing.T, b []byte, login bool, at uint16) {
		d := net.Dialer{Timeout: patience}
		c, err := d.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, conn: c.(*net.TCPConn)}
		defer func() { _ = p.conn.Close() }()
		p.welcome()
		if login {
			p.login(alice, quick, 0)
		}
		split := min(int(at), len(b))
		if _, err := p.conn.Write(b[:split]); err == nil {
			_, _ = p.conn.Write(b[split:]) // either fails if the server has ended the connection
		}
		_ = p.conn.CloseWrite()
		for {
			_, err := p.next()
			var bad *codec.Error
			if errors.As(err, &bad) {
				t.Fatalf("the server sent what is no frame: %v", bad)
			}
			if err != nil {
				break
			}
		}
		honest.t = t
		honest.alive()
		if n := s.gw.Stats().Panics.Load() + s.engine.Stats().Panics; n != 0 {
			t.Fatalf("%d panics contained", n)
		}
	})
}
