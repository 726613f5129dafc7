package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// seed returns the seed of this run's random inputs: fixed, or PAPERTAPE_SEED.
func seed(t testing.TB) uint64 {
	t.Helper()
	value := uint64(20_240_229)
	if text := os.Getenv("PAPERTAPE_SEED"); text != "" {
		var err error
		if value, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("PAPERTAPE_SEED: %v", err)
		}
	}
	t.Logf("PAPERTAPE_SEED=%d", value)
	return value
}

// TestHostile sends ten thousand random malformed frames over many connections. All that comes back
// is well formed. Afterwards the server answers, and every account's list follows from its history.
func TestHostile(t *testing.T) {
	t.Parallel()
	const workers = 8
	frames := 10_000 / workers
	if testing.Short() {
		frames /= 10
	}
	srv := start(t)
	value := seed(t)
	parts := make([]func(t testing.TB), workers)
	for w := range parts {
		parts[w] = func(t testing.TB) {
			a := attacker{Rand: rand.New(rand.NewPCG(value, uint64(w)))}
			for sent := 0; sent < frames; {
				sent += a.attack(t, srv, 1+a.IntN(8))
			}
		}
	}
	together(t, parts...)
	t.Run("a fresh client is served", func(t *testing.T) {
		s := open(t, srv, lastAccount)
		s.execute(buy("SZ", "000001", 100))
		s.holdings()
		s.execute(sell("SZ", "000001", 100))
		s.holdings()
	})
	t.Run("every account's list follows from its history", func(t *testing.T) {
		traded := 0
		for account := uint64(firstAccount); account <= lastAccount; account++ {
			now, replay := open(t, srv, account), dial(t, srv)
			r := replay.login(account, restart)
			if r.OldestSeq != 1 {
				t.Fatalf("account %d: oldest_seq %d, want 1", account, r.OldestSeq)
			}
			replay.until(r.HeadSeq)
			if err := replay.book.agrees(now.reply.Holdings); err != nil {
				t.Fatalf("account %d: %v", account, err)
			}
			for _, a := range replay.events {
				if a.event.GetTrade().GetOrigin() == pb.Origin_ORIGIN_CLIENT {
					traded++
				}
			}
			now.close()
			replay.close()
		}
		t.Logf("%d orders among the malformed frames were executed", traded)
		if traded < 3 {
			t.Errorf("%d orders were executed: the attack did not reach the books", traded)
		}
	})
}

// attacker makes malformed frames.
type attacker struct{ *rand.Rand }

// attack opens a connection, logs in or not, sends n malformed frames, and reads until the
// connection ends. It returns n.
func (a attacker) attack(t testing.TB, srv *server, n int) int {
	t.Helper()
	socket, err := net.DialTimeout("tcp", srv.listen, patience)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = socket.Close() }()
	if err := socket.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(socket)
	f, err := readFrame(in)
	if err != nil || f.kind != kWelcome {
		t.Fatalf("the first frame is %v, error %v; want WELCOME", f, err)
	}
	if a.IntN(10) < 8 {
		a.login(t, socket, in)
	}
	var b []byte
	for range n {
		b = append(b, a.malformed()...)
	}
	for len(b) > 0 { // in pieces that ignore the frames
		piece := min(len(b), 1+a.IntN(600))
		if _, err := socket.Write(b[:piece]); err != nil {
			if !isCut(err) {
				t.Fatalf("write: %v", err)
			}
			break
		}
		b = b[piece:]
	}
	if err := socket.(*net.TCPConn).CloseWrite(); err != nil && !isCut(err) && !errors.Is(err, net.ErrClosed) {
		t.Logf("close for writing: %v", err) // the server may have reset the connection
	}
	for {
		if _, err := readFrame(in); err != nil {
			if !isCut(err) {
				t.Fatalf("read: %v", err)
			}
			return n
		}
	}
}

// login logs in to a random account in a random mode, and waits for the reply.
func (a attacker) login(t testing.TB, socket net.Conn, in *bufio.Reader) {
	t.Helper()
	account := firstAccount + a.Uint64N(lastAccount-firstAccount)
	m := &pb.Login{Account: account, Mode: pb.ResumeMode(a.IntN(5)), Client: "hostile"}
	if _, err := socket.Write(appendFrame(nil, kLogin, 0, 1, encode(m))); err != nil {
		t.Fatalf("write: %v", err)
	}
	for {
		f, err := readFrame(in)
		if err != nil || f.kind == kReject {
			t.Fatalf("login to account %d: got %v, error %v", account, f, err)
		}
		if f.kind == kLoginReply {
			return
		}
	}
}

