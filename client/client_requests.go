package client

import (
	"context"
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// call is a request under way.
type call struct {
	answerType codec.Type      // the type expected of the answer
	answer     chan any        // buffered for one: the answer, or a *Reject
	onHoldings func(*Holdings) // HOLDINGS: the reader calls it before it reads on; may be nil
}

// Order places an order and returns its execution; a refusal is a [*Reject]. Side, market, code
// and quantity (in shares) are required. Without a LimitPrice it is a market order. An order
// with a ClientOrderID may be sent again without being executed again: the answer is then the
// first execution with Replay set, and does not enter the stream.
//
// If ctx ends first, the order may still be executed. The event then comes in the stream.
func (c *Client) Order(ctx context.Context, o Order) (*Event, error) {
	answer, err := c.do(ctx, codec.TypeOrder, codec.TypeExecution, o.message())
	if err != nil {
		return nil, err
	}
	return answer.(*Event), nil
}

// Buy buys shares with a market order.
func (c *Client) Buy(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return c.Order(ctx, Order{Side: Buy, Market: market, Code: code, Quantity: quantity})
}

// Sell sells shares with a market order.
func (c *Client) Sell(ctx context.Context, market, code string, quantity int64) (*Event, error) {
	return c.Order(ctx, Order{Side: Sell, Market: market, Code: code, Quantity: quantity})
}

// Holdings asks for the account's current holdings. All events up to their as_of_seq are in the
// stream before it returns.
func (c *Client) Holdings(ctx context.Context) (*Holdings, error) {
	answer, err := c.do(ctx, codec.TypeHoldings, codec.TypeHoldingsReply, &papertapev1.HoldingsRequest{})
	if err != nil {
		return nil, err
	}
	return answer.(*Holdings), nil
}

// History asks for at most limit events (0 means 20; the maximum is 100) with sequences below
// before (0 means from the newest), newest first. The server may send fewer. The end is reached
// at the answer's oldest_seq.
func (c *Client) History(ctx context.Context, before uint64, limit int) (*History, error) {
	if limit < 0 {
		return nil, fmt.Errorf("history of %d events: the limit is 0 to 100", limit)
	}
	request := &papertapev1.HistoryRequest{BeforeSeq: before, Limit: uint32(min(limit, 100))}
	answer, err := c.do(ctx, codec.TypeHistory, codec.TypeHistoryReply, request)
	if err != nil {
		return nil, err
	}
	return answer.(*History), nil
}

// Instruments asks for instruments and their prices by codes such as "SH.600519". Without codes
// it asks for all of them, a page after the other, by market and code.
func (c *Client) Instruments(ctx context.Context, codes ...string) ([]Instrument, error) {
	var all []Instrument
	request := &papertapev1.InstrumentsRequest{Codes: codes}
	for {
		answer, err := c.do(ctx, codec.TypeInstruments, codec.TypeInstrumentsReply, request)
		if err != nil {
			return nil, err
		}
		page := answer.(*papertapev1.Instruments)
		all = append(all, instrumentsFrom(page)...)
		if !page.GetMore() || len(codes) > 0 {
			return all, nil
		}
		if len(page.GetInstruments()) == 0 || len(all) > instrumentsMax {
			return nil, protocolErrorf("the list of instruments does not end after %d", len(all))
		}
		last := &all[len(all)-1]
		request.After = last.Market + "." + last.Code
	}
}

// instrumentsMax is more instruments than a server has.
const instrumentsMax = 1 << 16

// Ping asks the server for a sign of life. Like the heartbeat, it also compares sequences.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.do(ctx, codec.TypePing, codec.TypePong, &papertapev1.Ping{})
	return err
}

// Subscribe subscribes to exactly the topics named. Without topics it ends all subscriptions.
// NextUpdate returns what the topics deliver.
func (c *Client) Subscribe(ctx context.Context, topics ...Topic) error {
	request, err := subscription(topics)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, codec.TypeSubscribe, codec.TypeSubscribed, request)
	return err
}

func subscription(topics []Topic) (*papertapev1.Subscribe, error) {
	request := new(papertapev1.Subscribe)
	for _, t := range topics {
		switch t {
		case TopicQuotes:
			request.Quotes = true
		case TopicPresence:
			request.Presence = true
		default:
			return nil, fmt.Errorf("subscribe to topic %d: there are TopicQuotes and TopicPresence", t)
		}
	}
	return request, nil
}

// SubscribeQuotes subscribes to the quotes that o says, and to the topics named. It replaces what
// was subscribed to before.
func (c *Client) SubscribeQuotes(ctx context.Context, o QuotesOptions, topics ...Topic) error {
	request, err := subscribed{withQuotes(topics), o}.message()
	if err != nil {
		return err
	}
	_, err = c.do(ctx, codec.TypeSubscribe, codec.TypeSubscribed, request)
	return err
}

// page is a part of a list.
type page[T any] struct {
	list []T
	more bool
}

