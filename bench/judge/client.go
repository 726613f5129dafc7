package judge

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// deadline ends a check if the server does not answer.
const deadline = 60 * time.Second

// Client is one connection. It fails its test if anything is wrong.
type Client struct {
	t        *testing.T
	conn     net.Conn
	universe *market.Universe
	in       []byte
	seq      uint64 // the newest sequence received
}

// Dial connects and reads the WELCOME.
func Dial(t *testing.T, address string) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(deadline))
	c := &Client{t: t, conn: conn, universe: market.Default()}
	var welcome papertapev1.Welcome
	f := c.Read()
	if f.Type != codec.TypeWelcome || codec.Unmarshal(f.Payload, &welcome) != nil || welcome.GetUid() == 0 ||
		welcome.GetEpoch() == 0 || welcome.GetProtocol() != 1 {
		t.Fatalf("the first frame is %v: %v", f.Type, &welcome)
	}
	return c
}

// Close closes the connection.
func (c *Client) Close() { _ = c.conn.Close() }

// Send sends frames.
func (c *Client) Send(frames ...[]byte) {
	for _, frame := range frames {
		if err := c.TrySend(frame); err != nil {
			c.t.Errorf("sending: %v", err)
		}
	}
}

// TrySend sends frames to a server that may close the connection meanwhile.
func (c *Client) TrySend(frames []byte) error {
	_, err := c.conn.Write(frames)
	return err
}

// Read returns the next frame. Its payload is valid until the next Read.
func (c *Client) Read() codec.Frame {
	c.t.Helper()
	f, err := c.next()
	if err != nil {
		c.t.Fatalf("reading: %v", err)
	}
	return f
}

func (c *Client) next() (codec.Frame, error) {
	for {
		f, n, err := codec.Cut(c.in, codec.LimitToClient)
		if err != nil {
			return f, err
		}
		if n > 0 {
			c.in = c.in[n:]
			return f, nil
		}
		in := make([]byte, len(c.in)+64<<10)
		copy(in, c.in)
		got, err := c.conn.Read(in[len(c.in):])
		c.in = in[:len(c.in)+got]
		if err != nil {
			return f, err
		}
	}
}

// Login logs in for a snapshot.
func (c *Client) Login(account uint64) *papertapev1.LoginReply {
	c.t.Helper()
	c.Send(codec.Append(nil, codec.TypeLogin, 0, 1, &papertapev1.Login{Account: account}))
	reply := new(papertapev1.LoginReply)
	c.decode(c.Read(), codec.TypeLoginReply, 1, reply)
	if reply.GetAccount() != account {
		c.t.Fatalf("logged in to %d: %v", account, reply)
	}
	c.seq = reply.GetHeadSeq()
	return reply
}

// Order returns the frame of a market order; a negative quantity sells.
func (c *Client) Order(id uint64, in, code string, quantity int64) []byte {
	o := &papertapev1.Order{Side: papertapev1.Side_SIDE_BUY, Market: in, Code: code, Quantity: quantity}
	if quantity < 0 {
		o.Side, o.Quantity = papertapev1.Side_SIDE_SELL, -quantity
	}
	return codec.Append(nil, codec.TypeOrder, 0, id, o)
}

// Execution reads the answer to an order.
func (c *Client) Execution(id uint64) *papertapev1.AccountEvent {
	c.t.Helper()
	f := c.Read()
	if f.Type != codec.TypeExecution || f.ID != id || f.Flags != codec.FlagReply {
		c.t.Fatalf("order %d was answered %v with id %d, flags %d: %s", id, f.Type, f.ID, f.Flags, textOf(f))
	}
	return c.decodeEvent(f)
}

// Event reads a push.
func (c *Client) Event() *papertapev1.AccountEvent {
	c.t.Helper()
	f := c.Read()
	if f.Type != codec.TypeEvent || f.ID != 0 || f.Flags != 0 {
		c.t.Fatalf("%v came with id %d, flags %d, where an EVENT is due: %s", f.Type, f.ID, f.Flags, textOf(f))
	}
	return c.decodeEvent(f)
}

// decodeEvent decodes an event and checks its sequence against the previous one.
func (c *Client) decodeEvent(f codec.Frame) *papertapev1.AccountEvent {
	ev := new(papertapev1.AccountEvent)
	if err := codec.Unmarshal(f.Payload, ev); err != nil {
		c.t.Errorf("%v: %v", f.Type, err)
	}
	if ev.GetSeq() != c.seq+1 {
		c.t.Errorf("%v: sequence %d after %d", f.Type, ev.GetSeq(), c.seq)
	}
	c.seq = ev.GetSeq()
	return ev
}

// Holdings requests the holdings.
func (c *Client) Holdings(id uint64) *papertapev1.Holdings {
	c.t.Helper()
	c.Send(codec.AppendFrame(nil, codec.TypeHoldings, 0, id, nil))
	h := new(papertapev1.Holdings)
	c.decode(c.Read(), codec.TypeHoldingsReply, id, h)
	return h
}

// WantReject reads a REJECT.
func (c *Client) WantReject(id uint64, code papertapev1.RejectCode) {
	c.t.Helper()
	f := c.Read()
	var r papertapev1.Reject
	if f.Type != codec.TypeReject || f.ID != id || codec.Unmarshal(f.Payload, &r) != nil || r.GetCode() != code ||
		r.GetText() == "" {
		c.t.Errorf("%v with id %d: %v; want REJECT %v of %d", f.Type, f.ID, &r, code, id)
	}
}

// WantGoodbye reads a GOODBYE and the end of the connection.
func (c *Client) WantGoodbye(reason papertapev1.GoodbyeReason) {
	c.t.Helper()
	f := c.Read()
	var g papertapev1.Goodbye
	if f.Type != codec.TypeGoodbye || codec.Unmarshal(f.Payload, &g) != nil || g.GetReason() != reason {
		c.t.Errorf("%v: %v; want GOODBYE %v", f.Type, &g, reason)
	}
	c.WantEnd()
}

// WantEnd reads the end of the connection.
func (c *Client) WantEnd() {
	c.t.Helper()
	if f, err := c.next(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Errorf("%v, %v came, want the end", f.Type, err)
	}
	c.Close()
}

func (c *Client) decode(f codec.Frame, want codec.Type, id uint64, m interface {
	UnmarshalVT(b []byte) error
	Reset()
}) {
	c.t.Helper()
	if f.Type != want || f.ID != id || f.Flags != codec.FlagReply {
		c.t.Fatalf("%v with id %d, flags %d: %s; want %v of %d", f.Type, f.ID, f.Flags, textOf(f), want, id)
	}
	if err := codec.Unmarshal(f.Payload, m); err != nil {
		c.t.Fatalf("%v: %v", f.Type, err)
	}
}

// textOf returns the text of a REJECT, for the test's output.
func textOf(f codec.Frame) string {
	var r papertapev1.Reject
	if f.Type != codec.TypeReject || codec.Unmarshal(f.Payload, &r) != nil {
		return ""
	}
	return r.GetText()
}
