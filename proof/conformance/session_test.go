package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// arrival is one event as it arrived on a session.
type arrival struct {
	kind  kind
	flags uint16
	id    uint64
	event *pb.AccountEvent
}

// session is a connection with the state that a strict client keeps. One goroutine uses it at a
// time.
type session struct {
	t       testing.TB
	server  *server
	socket  net.Conn
	in      *bufio.Reader
	welcome *pb.Welcome
	nextID  uint64
	asked   map[uint64]kind  // requests not yet answered
	stash   map[uint64]frame // answers that came while another was awaited
	loose   []*pb.Reject     // rejects with id 0

	// Set at login.
	account uint64
	from    uint64 // RESUME: the last sequence applied before
	reply   *pb.LoginReply
	cursor  uint64    // the last sequence that came
	events  []arrival // all that came, in order
	book    *shadow   // the account as folded here; nil if the session did not see its state
	quotes  map[instrument]int64
	pings   int // heartbeats from the server
}

// accounts hands out the accounts 100001 to 100099 to tests that share a server. Each test uses
// only its own.
var accounts atomic.Uint64

func newAccount() uint64 { return 100_001 + (accounts.Add(1)-1)%99 }

// connect opens a connection and reads nothing.
func connect(t testing.TB, srv *server) *session {
	t.Helper()
	socket, err := net.DialTimeout("tcp", srv.listen, patience)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return &session{
		t: t, server: srv, socket: socket, in: bufio.NewReaderSize(socket, 4<<10),
		asked: map[uint64]kind{}, stash: map[uint64]frame{}, quotes: map[instrument]int64{},
	}
}

// dial opens a connection and reads WELCOME.
func dial(t testing.TB, srv *server) *session {
	t.Helper()
	s := connect(t, srv)
	f := s.next()
	if f.kind != kWelcome {
		t.Fatalf("the first frame is %v, want WELCOME", f)
	}
	s.welcome = f.body.(*pb.Welcome)
	return s
}

// open connects and logs in with a snapshot.
func open(t testing.TB, srv *server, account uint64) *session {
	t.Helper()
	s := dial(t, srv)
	s.login(account, pb.ResumeMode_RESUME_MODE_SNAPSHOT)
	return s
}

// on hands the session to another part of the test.
func (s *session) on(t testing.TB) *session {
	s.t = t
	return s
}

// shrinkReceiveBuffer makes the receive buffer small, so that a server soon notices that nobody reads. With an
// even smaller one, the kernel's timers for small windows would determine the speed of later
// reading.
func (s *session) shrinkReceiveBuffer() *session {
	s.t.Helper()
	if err := s.socket.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		s.t.Fatalf("set the receive buffer: %v", err)
	}
	return s
}

func (s *session) close() { _ = s.socket.Close() }

// write sends bytes as they are.
func (s *session) write(b []byte) {
	s.t.Helper()
	if err := s.tryWrite(b); err != nil {
		s.t.Fatalf("write %d bytes: %v", len(b), err)
	}
}

func (s *session) tryWrite(b []byte) error {
	if err := s.socket.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := s.socket.Write(b)
	return err
}

// request appends a request frame to dst and records that an answer is due.
func (s *session) request(dst []byte, k kind, m proto.Message) ([]byte, uint64) {
	return s.requestBytes(dst, k, encode(m))
}

func (s *session) requestBytes(dst []byte, k kind, payload []byte) ([]byte, uint64) {
	s.nextID++
	s.asked[s.nextID] = k
	return appendFrame(dst, k, 0, s.nextID, payload), s.nextID
}

// send sends one request and returns its id.
func (s *session) send(k kind, m proto.Message) uint64 {
	s.t.Helper()
	b, id := s.request(nil, k, m)
	s.write(b)
	return id
}

// sendAll sends the orders in one write and returns their ids.
func (s *session) sendAll(orders ...*pb.Order) []uint64 {
	s.t.Helper()
	var b []byte
	ids := make([]uint64, len(orders))
	for i, o := range orders {
		b, ids[i] = s.request(b, kOrder, o)
	}
	s.write(b)
	return ids
}

// receive reads one frame and judges it. The error is that of the connection; a frame that breaks
// the protocol fails the test.
func (s *session) receive() (frame, error) {
	s.t.Helper()
	if err := s.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return frame{}, err
	}
	f, err := readFrame(s.in)
	var bad *badFrameError
	if errors.As(err, &bad) {
		s.t.Fatalf("%v", err)
	}
	if err != nil {
		return frame{}, err
	}
	judged.Add(1)
	if err := s.judge(f); err != nil {
		s.t.Fatalf("%v: %v", f, err)
	}
	return f, nil
}

