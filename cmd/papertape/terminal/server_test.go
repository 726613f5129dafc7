package terminal

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// fake is a server for one connection at a time. It says what a test wants.
type fake struct {
	t           *testing.T
	addr        string
	holdings    *papertapev1.Holdings     // at the login
	instruments []*papertapev1.Instrument // the default list
	more        []*papertapev1.Instrument // found only when asked for by code
	zone        string                    // of all markets; empty: there is no CLOCK
	requests    chan codec.Frame          // except LOGIN, PING, CLOCK and INSTRUMENTS
	frames      chan []byte               // to be sent
}

// newFake starts a server that runs until the test ends.
func newFake(t *testing.T, holdings *papertapev1.Holdings) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, addr: l.Addr().String(), holdings: holdings, requests: make(chan codec.Frame, 64),
		frames: make(chan []byte, 64)}
	for _, in := range shipped(t).all() {
		f.instruments = append(f.instruments, wireInstrument(in))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return // the test is over
		}
		defer conn.Close() //nolint:errcheck // the test is over
		f.serve(conn)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return f
}

// serve alone writes to the connection. A goroutine of its own reads until the client is gone.
func (f *fake) serve(conn net.Conn) {
	came := make(chan codec.Frame)
	go func() {
		defer close(came)
		var buf []byte
		for chunk := make([]byte, 4096); ; {
			n, err := conn.Read(chunk)
			buf = append(buf, chunk[:n]...)
			for {
				frame, used, cutErr := codec.Cut(buf, codec.LimitAfterLogin)
				if used == 0 || cutErr != nil {
					break
				}
				frame.Payload = bytes.Clone(frame.Payload)
				buf = buf[used:]
				came <- frame
			}
			if err != nil {
				return
			}
		}
	}()
	send := func(frame []byte) { _, _ = conn.Write(frame) } // the reader notices if the client is gone
	send(codec.Append(nil, codec.TypeWelcome, 0, 0, &papertapev1.Welcome{
		Uid: 7, Protocol: 1, Server: "fake 1", Epoch: 99, HeartbeatMs: 60_000, MaxFrame: codec.LimitAfterLogin,
	}))
	var frames chan []byte // f.frames, once the client is logged in
	for {
		select {
		case frame, ok := <-came:
			if !ok {
				return
			}
			if answer := f.answer(frame); answer != nil {
				send(answer)
				frames = f.frames
			} else {
				f.requests <- frame
			}
		case frame := <-frames:
			send(frame)
		}
	}
}

// answer returns the immediate answer to a request, or nil to leave it to the test.
func (f *fake) answer(frame codec.Frame) []byte {
	reply := func(t codec.Type, m codec.Message) []byte { return codec.Append(nil, t, codec.FlagReply, frame.ID, m) }
	switch frame.Type {
	case codec.TypeLogin:
		return reply(codec.TypeLoginReply, &papertapev1.LoginReply{
			Account: customer, HeadSeq: f.holdings.GetAsOfSeq(), OldestSeq: 1, Epoch: 99,
			Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Holdings: f.holdings,
		})
	case codec.TypeClock:
		if f.zone == "" {
			return reply(codec.TypeReject, &papertapev1.Reject{Code: papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE})
		}
		return reply(codec.TypeClockReply, &papertapev1.Clock{Zone: f.zone, Time: noon.UnixNano()})
	case codec.TypePing:
		return reply(codec.TypePong, &papertapev1.Pong{})
	case codec.TypeInstruments:
		request := new(papertapev1.InstrumentsRequest)
		if err := codec.Unmarshal(frame.Payload, request); err != nil {
			f.t.Error(err)
		}
		if len(request.GetCodes()) == 0 {
			return reply(codec.TypeInstrumentsReply, &papertapev1.Instruments{Instruments: f.instruments})
		}
		return f.lookUp(request.GetCodes(), reply)
	}
	return nil
}

func (f *fake) lookUp(codes []string, reply func(codec.Type, codec.Message) []byte) []byte {
	found := new(papertapev1.Instruments)
	for _, code := range codes {
		for _, in := range append(f.instruments[:len(f.instruments):len(f.instruments)], f.more...) {
			if strings.ReplaceAll(code, " ", ".") == in.GetMarket()+"."+in.GetCode() {
				found.Instruments = append(found.Instruments, in)
			}
		}
	}
	if len(found.GetInstruments()) < len(codes) {
		return reply(codec.TypeReject, &papertapev1.Reject{
			Code: papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT, Text: "no such thing",
		})
	}
	return reply(codec.TypeInstrumentsReply, found)
}

func (f *fake) push(ev *papertapev1.AccountEvent) {
	f.frames <- codec.Append(nil, codec.TypeEvent, 0, 0, ev)
}

// request waits for a request.
func (f *fake) request(want codec.Type, into interface {
	UnmarshalVT([]byte) error
	Reset()
}) uint64 {
	f.t.Helper()
	select {
	case frame := <-f.requests:
		if frame.Type != want {
			f.t.Fatalf("%v was asked: expected %v", frame.Type, want)
		}
		if err := codec.Unmarshal(frame.Payload, into); err != nil {
			f.t.Fatal(err)
		}
		return frame.ID
	case <-time.After(20 * time.Second):
		f.t.Fatalf("no %v was asked", want)
	}
	return 0
}

// runningRun is Run on a pipe, concurrent with a test.
type runningRun struct {
	t       *testing.T
	in      *io.PipeWriter
	out     *syncBuffer
	notices *syncBuffer
	ended   chan error
	cancel  context.CancelFunc
}

// startRun runs the terminal on a pipe that the test writes to.
func startRun(t *testing.T, addr string, change func(*Config)) *runningRun {
	t.Helper()
	in, write := io.Pipe()
	r := &runningRun{t: t, in: write, out: newSyncBuffer(), notices: newSyncBuffer(), ended: make(chan error, 1)}
	cfg := Config{
		Account: customer, Server: addr, Name: "test", Lang: English, Scheme: SchemeCN, In: in, Out: r.out,
		Notes:  r.notices,
		Getenv: func(string) string { return "" },
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- Run(ctx, cfg)
	}()
	t.Cleanup(func() {
		cancel()
		_ = write.Close()
		<-done
	})
	return r
}

func (r *runningRun) say(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

// end waits for Run to end and returns its error.
func (r *runningRun) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatalf("it goes on; so far:\n%s", r.out)
		return nil
	}
}

// syncBuffer is written by one goroutine and read by another.
type syncBuffer struct {
	mu  chan struct{} // a mutex: whoever received its one element may touch b
	b   bytes.Buffer
	new chan struct{} // has one element when something was written
}

func newSyncBuffer() *syncBuffer {
	s := &syncBuffer{mu: make(chan struct{}, 1), new: make(chan struct{}, 1)}
	s.mu <- struct{}{}
	return s
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	<-s.mu
	defer func() { s.mu <- struct{}{} }()
	select {
	case s.new <- struct{}{}:
	default:
	}
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	<-s.mu
	defer func() { s.mu <- struct{}{} }()
	return s.b.String()
}

// await waits until a text has been written.
func (s *syncBuffer) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.new:
		case <-limit:
			t.Fatalf("%q was not written; so far:\n%s", text, s)
		}
	}
}
