package gateway

import (
	"strings"
	"sync/atomic"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// TestRateLimited has an account order more than it may. The engine decides that; the gateway gives the code.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	s := start(t, func(_ *Config, e *engine.Config) { e.OrdersPerSecond, e.Clock = 4, func() int64 { return 1 } })
	p := s.user(t, alice)
	p.write(p.appendOrders(nil, 6))
	p.executions(4)
	for i := range uint64(2) {
		if r := p.rejected(p.id-1+i, papertapev1.RejectCode_REJECT_CODE_RATE_LIMITED); r.GetRetryAfterMs() == 0 {
			t.Error("RATE_LIMITED does not say when to try again")
		}
	}
}

// keeping is a journal that is never checkpointed.
type keeping struct{ *engine.MemoryJournal }

func (keeping) Keeps() bool { return true }

// TestJournalRefusals has orders refused for the journal: it is too far behind, or its disk is nearly full. Queries go
// on.
func TestJournalRefusals(t *testing.T) {
	t.Parallel()
	var readOnly atomic.Bool
	s := start(t, func(_ *Config, e *engine.Config) {
		e.Journal, e.UncheckpointedBytesMax, e.ReadOnly = keeping{engine.NewMemoryJournal()}, 256<<10, readOnly.Load
	})
	p := s.user(t, alice)
	refused := func(code papertapev1.RejectCode, about string) bool {
		p.id++
		p.write(codec.Append(nil, codec.TypeOrder, 0, p.id, &papertapev1.Order{
			Side: papertapev1.Side_SIDE_BUY, Market: "SZ", Code: "000001", Quantity: 1,
		}))
		f := p.frame()
		if f.Type == codec.TypeExecution {
			return false
		}
		r := decoded(t, f, new(papertapev1.Reject))
		if f.ID != p.id || r.GetCode() != code || r.GetRetryAfterMs() == 0 || !strings.Contains(r.GetText(), about) {
			t.Fatalf("an order is answered %v, want %v and a word about %q", r, code, about)
		}
		p.alive()
		return true
	}
	readOnly.Store(true)
	if !refused(papertapev1.RejectCode_REJECT_CODE_READ_ONLY, "disk") {
		t.Error("an order was executed where none is taken")
	}
	readOnly.Store(false)
	n := 0
	for ; !refused(papertapev1.RejectCode_REJECT_CODE_BUSY, "checkpoint"); n++ {
		if n == 10_000 { // 256 KiB hold fewer events
			t.Fatal("orders are executed though nothing is ever checkpointed")
		}
	}
	if n == 0 {
		t.Error("no order was executed")
	}
}

// TestOrderIDs repeats an order id.
func TestOrderIDs(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	p := s.user(t, alice)
	order := func(quantity int64) uint64 {
		p.id++
		p.write(codec.Append(nil, codec.TypeOrder, 0, p.id, &papertapev1.Order{
			Side: papertapev1.Side_SIDE_BUY, Market: "SZ", Code: "000001", Quantity: quantity, ClientOrderId: "once",
		}))
		return p.id
	}
	first := order(100)
	if f := p.expect(codec.TypeExecution); f.ID != first || f.Flags != codec.FlagReply {
		t.Errorf("EXECUTION id %d flags %d", f.ID, f.Flags)
	}
	again := order(100)
	f := p.expect(codec.TypeExecution)
	seq := decoded(t, f, new(papertapev1.AccountEvent)).GetSeq()
	if f.ID != again || f.Flags != codec.FlagReply|codec.FlagReplay || seq != 2 {
		t.Errorf("EXECUTION id %d flags %d seq %d, want id %d, REPLY and REPLAY, seq 2", f.ID, f.Flags, seq, again)
	}
	p.rejected(order(200), papertapev1.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID)
	p.alive()
}