// tryNext reads the next frame that is not a heartbeat; heartbeats are answered.
func (s *session) tryNext() (frame, error) {
	s.t.Helper()
	for {
		f, err := s.receive()
		if err != nil || f.kind != kPing {
			return f, err
		}
		s.write(appendFrame(nil, kPong, flagReply, f.id, nil))
	}
}

// next is tryNext on a connection that must stay open.
func (s *session) next() frame {
	s.t.Helper()
	f, err := s.tryNext()
	if err != nil {
		s.t.Fatalf("read at sequence %d of account %d: %v", s.cursor, s.account, err)
	}
	return f
}

// step takes the next frame, whatever it is. Answers go into the stash.
func (s *session) step() {
	s.t.Helper()
	f := s.next()
	switch {
	case f.kind == kGoodbye:
		s.t.Fatalf("unexpected %v", f)
	case f.reply():
		s.stash[f.id] = f
	case f.kind == kReject:
		s.loose = append(s.loose, f.body.(*pb.Reject))
	}
}

// answer waits for the answer to a request by its id.
func (s *session) answer(id uint64) frame {
	s.t.Helper()
	for {
		if f, ok := s.stash[id]; ok {
			delete(s.stash, id)
			return f
		}
		s.step()
	}
}

// ask sends a request and returns its answer, which must not be a REJECT.
func (s *session) ask(k kind, m proto.Message) frame {
	s.t.Helper()
	f := s.answer(s.send(k, m))
	if f.kind == kReject {
		s.t.Fatalf("request of type %d {%v} was refused: %v", k, m, f.body)
	}
	return f
}

// until reads until sequence seq has come.
func (s *session) until(seq uint64) {
	s.t.Helper()
	for s.cursor < seq {
		s.step()
	}
}

// login logs in, without a position to resume from.
func (s *session) login(account uint64, mode pb.ResumeMode) *pb.LoginReply {
	s.t.Helper()
	return s.loginWith(&pb.Login{Account: account, Mode: mode, Client: "conformance"})
}

// resume logs in after last, the last sequence that a session with this epoch applied.
func (s *session) resume(account, epoch, last uint64) *pb.LoginReply {
	s.t.Helper()
	return s.loginWith(&pb.Login{
		Account: account, Mode: pb.ResumeMode_RESUME_MODE_RESUME, Epoch: epoch, LastSeq: last, Client: "conformance",
	})
}

func (s *session) loginWith(m *pb.Login) *pb.LoginReply {
	s.t.Helper()
	s.account, s.from = m.Account, m.LastSeq
	return s.ask(kLogin, m).body.(*pb.LoginReply)
}

// place sends an order and returns its answer.
func (s *session) place(o *pb.Order) frame {
	s.t.Helper()
	return s.answer(s.send(kOrder, o))
}

// execute places an order that must be executed now, and returns its event.
func (s *session) execute(o *pb.Order) *pb.AccountEvent {
	s.t.Helper()
	f := s.place(o)
	if f.kind != kExecution || f.replay() {
		s.t.Fatalf("order {%v} was answered %v, want EXECUTION without REPLAY", o, f)
	}
	return f.body.(*pb.AccountEvent)
}

// refused places an order that must be refused with code, and returns the sentence.
func (s *session) refused(o *pb.Order, code pb.RejectCode) string {
	s.t.Helper()
	return s.rejected(s.place(o), code)
}

// rejected checks that f refuses with code and a sentence, and returns the sentence.
func (s *session) rejected(f frame, code pb.RejectCode) string {
	s.t.Helper()
	r, ok := f.body.(*pb.Reject)
	if !ok || r.Code != code {
		s.t.Fatalf("got %v, want REJECT %v", f, code)
	}
	return r.Text
}

// holdings asks for the list. It must be as of the session's place in the stream; the judge has
// checked the rest.
func (s *session) holdings() *pb.Holdings {
	s.t.Helper()
	h := s.ask(kHoldings, &pb.HoldingsRequest{}).body.(*pb.Holdings)
	if h.AsOfSeq != s.cursor {
		s.t.Fatalf("holdings as of %d, but the newest event that came is %d", h.AsOfSeq, s.cursor)
	}
	return h
}

// ping makes a round trip and returns the sequence in the answer, which the judge has checked.
func (s *session) ping() uint64 {
	s.t.Helper()
	return s.ask(kPing, &pb.Ping{}).body.(*pb.Pong).HeadSeq
}

