package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// peer is a minimal client: it sends bytes, and cuts what comes into frames.
type peer struct {
	t     testing.TB
	conn  *net.TCPConn
	tls   net.Conn // TLS over conn; nil: plain
	buf   []byte
	start int // buf[start:] was read and not yet cut

	uid     uint64 // of WELCOME
	account uint64 // of LOGIN
	epoch   uint64
	seq     uint64 // last sequence that came; checked to go up by one
	id      uint64 // last request's
	last    uint64 // id of the last order that was executed; checked to go up
	orders  int    // made by appendOrder

	framesIn          uint64
	bytesIn, bytesOut uint64 // without TLS
}

// peer dials.
func (s *server) peer(t testing.TB) *peer {
	t.Helper()
	return s.peerWith(t, &net.Dialer{})
}

func (s *server) peerWith(t testing.TB, d *net.Dialer) *peer {
	t.Helper()
	return &peer{t: t, conn: s.dialWith(t, d)}
}

// user dials and logs in, for live events only.
func (s *server) user(t testing.TB, account uint64) *peer {
	t.Helper()
	p := s.peer(t)
	p.welcome()
	p.login(account, papertapev1.ResumeMode_RESUME_MODE_QUICK, 0)
	return p
}

// lazy is a user with a small receive buffer.
func (s *server) lazy(t testing.TB, account uint64) *peer {
	t.Helper()
	p := s.peerWith(t, smallBuffers())
	p.welcome()
	p.login(account, papertapev1.ResumeMode_RESUME_MODE_QUICK, 0)
	return p
}

// next returns the next frame. Its payload is valid until the next call.
func (p *peer) next() (codec.Frame, error) {
	for {
		f, n, err := codec.Cut(p.buf[p.start:], codec.LimitToClient)
		if err != nil {
			return f, err
		}
		if n > 0 {
			p.start += n
			p.framesIn++
			return f, nil
		}
		if err := p.fill(); err != nil {
			return f, err
		}
	}
}

func (p *peer) fill() error {
	if p.start > 0 {
		p.buf = p.buf[:copy(p.buf, p.buf[p.start:])]
		p.start = 0
	}
	if len(p.buf) == cap(p.buf) {
		p.buf = append(p.buf, make([]byte, 16<<10)...)[:len(p.buf)]
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	n, err := p.line().Read(p.buf[len(p.buf):cap(p.buf)])
	p.buf = p.buf[:len(p.buf)+n]
	p.bytesIn += uint64(n)
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) && len(p.buf) > 0 {
		return fmt.Errorf("%d bytes of a frame, then: %w", len(p.buf), io.ErrUnexpectedEOF)
	}
	return err
}

// frame returns the next frame, and fails the test if none comes. It checks the sequences.
func (p *peer) frame() codec.Frame {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("after seq %d: %v", p.seq, err)
	}
	p.follow(f)
	return f
}

// follow checks that an event is the next one, and that orders are executed in the order they were sent.
func (p *peer) follow(f codec.Frame) {
	p.t.Helper()
	if f.Type != codec.TypeEvent && (f.Type != codec.TypeExecution || f.Flags&codec.FlagReplay != 0) {
		return
	}
	ev := decoded(p.t, f, new(papertapev1.AccountEvent))
	if ev.GetAccount() != p.account || ev.GetSeq() != p.seq+1 {
		p.t.Fatalf("%v: account %d seq %d, want account %d seq %d",
			f.Type, ev.GetAccount(), ev.GetSeq(), p.account, p.seq+1)
	}
	p.seq++
	if f.Type == codec.TypeExecution {
		if f.ID <= p.last || f.Flags != codec.FlagReply {
			p.t.Fatalf("EXECUTION id %d flags %d after that of id %d: orders are executed as they were sent",
				f.ID, f.Flags, p.last)
		}
		p.last = f.ID
	}
}

// expect returns the next frame, and fails the test if it is of another type.
func (p *peer) expect(want codec.Type) codec.Frame {
	p.t.Helper()
	f := p.frame()
	if f.Type != want {
		p.t.Fatalf("%v %s, want %v", f.Type, says(f), want)
	}
	return f
}

// message is what the codec can decode into.
type message interface {
	UnmarshalVT([]byte) error
	Reset()
}

func decoded[M message](t testing.TB, f codec.Frame, m M) M {
	t.Helper()
	if err := codec.Unmarshal(f.Payload, m); err != nil {
		t.Fatalf("%v: %v", f.Type, err)
	}
	return m
}

// says is the text of a REJECT or GOODBYE, for the report of a failed test.
func says(f codec.Frame) string {
	var reject papertapev1.Reject
	var goodbye papertapev1.Goodbye
	switch {
	case f.Type == codec.TypeReject && codec.Unmarshal(f.Payload, &reject) == nil:
		return fmt.Sprintf("(%v: %s)", reject.GetCode(), reject.GetText())
	case f.Type == codec.TypeGoodbye && codec.Unmarshal(f.Payload, &goodbye) == nil:
		return fmt.Sprintf("(%v: %s)", goodbye.GetReason(), goodbye.GetText())
	}
	return ""
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if err := p.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.line().Write(b); err != nil {
		p.t.Fatal(err)
	}
	p.bytesOut += uint64(len(b))
}

// line is what frames go over.
func (p *peer) line() net.Conn {
	if p.tls != nil {
		return p.tls
	}
	return p.conn
}

// welcome takes the first frame.
func (p *peer) welcome() *papertapev1.Welcome {
	p.t.Helper()
	w := decoded(p.t, p.expect(codec.TypeWelcome), new(papertapev1.Welcome))
	p.uid, p.epoch = w.GetUid(), w.GetEpoch()
	if w.GetInstance() == 0 {
		p.t.Error("WELCOME does not say which run of the server this is")
	}
	return w
}