// malformed returns the bytes of one frame with a random defect. Some are valid frames
// nevertheless.
func (a attacker) malformed() []byte {
	switch a.IntN(6) {
	case 0: // noise
		return a.noise(1 + a.IntN(200))
	case 1: // a good header, of any type, around noise
		return appendFrame(nil, a.kind(), uint16(a.Uint32()), a.Uint64(), a.noise(a.IntN(400)))
	case 2: // a good frame with some bits flipped
		b := a.good()
		for range 1 + a.IntN(3) {
			b[a.IntN(len(b))] ^= 1 << a.IntN(8)
		}
		return b
	case 3: // a good frame cut off, so that what follows is read out of step
		b := a.good()
		return b[:a.IntN(len(b))]
	case 4: // a length at or beyond a limit
		lengths := []uint32{0, 1, 11, 12, 511, 512, 513, 4095, 4096, 4097, 65_536, 1 << 31, math.MaxUint32}
		b := a.good()
		binary.BigEndian.PutUint32(b, lengths[a.IntN(len(lengths))])
		return b
	default: // a good frame around extreme values
		return a.extreme()
	}
}

func (a attacker) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(a.Uint32())
	}
	return b
}

func (a attacker) kind() kind {
	if a.IntN(4) == 0 {
		return kind(a.Uint32())
	}
	return kind(a.IntN(40))
}

// good returns a frame that a client could send.
func (a attacker) good() []byte {
	id := 1 + a.Uint64N(1000)
	switch a.IntN(8) {
	case 0:
		m := &pb.Login{Account: firstAccount + a.Uint64N(100), Mode: pb.ResumeMode(a.IntN(5)), LastSeq: a.Uint64N(20)}
		return appendFrame(nil, kLogin, 0, id, encode(m))
	case 1:
		return appendFrame(nil, kPing, 0, id, nil)
	case 2:
		return appendFrame(nil, kHoldings, 0, id, nil)
	case 3:
		return appendFrame(nil, kHistory, 0, id, encode(&pb.HistoryRequest{BeforeSeq: a.Uint64N(20),
			Limit: a.Uint32N(120)}))
	case 4:
		return appendFrame(nil, kInstruments, 0, id, encode(&pb.InstrumentsRequest{Codes: []string{"SZ.000001"}}))
	case 5:
		return appendFrame(nil, kSubscribe, 0, id, encode(&pb.Subscribe{Quotes: a.IntN(2) == 0,
			Presence: a.IntN(2) == 0}))
	default:
		o := buy("SZ", "000001", 1+a.Int64N(50))
		if a.IntN(2) == 0 {
			o.Side = pb.Side_SIDE_SELL
		}
		if a.IntN(2) == 0 {
			o.ClientOrderId = "hostile " + strconv.Itoa(a.IntN(20))
		}
		return appendFrame(nil, kOrder, 0, id, encode(o))
	}
}

// extreme returns a well-formed request with values at the edges of their types.
func (a attacker) extreme() []byte {
	numbers := []int64{0, 1, -1, 1_000_000_000, 1_000_000_001, math.MaxInt32, math.MinInt32, math.MaxInt64,
		math.MinInt64}
	texts := []string{
		"", "SZ", "SH", "XSHE", "000001", "600519", "\x00", "\x7f", "价格",
		strings.Repeat("A", 65), strings.Repeat("字", 300),
	}
	number := func() int64 { return numbers[a.IntN(len(numbers))] }
	text := func() string { return texts[a.IntN(len(texts))] }
	switch a.IntN(4) {
	case 0:
		return appendFrame(nil, kHistory, 0, uint64(number()),
			encode(&pb.HistoryRequest{BeforeSeq: uint64(number()), Limit: uint32(number())}))
	case 1:
		codes := make([]string, a.IntN(300))
		for i := range codes {
			codes[i] = text()
		}
		return appendFrame(nil, kInstruments, 0, uint64(number()), encode(&pb.InstrumentsRequest{Codes: codes}))
	case 2:
		return appendFrame(nil, kLogin, 0, uint64(number()), encode(&pb.Login{
			Account: uint64(number()), Mode: pb.ResumeMode(int32(number())), LastSeq: uint64(number()),
			Epoch: uint64(number()), Client: text(), KeyId: text(), Proof: a.noise(a.IntN(70)),
		}))
	default:
		return appendFrame(nil, kOrder, 0, uint64(number()), encode(&pb.Order{
			Side: pb.Side(int32(number())), Market: text(), Code: text(), Quantity: number(), LimitPrice: number(),
			ClientOrderId: text(),
		}))
	}
}