// alive checks that the session stays open, and that nothing unexpected came.
func (s *session) alive() {
	s.t.Helper()
	cursor, loose := s.cursor, len(s.loose)
	s.ping()
	if s.cursor != cursor || len(s.loose) != loose {
		s.t.Fatalf("sequence %d and %d rejects without id, want %d and %d: something came unasked",
			s.cursor, len(s.loose), cursor, loose)
	}
}

// history asks for a page.
func (s *session) history(before uint64, limit uint32) *pb.History {
	s.t.Helper()
	return s.ask(kHistory, &pb.HistoryRequest{BeforeSeq: before, Limit: limit}).body.(*pb.History)
}

// goodbye checks that the server says GOODBYE with reason now, and closes.
func (s *session) goodbye(reason pb.GoodbyeReason) {
	s.t.Helper()
	f, err := s.tryNext()
	if err != nil {
		s.t.Fatalf("the connection ended with %v, want GOODBYE %v first", err, reason)
	}
	if g, ok := f.body.(*pb.Goodbye); !ok || g.Reason != reason {
		s.t.Fatalf("got %v, want GOODBYE %v", f, reason)
	}
	s.eof()
}

// eof checks that the server closed the connection properly, and sent nothing more.
func (s *session) eof() {
	s.t.Helper()
	if f, err := s.tryNext(); err != io.EOF {
		s.t.Fatalf("got %v, error %v; want the end of the stream", f, err)
	}
}

// isCut reports whether err is the end of a connection that was closed without delivering what was on
// its way.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// churnWindow is how many orders churn has in flight, below the limit of requests in flight.
const churnWindow = 100

// churn makes n events by alternately buying and selling one share. An even n leaves the account as
// it was.
func (s *session) churn(n int) {
	s.t.Helper()
	for done := 0; done < n; done += churnWindow {
		var orders []*pb.Order
		for i := done; i < min(n, done+churnWindow); i++ {
			o := buy("SZ", "000001", 1)
			if i%2 == 1 {
				o.Side = pb.Side_SIDE_SELL
			}
			orders = append(orders, o)
		}
		for _, id := range s.sendAll(orders...) {
			if f := s.answer(id); f.kind != kExecution {
				s.t.Fatalf("an order was answered %v, want EXECUTION", f)
			}
		}
	}
}

// sellAll sells all that the account holds of an instrument, so that a test can start without it.
func (s *session) sellAll(market, code string) {
	s.t.Helper()
	for _, p := range s.holdings().Positions {
		if p.Market == market && p.Code == code {
			s.execute(sell(market, code, p.Quantity))
		}
	}
}

// event returns the event with sequence seq that came on this session.
func (s *session) event(seq uint64) *pb.AccountEvent {
	s.t.Helper()
	for _, a := range s.events {
		if a.event.Seq == seq {
			return a.event
		}
	}
	s.t.Fatalf("no event %d came on this session", seq)
	return nil
}

// rejectWithoutID waits for a reject that answers no request, and checks its code.
func (s *session) rejectWithoutID(code pb.RejectCode) {
	s.t.Helper()
	for len(s.loose) == 0 {
		s.step()
	}
	if r := s.loose[0]; r.Code != code {
		s.t.Fatalf("got REJECT {%v} with id 0, want %v", r, code)
	}
	s.loose = s.loose[1:]
}

// samePlace checks that both sessions got the same events from sequence first on, up to the same
// last one.
func samePlace(t testing.TB, a, b *session, first uint64) {
	t.Helper()
	if a.cursor != b.cursor {
		t.Fatalf("one session is at %d, the other at %d", a.cursor, b.cursor)
	}
	other := map[uint64]*pb.AccountEvent{}
	for _, got := range b.events {
		other[got.event.Seq] = got.event
	}
	for _, got := range a.events {
		if seq := got.event.Seq; seq >= first && !proto.Equal(got.event, other[seq]) {
			t.Fatalf("event %d is {%v} in one session, {%v} in the other", seq, got.event, other[seq])
		}
	}
}

func buy(market, code string, quantity int64) *pb.Order {
	return &pb.Order{Side: pb.Side_SIDE_BUY, Market: market, Code: code, Quantity: quantity}
}

func sell(market, code string, quantity int64) *pb.Order {
	return &pb.Order{Side: pb.Side_SIDE_SELL, Market: market, Code: code, Quantity: quantity}
}

// named returns the order with a client order id.
func named(o *pb.Order, id string) *pb.Order {
	o.ClientOrderId = id
	return o
}

// sentence returns an error if text is not a sentence for people.
func sentence(text string) error {
	if len(text) < 8 || !strings.Contains(text, " ") {
		return fmt.Errorf("text %q, want a sentence that says what was wrong", text)
	}
	return nil
}
