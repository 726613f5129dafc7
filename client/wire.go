package client

import (
	"math"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// This file converts between the messages of the wire and the types of this package. Nothing
// else here knows both, except for requests that have no type of their own.

// tradeEvent holds the event of a trade and all that belongs to it in one allocation, since
// events come by the thousand.
type tradeEvent struct {
	event Event
	trade Trade
	cash  Cash
	rows  [1]Position
}

func eventFrom(m *papertapev1.AccountEvent) *Event {
	var ev *Event
	switch kind := m.GetWhat().(type) {
	case *papertapev1.AccountEvent_Trade:
		with := &tradeEvent{trade: tradeFrom(kind.Trade)}
		ev = &with.event
		ev.Trade, ev.Cash, ev.Positions = &with.trade, &with.cash, with.rows[:0]
	case *papertapev1.AccountEvent_Bust:
		ev = &Event{Bust: bustFrom(kind.Bust), Cash: new(Cash)}
	case *papertapev1.AccountEvent_Adjustment:
		a := kind.Adjustment
		ev = &Event{
			Adjustment: &Adjustment{Cash: Money(a.GetCash()), Reason: a.GetReason(), Actor: a.GetActor()},
			Cash:       new(Cash),
		}
	case *papertapev1.AccountEvent_Reset_:
		r := kind.Reset_
		ev = &Event{
			Reset: &Reset{Cash: Money(r.GetCash()), Reason: r.GetReason(), Actor: r.GetActor()}, Cash: new(Cash),
		}
	default:
		ev = &Event{Cash: new(Cash)}
	}
	ev.Account, ev.Seq, ev.Time = m.GetAccount(), m.GetSeq(), timeFrom(m.GetTime())
	ev.Change, ev.TotalMarketValue = Change(m.GetChange()), Money(m.GetTotalMarketValue())
	ev.Positions = appendPositions(ev.Positions, m.GetPositions())
	if m.GetCash() == nil {
		ev.Cash = nil
	} else {
		*ev.Cash = cashFrom(m.GetCash())
	}
	return ev
}

func tradeFrom(m *papertapev1.Trade) Trade {
	return Trade{
		ID: m.GetId(), Side: Side(m.GetSide()), Market: m.GetMarket(), Code: m.GetCode(), Name: m.GetName(),
		Quantity: m.GetQuantity(), Price: Money(m.GetPrice()), Amount: Money(m.GetAmount()), Fees: Money(m.GetFees()),
		Origin: Origin(m.GetOrigin()), ClientOrderID: m.GetClientOrderId(), Revision: m.GetRevision(),
	}
}

func bustFrom(m *papertapev1.Bust) *Bust {
	b := &Bust{
		TradeID: m.GetTradeId(), Reason: m.GetReason(), Actor: m.GetActor(), Original: tradeFrom(m.GetOriginal()),
		BustID: m.GetBustId(), Cascade: m.GetCascade(),
	}
	if m.GetReplacement() != nil {
		replacement := tradeFrom(m.GetReplacement())
		b.Replacement = &replacement
	}
	return b
}

func historyFrom(m *papertapev1.History) *History {
	h := &History{Events: make([]*Event, len(m.GetEvents())), OldestSeq: m.GetOldestSeq()}
	for i, ev := range m.GetEvents() {
		h.Events[i] = eventFrom(ev)
	}
	return h
}

func holdingsFrom(m *papertapev1.Holdings) *Holdings {
	h := &Holdings{
		Account: m.GetAccount(), AsOfSeq: m.GetAsOfSeq(), TotalMarketValue: Money(m.GetTotalMarketValue()),
		Positions: appendPositions(make([]Position, 0, len(m.GetPositions())), m.GetPositions()),
		StateHash: m.GetStateHash(),
	}
	if m.GetCash() != nil {
		cash := cashFrom(m.GetCash())
		h.Cash = &cash
	}
	return h
}

func appendPositions(dst []Position, rows []*papertapev1.Position) []Position {
	for _, p := range rows {
		dst = append(dst, Position{
			Market: p.GetMarket(), Code: p.GetCode(), Name: p.GetName(), Quantity: p.GetQuantity(),
			Sellable: p.GetSellable(),
			Price:    Money(p.GetPrice()), MarketValue: Money(p.GetMarketValue()), Cost: Money(p.GetCost()),
			Realised: Money(p.GetRealised()), RowVersion: p.GetRowVersion(),
		})
	}
	return dst
}

func cashFrom(m *papertapev1.Cash) Cash {
	return Cash{Balance: Money(m.GetBalance()), FeesPaid: Money(m.GetFeesPaid()), Realised: Money(m.GetRealised())}
}

// message is the inverse of holdingsFrom.
func (h *Holdings) message() *papertapev1.Holdings {
	m := &papertapev1.Holdings{
		Account: h.Account, AsOfSeq: h.AsOfSeq, TotalMarketValue: int64(h.TotalMarketValue), StateHash: h.StateHash,
	}
	for i := range h.Positions {
		p := &h.Positions[i]
		m.Positions = append(m.Positions, &papertapev1.Position{
			Market: p.Market, Code: p.Code, Name: p.Name, Quantity: p.Quantity, Sellable: p.Sellable,
			Price: int64(p.Price), MarketValue: int64(p.MarketValue), Cost: int64(p.Cost),
			Realised: int64(p.Realised), RowVersion: p.RowVersion,
		})
	}
	if c := h.Cash; c != nil {
		m.Cash = &papertapev1.Cash{Balance: int64(c.Balance), FeesPaid: int64(c.FeesPaid), Realised: int64(c.Realised)}
	}
	return m
}

func (o *Order) message() *papertapev1.Order {
	return &papertapev1.Order{
		Side: papertapev1.Side(o.Side), Market: o.Market, Code: o.Code, Quantity: o.Quantity,
		LimitPrice: int64(o.LimitPrice), ClientOrderId: o.ClientOrderID,
	}
}

func instrumentsFrom(m *papertapev1.Instruments) []Instrument {
	list := make([]Instrument, len(m.GetInstruments()))
	for i, in := range m.GetInstruments() {
		list[i] = Instrument{
			Market: in.GetMarket(), Code: in.GetCode(), Name: in.GetName(), Price: Money(in.GetPrice()),
			PreviousClose: Money(in.GetPreviousClose()), Lot: in.GetLot(), Tick: Money(in.GetTick()),
			Currency: in.GetCurrency(), Upper: Money(in.GetUpper()), Lower: Money(in.GetLower()),
			Status: MarketStatus(in.GetStatus()), MIC: in.GetMic(),
		}
	}
	return list
}

func quotesFrom(m *papertapev1.Quotes) []Quote {
	list := make([]Quote, len(m.GetQuotes()))
	for i, q := range m.GetQuotes() {
		list[i] = Quote{
			Market: q.GetMarket(), Code: q.GetCode(), Price: Money(q.GetPrice()), Time: timeFrom(q.GetTime()),
			Bid: Money(q.GetBid()), Ask: Money(q.GetAsk()), BidSize: q.GetBidSize(), AskSize: q.GetAskSize(),
			Size: q.GetSize(), Open: Money(q.GetOpen()), High: Money(q.GetHigh()), Low: Money(q.GetLow()),
			Volume: q.GetVolume(), PreviousClose: Money(q.GetPreviousClose()), Status: MarketStatus(q.GetStatus()),
		}
	}
	return list
}

func barsFrom(m *papertapev1.Bars) []Bar {
	list := make([]Bar, len(m.GetBars()))
	for i, b := range m.GetBars() {
		list[i] = Bar{
			Time: timeFrom(b.GetTime()), Open: Money(b.GetOpen()), High: Money(b.GetHigh()), Low: Money(b.GetLow()),
			Close: Money(b.GetClose()), Volume: b.GetVolume(), Amount: Money(b.GetAmount()), Trades: b.GetTrades(),
		}
	}
	return list
}

func tradesFrom(m *papertapev1.Trades) []TapeTrade {
	list := make([]TapeTrade, len(m.GetTrades()))
	for i, t := range m.GetTrades() {
		list[i] = TapeTrade{Time: timeFrom(t.GetTime()), Price: Money(t.GetPrice()), Size: t.GetSize(),
			Number: t.GetNumber()}
	}
	return list
}

func clockFrom(m *papertapev1.Clock) *Clock {
	return &Clock{
		Time: timeFrom(m.GetTime()), Status: MarketStatus(m.GetStatus()), NextOpen: timeIfAny(m.GetNextOpen()),
		NextClose: timeIfAny(m.GetNextClose()), Zone: m.GetZone(), Tape: m.GetTape(),
	}
}

func calendarFrom(m *papertapev1.Calendar) []CalendarDay {
	list := make([]CalendarDay, len(m.GetDays()))
	for i, d := range m.GetDays() {
		list[i].Date, list[i].Presumed = d.GetDate(), d.GetPresumed()
		for n := range min(len(d.GetOpens()), len(d.GetCloses())) {
			list[i].Sessions = append(list[i].Sessions, TradingSession{
				timeFrom(d.GetOpens()[n]), timeFrom(d.GetCloses()[n]),
			})
		}
	}
	return list
}

func (r *BarsRequest) message() *papertapev1.BarsRequest {
	return &papertapev1.BarsRequest{Market: r.Market, Code: r.Code, Seconds: r.Seconds, From: nanoseconds(r.From),
		To: nanoseconds(r.To), Limit: wireLimit(r.Limit)}
}

func (r *TradesRequest) message() *papertapev1.TradesRequest {
	return &papertapev1.TradesRequest{Market: r.Market, Code: r.Code, From: nanoseconds(r.From),
		Limit: wireLimit(r.Limit)}
}

// wireLimit returns a limit that the server refuses where the caller's does not fit.
func wireLimit(limit int) uint32 {
	if limit < 0 || limit > math.MaxInt32 {
		return math.MaxUint32
	}
	return uint32(limit)
}

func presenceFrom(m *papertapev1.Presence) *Presence {
	return &Presence{Account: m.GetAccount(), UID: m.GetUid(), Online: m.GetOnline(), Sessions: m.GetSessions()}
}

func welcomeFrom(m *papertapev1.Welcome) *Welcome {
	return &Welcome{
		UID: m.GetUid(), Protocol: m.GetProtocol(), Server: m.GetServer(), Epoch: m.GetEpoch(), Nonce: m.GetNonce(),
		ProofVersion: m.GetProofVersion(), Heartbeat: milliseconds(m.GetHeartbeatMs()), MaxFrame: m.GetMaxFrame(),
		Instance: m.GetInstance(),
	}
}

func loginReplyFrom(m *papertapev1.LoginReply) *LoginReply {
	r := &LoginReply{
		Account: m.GetAccount(), HeadSeq: m.GetHeadSeq(), OldestSeq: m.GetOldestSeq(), Epoch: m.GetEpoch(),
		Mode: ResumeMode(m.GetMode()), Resynced: m.GetResynced(),
	}
	if m.GetHoldings() != nil {
		r.Holdings = holdingsFrom(m.GetHoldings())
	}
	return r
}

func rejectFrom(m *papertapev1.Reject) *Reject {
	return &Reject{Code: RejectCode(m.GetCode()), Text: m.GetText(), RetryAfter: milliseconds(m.GetRetryAfterMs())}
}

func goodbyeFrom(m *papertapev1.Goodbye) *Goodbye {
	return &Goodbye{Reason: GoodbyeReason(m.GetReason()), Text: m.GetText(),
		RetryAfter: milliseconds(m.GetRetryAfterMs())}
}

// timeFrom converts a time of the wire, in nanoseconds since the Unix epoch.
func timeFrom(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

// timeIfAny is timeFrom for times of which 0 means none.
func timeIfAny(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return timeFrom(ns)
}

// nanoseconds is the inverse of timeIfAny.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func milliseconds(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// DecodeEvent decodes the payload of an EVENT or EXECUTION frame, for programs that cut frames
// themselves, from a recording or a connection of their own. Replay and Execution are not part
// of the payload, so they are not set.
func DecodeEvent(payload []byte) (*Event, error) {
	m := new(papertapev1.AccountEvent)
	if err := codec.Unmarshal(payload, m); err != nil {
		return nil, err
	}
	return eventFrom(m), nil
}

// DecodeHoldings decodes the payload of a HOLDINGS frame.
func DecodeHoldings(payload []byte) (*Holdings, error) {
	m := new(papertapev1.Holdings)
	if err := codec.Unmarshal(payload, m); err != nil {
		return nil, err
	}
	return holdingsFrom(m), nil
}
