package conformance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

const ten = 10 * money // 10.00, the price at which SZ.000001 opens

func TestInstruments(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	t.Run("all, by market and code", func(t *testing.T) {
		s.on(t)
		list := s.ask(kInstruments, &pb.InstrumentsRequest{}).body.(*pb.Instruments).Instruments
		seen := map[instrument]bool{}
		for i, in := range list {
			key := instrument{in.Market, in.Code}
			seen[key] = true
			if i > 0 && (instrument{list[i-1].Market, list[i-1].Code}).compare(key) >= 0 {
				t.Errorf("%s comes after %s.%s", key, list[i-1].Market, list[i-1].Code)
			}
			if in.Name == "" || len(in.Name) > 48 || in.Price <= 0 || in.PreviousClose <= 0 || in.Lot == 0 ||
				in.Tick <= 0 {
				t.Errorf("instrument {%v}, want a name of at most 48 bytes, prices, lot and tick", in)
			}
		}
		for _, key := range []instrument{
			{"SH", "600519"}, {"SH", "600036"}, {"SH", "601398"}, {"SH", "600900"}, {"SH", "601318"}, {"SH", "600030"},
			{"SH", "688981"}, {"SZ", "000001"}, {"SZ", "000333"}, {"SZ", "000858"}, {"SZ", "002594"}, {"SZ", "300750"},
		} {
			if !seen[key] {
				t.Errorf("%s is not among the instruments", key)
			}
		}
	})
	t.Run("by code", func(t *testing.T) {
		s.on(t)
		m := &pb.InstrumentsRequest{Codes: []string{"SZ.000001", "SH.600519"}}
		seen := map[instrument]int64{}
		list := s.ask(kInstruments, m).body.(*pb.Instruments).Instruments
		for _, in := range list {
			seen[instrument{in.Market, in.Code}] = in.Price
		}
		if len(list) != 2 || len(seen) != 2 || seen[instrument{"SH", "600519"}] == 0 {
			t.Errorf("%v, want the two asked for", list)
		}
		if price := seen[instrument{"SZ", "000001"}]; price != ten {
			t.Errorf("SZ.000001 is at %d, want 10.00", price)
		}
	})
	t.Run("an unknown code is answered once", func(t *testing.T) {
		s.on(t)
		f := s.answer(s.send(kInstruments, &pb.InstrumentsRequest{Codes: []string{"XX.1"}}))
		if f.kind == kReject {
			s.rejected(f, pb.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT)
		}
		s.alive()
	})
}

// TestMovements takes one row through all movements with the figures of the first document: 100 at
// 10.00 cost 1000, 200 cost 2000, back at 100 they cost 1000, and then the row is gone.
func TestMovements(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.sellAll("SZ", "000001")
	before := s.holdings()
	steps := []struct {
		name     string
		order    *pb.Order
		change   pb.Change
		quantity int64 // of the row after the step
		spent    int64 // cash that the steps so far have spent
	}{
		{"opened", buy("SZ", "000001", 100), pb.Change_CHANGE_OPENED, 100, 100 * ten},
		{"increased", buy("SZ", "000001", 100), pb.Change_CHANGE_INCREASED, 200, 200 * ten},
		{"decreased", sell("SZ", "000001", 100), pb.Change_CHANGE_DECREASED, 100, 100 * ten},
		{"increased again", buy("SZ", "000001", 160), pb.Change_CHANGE_INCREASED, 260, 260 * ten},
		{"closed", sell("SZ", "000001", 260), pb.Change_CHANGE_CLOSED, 0, 0},
		{"opened again", buy("SZ", "000001", 300), pb.Change_CHANGE_OPENED, 300, 300 * ten},
		{"closed again", sell("SZ", "000001", 300), pb.Change_CHANGE_CLOSED, 0, 0},
	}
	for i, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			s.on(t)
			seq := before.AsOfSeq + uint64(i) + 1
			ev := s.execute(step.order)
			if ev.Seq != seq || ev.Change != step.change ||
				ev.GetTrade().GetId() != fmt.Sprintf("%d-%d", s.account, seq) {
				t.Errorf("event {%v}, want sequence %d, %v, trade %d-%d", ev, seq, step.change, s.account, seq)
			}
			if tr := ev.GetTrade(); tr.Origin != pb.Origin_ORIGIN_CLIENT || tr.Price != ten ||
				tr.Side != step.order.Side {
				t.Errorf("trade {%v}, want a client's at 10.00", tr)
			}
			if err := differences("event",
				figure{"quantity", ev.Positions[0].Quantity, step.quantity},
				figure{"cost", ev.Positions[0].Cost, step.quantity * ten},
				figure{"realised", ev.Positions[0].Realised, 0},
				figure{"market value", ev.Positions[0].MarketValue, step.quantity * ten},
				figure{"row version", int64(ev.Positions[0].RowVersion), int64(seq)},
				figure{"cash", ev.Cash.Balance, before.Cash.Balance - step.spent},
				figure{"realised of the account", ev.Cash.Realised, before.Cash.Realised},
				figure{"total market value", ev.TotalMarketValue, before.TotalMarketValue + step.quantity*ten},
			); err != nil {
				t.Error(err)
			}
			if h := s.holdings(); h.StateHash != s.book.hash() || h.TotalMarketValue != ev.TotalMarketValue {
				t.Errorf("holdings {%v}, want state hash %#x and the event's total", h, s.book.hash())
			}
			if head := s.ping(); head != seq {
				t.Errorf("head_seq %d, want %d", head, seq)
			}
		})
		if !ok {
			return
		}
	}
}

