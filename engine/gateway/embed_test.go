package gateway

import (
	"fmt"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const typeRows codec.Type = 0x8001

// rowsHandler tells what the account holds, or does what the payload says.
func rowsHandler(t *testing.T, universe *market.Universe) Handler {
	pingAn, err := universe.Parse("SZ.000001")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Call) Answer {
		switch string(c.Payload) {
		case "buy":
			return Answer{Order: &positions.Order{Account: bob, Instrument: pingAn, Side: positions.Buy, Quantity: 100}}
		case "no":
			return Answer{Reject: &codec.Error{
				Code: papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED, Text: "not now",
			}}
		case "panic":
			panic("a handler is made to panic")
		case "nothing":
			return Answer{}
		}
		return Answer{Type: typeRows + 1, Payload: fmt.Appendf(nil, "%d has %d rows at %d, time %t, price %d",
			c.Account, c.View.Len(), c.View.Seq(), c.Time > 0, c.Prices.At(pingAn))}
	}
}

// TestHandle: the handler of an embedder's message sees the account at its place between two orders, and may order,
// refuse or panic.
func TestHandle(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.gw.Handle(typeRows, rowsHandler(t, s.gw.cfg.Universe))
	for _, wrong := range []codec.Type{codec.TypeOrder, typeRows} {
		if panicOf(func() { s.gw.Handle(wrong, func(*Call) Answer { return Answer{} }) }) == "" {
			t.Errorf("Handle of type %d went through", wrong)
		}
	}
	s.serve(t)
	p := s.user(t, alice)
	ask := func(what string) {
		p.id++
		p.write(codec.AppendFrame(nil, typeRows, 0, p.id, []byte(what)))
	}
	answers := func(want string) {
		t.Helper()
		if f := p.expect(typeRows + 1); f.ID != p.id || f.Flags != codec.FlagReply || string(f.Payload) != want {
			t.Errorf("%v %d: %q, want %q", f.Flags, f.ID, f.Payload, want)
		}
	}
	ask("")
	answers(fmt.Sprintf("%d has 0 rows at 1, time true, price 100000", alice))
	ask("buy")
	if f := p.frame(); f.Type != codec.TypeExecution || f.ID != p.id {
		t.Fatalf("%v %s", f.Type, says(f))
	}
	ask("")
	answers(fmt.Sprintf("%d has 1 rows at 2, time true, price 100000", alice))
	for what, code := range map[string]papertapev1.RejectCode{
		"no":      papertapev1.RejectCode_REJECT_CODE_MARKET_CLOSED,
		"panic":   papertapev1.RejectCode_REJECT_CODE_INTERNAL,
		"nothing": papertapev1.RejectCode_REJECT_CODE_INTERNAL,
	} {
		ask(what)
		p.rejected(p.id, code)
	}
	p.id++
	p.write(codec.AppendFrame(nil, typeRows+7, 0, p.id, nil))
	p.rejected(p.id, papertapev1.RejectCode_REJECT_CODE_UNKNOWN_TYPE)
	p.alive()
	if n := s.sessionOf(t, p).engine.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}