// Bars asks for bars of an instrument, ascending. The server may send fewer than the limit. more
// says that there are later ones: ask on from the last time plus a nanosecond. A server that
// keeps none refuses with UnknownType.
func (c *Client) Bars(ctx context.Context, r BarsRequest) (bars []Bar, more bool, err error) {
	answer, err := c.do(ctx, codec.TypeBars, codec.TypeBarsReply, r.message())
	if err != nil {
		return nil, false, err
	}
	p := answer.(page[Bar])
	return p.list, p.more, nil
}

// Trades asks for trades of an instrument, as Bars does for its bars.
func (c *Client) Trades(ctx context.Context, r TradesRequest) (trades []TapeTrade, more bool, err error) {
	answer, err := c.do(ctx, codec.TypeTrades, codec.TypeTradesReply, r.message())
	if err != nil {
		return nil, false, err
	}
	p := answer.(page[TapeTrade])
	return p.list, p.more, nil
}

// Clock asks for the time of a market, such as SH or XSHG, and when it opens and closes next.
func (c *Client) Clock(ctx context.Context, market string) (*Clock, error) {
	answer, err := c.do(ctx, codec.TypeClock, codec.TypeClockReply, &papertapev1.ClockRequest{Market: market})
	if err != nil {
		return nil, err
	}
	return answer.(*Clock), nil
}

// Calendar asks for the trading days of a market from one date to another, such as 2026-01-05, both
// included. They may span 366 days.
func (c *Client) Calendar(ctx context.Context, market, from, to string) ([]CalendarDay, error) {
	answer, err := c.do(ctx, codec.TypeCalendar, codec.TypeCalendarReply,
		&papertapev1.CalendarRequest{Market: market, From: from, To: to})
	if err != nil {
		return nil, err
	}
	return answer.([]CalendarDay), nil
}

// do sends one request and waits for its answer.
func (c *Client) do(ctx context.Context, t, answerType codec.Type, m codec.Message) (any, error) {
	waiting := newCall(answerType)
	if err := c.send(ctx, t, waiting, m); err != nil {
		return nil, err
	}
	return c.await(ctx, waiting)
}

func newCall(answerType codec.Type) *call {
	return &call{answerType: answerType, answer: make(chan any, 1)}
}

// await waits for the answer to a request that was sent. If the client ends first, the error is
// what ended it.
func (c *Client) await(ctx context.Context, waiting *call) (any, error) {
	var answer any
	select {
	case answer = <-waiting.answer:
	case <-ctx.Done():
		return nil, ctx.Err() // the answer is dropped when it comes
	case <-c.done:
		select {
		case answer = <-waiting.answer: // it came before the client ended
		default:
			return nil, c.err
		}
	}
	if reject, refused := answer.(*Reject); refused {
		return nil, reject
	}
	return answer, nil
}

// send gives a request its id and hands it to the writer.
func (c *Client) send(ctx context.Context, t codec.Type, waiting *call, m codec.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id, ok := c.register(waiting)
	if !ok {
		return ErrInFlight
	}
	frame := codec.Append(nil, t, 0, id, m)
	err := c.tooLarge(t, frame)
	if err == nil {
		select {
		case c.out <- frame:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.done:
			err = c.err
		}
	}
	c.forget(id)
	return err
}

// tooLarge refuses a frame over the server's limit, which the server would answer with a
// GOODBYE. The limit is for the length field, which counts what follows its own four bytes.
func (c *Client) tooLarge(t codec.Type, frame []byte) error {
	limit := c.welcome.MaxFrame
	if length := len(frame) - 4; limit > 0 && length > int(limit) {
		return fmt.Errorf("%v would be a frame of length %d: the server takes %d", t, length, limit)
	}
	return nil
}

func (c *Client) register(waiting *call) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inFlight) >= inFlightRequestsMax {
		return 0, false
	}
	c.lastID++
	c.inFlight[c.lastID] = waiting
	return c.lastID, true
}

func (c *Client) forget(id uint64) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.inFlight[id]
	delete(c.inFlight, id)
	return waiting
}

// answer hands an answer to the call that waits for it. Every request is answered exactly once,
// with the type that belongs to it or with a REJECT.
func (c *Client) answer(f codec.Frame, m any) error {
	waiting := c.forget(f.ID)
	switch {
	case waiting == nil:
		return protocolErrorf("%v answers request %d, which is not under way", f.Type, f.ID)
	case f.Flags&codec.FlagReply == 0:
		return protocolErrorf("%v answers request %d without REPLY", f.Type, f.ID)
	case f.Type != waiting.answerType && f.Type != codec.TypeReject:
		return protocolErrorf("request %d was answered with %v: expected %v", f.ID, f.Type, waiting.answerType)
	}
	if h, ok := m.(*Holdings); ok && waiting.onHoldings != nil {
		waiting.onHoldings(h)
	}
	waiting.answer <- m
	return nil
}

// appendHeartbeat appends a ping whose answer nobody waits for. If the limit of requests under
// way is reached, no ping is needed.
func (c *Client) appendHeartbeat(dst []byte) []byte {
	id, ok := c.register(newCall(codec.TypePong))
	if !ok {
		return dst
	}
	return codec.Append(dst, codec.TypePing, 0, id, &papertapev1.Ping{})
}