func TestOrderForms(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.sellAll("SZ", "000001")
	limit := func(o *pb.Order, price int64) *pb.Order {
		o.LimitPrice = price
		return o
	}
	cases := []struct {
		name  string
		order *pb.Order
	}{
		{"limit buy at the price", limit(buy("SZ", "000001", 100), ten)},
		{"limit buy above the price fills at the price", limit(buy("SZ", "000001", 100), ten+100)},
		{"limit sell at the price", limit(sell("SZ", "000001", 50), ten)},
		{"limit sell below the price fills at the price", limit(sell("SZ", "000001", 50), ten-100)},
		{"MIC code of the market", buy("XSHE", "000001", 7)},
		{"an odd quantity", sell("SZ", "000001", 13)},
		{"a client order id of 64 bytes", named(buy("SZ", "000001", 1), fmt.Sprintf("%064d", s.cursor))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.on(t)
			ev := s.execute(c.order)
			tr := ev.GetTrade()
			if tr.Price != ten || tr.Quantity != c.order.Quantity || tr.Market != "SZ" || tr.Code != "000001" ||
				tr.ClientOrderId != c.order.ClientOrderId {
				t.Errorf("trade {%v}, want %d SZ.000001 at 10.00 with the order's id", tr, c.order.Quantity)
			}
		})
	}
	t.Run("fields of a later version are ignored", func(t *testing.T) {
		s.on(t)
		b, id := s.requestBytes(nil, kOrder, append(encode(buy("SZ", "000001", 1)), 0xf8, 0x07, 0x2a)) // field 127
		s.write(b)
		if f := s.answer(id); f.kind != kExecution {
			t.Errorf("answered %v, want EXECUTION", f)
		}
	})
	s.on(t)
	s.sellAll("SZ", "000001")
	s.holdings()
}

// TestMovingAverage trades at prices that move, so that cost, its share in a sale and realised profit are put to the
// test: the judge folds every event with arithmetic of its own.
func TestMovingAverage(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	srv := start(t, "--prices", "walk", "--prices.interval", "5ms")
	srv.walks = true
	s := open(t, srv, lastAccount)
	r := rand.New(rand.NewPCG(seed(t), 1))
	codes := []instrument{{"SZ", "000001"}, {"SH", "600036"}, {"SH", "601398"}}
	prices := map[int64]bool{}
	changes := map[pb.Change]int{}
	profits := 0
	moved := time.Now() // when a price was seen that is not like any before; how long 300 orders take is not judged
	for i := 0; len(prices) < 10 || i < 300; i++ {
		if len(prices) < 10 && time.Since(moved) > patience {
			t.Fatalf("after %d orders only %d prices were seen, none of them new within %v: they do not walk",
				i, len(prices), patience)
		}
		key := codes[r.IntN(len(codes))]
		held := s.book.rows[key].quantity
		o := buy(key.market, key.code, 1+r.Int64N(333))
		switch {
		case held > 0 && r.IntN(8) == 0:
			o = sell(key.market, key.code, held)
		case held > 0 && r.IntN(2) == 0:
			o = sell(key.market, key.code, 1+r.Int64N(held))
		}
		ev := s.execute(o)
		changes[ev.Change]++
		if price := ev.GetTrade().Price; !prices[price] {
			prices[price], moved = true, time.Now()
		}
		if ev.Cash.Realised != 0 {
			profits++
		}
		if i%10 == 9 {
			s.holdings()
			time.Sleep(5 * time.Millisecond) // for the prices to move on
		}
	}
	if len(changes) != 4 || profits == 0 {
		t.Fatalf("movements %v, %d events with profit or loss; want all four, and some", changes, profits)
	}
	again := dial(t, srv)
	again.until(again.login(s.account, restart).HeadSeq)
	if err := again.book.agrees(s.holdings()); err != nil {
		t.Fatalf("folded from the first event: %v", err)
	}
}