// login logs in. From then on the sequences of events are checked.
func (p *peer) login(account uint64, mode papertapev1.ResumeMode, last uint64) *papertapev1.LoginReply {
	p.t.Helper()
	p.write(p.loginFrame(account, mode, last))
	f := p.expect(codec.TypeLoginReply)
	if f.ID != p.id || f.Flags != codec.FlagReply {
		p.t.Fatalf("LOGIN reply: id %d, flags %d; want id %d and REPLY", f.ID, f.Flags, p.id)
	}
	r := decoded(p.t, f, new(papertapev1.LoginReply))
	p.account = account
	switch r.GetMode() {
	case papertapev1.ResumeMode_RESUME_MODE_RESUME:
		p.seq = last
	case papertapev1.ResumeMode_RESUME_MODE_RESTART:
		p.seq = r.GetOldestSeq() - 1
	default:
		p.seq = r.GetHeadSeq()
	}
	return r
}

func (p *peer) loginFrame(account uint64, mode papertapev1.ResumeMode, last uint64) []byte {
	p.id++
	return codec.Append(nil, codec.TypeLogin, 0, p.id, &papertapev1.Login{
		Account: account, Mode: mode, LastSeq: last, Epoch: p.epoch,
	})
}

// appendOrder appends the next order: the first buys a hundred of SZ 000001, the second sells them, and so on.
func (p *peer) appendOrder(dst []byte) []byte {
	p.id++
	p.orders++
	side := papertapev1.Side_SIDE_BUY
	if p.orders%2 == 0 {
		side = papertapev1.Side_SIDE_SELL
	}
	return codec.Append(dst, codec.TypeOrder, 0, p.id, &papertapev1.Order{
		Side: side, Market: "SZ", Code: "000001", Quantity: 100,
	})
}

// appendOrders appends the next n orders.
func (p *peer) appendOrders(dst []byte, n int) []byte {
	for range n {
		dst = p.appendOrder(dst)
	}
	return dst
}

// request appends a request without fields.
func (p *peer) request(dst []byte, t codec.Type) []byte {
	p.id++
	return codec.Append(dst, t, 0, p.id, &papertapev1.Ping{})
}

// trade has n orders executed, a hundred at a time, and returns when the last was answered. Events of others may come
// between.
func (p *peer) trade(n int) {
	p.t.Helper()
	for n > 0 {
		batch := min(n, 100)
		p.write(p.appendOrders(nil, batch))
		p.executions(batch)
		n -= batch
	}
}

// executions takes frames until n orders were executed, or fails at a REJECT.
func (p *peer) executions(n int) {
	p.t.Helper()
	for n > 0 {
		switch f := p.frame(); f.Type {
		case codec.TypeExecution:
			n--
		case codec.TypeEvent, codec.TypePing:
		default:
			p.t.Fatalf("%v %s with %d orders unanswered", f.Type, says(f), n)
		}
	}
}

// until takes events until seq has come.
func (p *peer) until(seq uint64) {
	p.t.Helper()
	for p.seq < seq {
		if f := p.frame(); f.Type != codec.TypeEvent && f.Type != codec.TypeExecution {
			p.t.Fatalf("%v %s after seq %d, want events up to seq %d", f.Type, says(f), p.seq, seq)
		}
	}
}

// rejected takes the next frame, a REJECT of this code that answers id.
func (p *peer) rejected(id uint64, code papertapev1.RejectCode) *papertapev1.Reject {
	p.t.Helper()
	f := p.expect(codec.TypeReject)
	r := decoded(p.t, f, new(papertapev1.Reject))
	flags := codec.FlagReply
	if id == 0 {
		flags = 0
	}
	if r.GetCode() != code || f.ID != id || f.Flags != flags || r.GetText() == "" {
		p.t.Fatalf("REJECT %s id %d flags %d, want %v id %d flags %d and a sentence",
			says(f), f.ID, f.Flags, code, id, flags)
	}
	return r
}

// goodbye takes the next frame, a GOODBYE for this reason.
func (p *peer) goodbye(reason papertapev1.GoodbyeReason) *papertapev1.Goodbye {
	p.t.Helper()
	f := p.expect(codec.TypeGoodbye)
	g := decoded(p.t, f, new(papertapev1.Goodbye))
	if g.GetReason() != reason || g.GetText() == "" || f.ID != 0 || f.Flags != 0 {
		p.t.Fatalf("GOODBYE %s id %d flags %d, want %v, id 0, no flags, a sentence", says(f), f.ID, f.Flags, reason)
	}
	return g
}

// eof checks that nothing more comes and the server's side is closed in order.
func (p *peer) eof() {
	p.t.Helper()
	if f, err := p.next(); !errors.Is(err, io.EOF) {
		p.t.Fatalf("%v %s, error %v; want the end", f.Type, says(f), err)
	}
}

// cut reads what was on its way, and checks its sequences, until the connection ends, in order or by a reset.
func (p *peer) cut() {
	p.t.Helper()
	for {
		f, err := p.next()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.t.Fatalf("after seq %d the connection is still open", p.seq)
			}
			return
		}
		p.follow(f)
	}
}

// alive checks that the server answers.
func (p *peer) alive() {
	p.t.Helper()
	p.write(p.request(nil, codec.TypePing))
	for {
		f := p.frame()
		switch {
		case f.Type == codec.TypePong && f.ID == p.id:
			return
		case f.Type != codec.TypeEvent && f.Type != codec.TypePing:
			p.t.Fatalf("%v %s, want PONG %d", f.Type, says(f), p.id)
		}
	}
}
