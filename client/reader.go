package client

import (
	"fmt"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// message is what codec.Unmarshal can fill.
type message interface {
	codec.Message
	UnmarshalVT([]byte) error
	Reset()
}

func decode(f codec.Frame, m message) error {
	if err := codec.Unmarshal(f.Payload, m); err != nil {
		return protocolErrorf("%v does not parse: %v", f.Type, err)
	}
	return nil
}

// read processes frames until the client ends. It is the only goroutine that reads after the
// login.
func (c *Client) read() {
	defer c.goroutines.Done()
	for {
		f, err := c.frames.next()
		if err != nil {
			if c.rejected != nil {
				err = fmt.Errorf("%w (%w)", c.rejected, err)
			}
			c.fail(err)
			return
		}
		if err := c.take(f); err != nil {
			c.fail(err)
			return
		}
	}
}

// take dispatches one frame. An error ends the client.
func (c *Client) take(f codec.Frame) error {
	switch f.Type {
	case codec.TypeEvent, codec.TypeExecution:
		return c.takeEvent(f)
	case codec.TypePing:
		return c.takePing(f)
	case codec.TypePong:
		m := new(papertapev1.Pong)
		if err := decode(f, m); err != nil {
			return err
		}
		if err := c.checkHead(m.GetHeadSeq(), "PONG"); err != nil {
			return err
		}
		return c.answer(f, m)
	case codec.TypeHoldingsReply:
		return c.takeHoldings(f)
	case codec.TypeHistoryReply:
		m := new(papertapev1.History)
		if err := decode(f, m); err != nil {
			return err
		}
		return c.answer(f, historyFrom(m))
	case codec.TypeInstrumentsReply:
		m := new(papertapev1.Instruments)
		if err := decode(f, m); err != nil {
			return err
		}
		return c.answer(f, m)
	case codec.TypeBarsReply, codec.TypeTradesReply, codec.TypeClockReply, codec.TypeCalendarReply:
		return c.takeMarket(f)
	case codec.TypeSubscribed:
		m := new(papertapev1.Subscribed)
		if err := decode(f, m); err != nil {
			return err
		}
		return c.answer(f, m)
	case codec.TypeQuotes:
		return c.takeQuotes(f)
	case codec.TypePresence:
		return c.takePresence(f)
	case codec.TypeReject:
		return c.takeReject(f)
	case codec.TypeGoodbye:
		return c.goodbyeError(f)
	case codec.TypeWelcome, codec.TypeLoginReply:
		return protocolErrorf("%v came in the middle of a session", f.Type)
	}
	return nil // a type that this client did not ask for or does not know
}

// takeMarket hands on the answer to a question about the market.
func (c *Client) takeMarket(f codec.Frame) error {
	var m message
	var answer func() any
	switch f.Type {
	case codec.TypeBarsReply:
		bars := new(papertapev1.Bars)
		m, answer = bars, func() any { return page[Bar]{barsFrom(bars), bars.GetMore()} }
	case codec.TypeTradesReply:
		trades := new(papertapev1.Trades)
		m, answer = trades, func() any { return page[TapeTrade]{tradesFrom(trades), trades.GetMore()} }
	case codec.TypeClockReply:
		clock := new(papertapev1.Clock)
		m, answer = clock, func() any { return clockFrom(clock) }
	default:
		days := new(papertapev1.Calendar)
		m, answer = days, func() any { return calendarFrom(days) }
	}
	if err := decode(f, m); err != nil {
		return err
	}
	return c.answer(f, answer())
}

// takeEvent checks an event's place in the sequence and hands it on: first to the call that
// waits for it, then to Next. So a caller who calls Order and Next in turn is not blocked by a
// full stream.
func (c *Client) takeEvent(f codec.Frame) error {
	m := &c.event
	if err := decode(f, m); err != nil {
		return err
	}
	if m.GetAccount() != c.login.Account {
		return protocolErrorf("%v of account %d came on a connection of account %d", f.Type, m.GetAccount(),
			c.login.Account)
	}
	execution := f.Type == codec.TypeExecution
	ev := eventFrom(m)
	ev.Replay, ev.Execution = f.Flags&codec.FlagReplay != 0, execution
	if execution && ev.Replay {
		return c.answer(f, ev) // it repeats an earlier execution, so it is not in the stream
	}
	if m.GetSeq() != c.last+1 {
		return c.gapError(m.GetSeq(), f.Type.String())
	}
	if execution {
		if err := c.answer(f, ev); err != nil {
			return err
		}
	}
	if !c.discard && !c.stream.put(ev, c.done) {
		return c.err
	}
	c.last++
	return nil
}

// takeQuotes and takePresence hand on the messages that have no sequence. A slow caller gets
// only the latest.
func (c *Client) takeQuotes(f codec.Frame) error {
	m := new(papertapev1.Quotes)
	if err := decode(f, m); err != nil {
		return err
	}
	if !c.discard {
		c.stream.quote(quotesFrom(m))
	}
	return nil
}

func (c *Client) takePresence(f codec.Frame) error {
	m := new(papertapev1.Presence)
	if err := decode(f, m); err != nil {
		return err
	}
	if !c.discard {
		c.stream.present(presenceFrom(m))
	}
	return nil
}

// takePing answers the server's ping. If the queue is full, the PONG is dropped: the server is
// not reading.
func (c *Client) takePing(f codec.Frame) error {
	m := new(papertapev1.Ping)
	if err := decode(f, m); err != nil {
		return err
	}
	select {
	case c.out <- codec.Append(nil, codec.TypePong, codec.FlagReply, f.ID, &papertapev1.Pong{}):
	default:
	}
	return c.checkHead(m.GetHeadSeq(), "PING")
}

// takeHoldings hands on holdings. Their sequence must not be later than the last event
// received.
func (c *Client) takeHoldings(f codec.Frame) error {
	m := new(papertapev1.Holdings)
	if err := decode(f, m); err != nil {
		return err
	}
	if m.GetAsOfSeq() > c.last {
		return c.gapError(m.GetAsOfSeq(), "HOLDINGS")
	}
	return c.answer(f, holdingsFrom(m))
}

func (c *Client) takeReject(f codec.Frame) error {
	reject, err := c.decodeReject(f)
	if err != nil {
		return err
	}
	if f.ID == 0 {
		c.rejected = reject
		return nil
	}
	return c.answer(f, reject)
}

// checkHead compares the newest sequence that the server reports with the last one received.
// During the replay that the login announced, the newest may be ahead.
func (c *Client) checkHead(head uint64, where string) error {
	switch {
	case head < c.last:
		return protocolErrorf("account %d: %s says that seq %d is the newest, but seq %d came before it",
			c.login.Account, where, head, c.last)
	case head > c.last && c.last >= c.login.HeadSeq:
		return c.gapError(head, where)
	}
	return nil
}

func (c *Client) gapError(got uint64, where string) error {
	return &GapError{Account: c.login.Account, Last: c.last, Got: got, Where: where}
}

func (c *Client) decodeReject(f codec.Frame) (*Reject, error) {
	m := new(papertapev1.Reject)
	if err := decode(f, m); err != nil {
		return nil, err
	}
	return rejectFrom(m), nil
}

// goodbyeError returns the error for a GOODBYE, the server's last frame.
func (c *Client) goodbyeError(f codec.Frame) error {
	m := new(papertapev1.Goodbye)
	if err := decode(f, m); err != nil {
		return err
	}
	bye := goodbyeFrom(m)
	if c.rejected != nil {
		return fmt.Errorf("%w (%w)", bye, c.rejected)
	}
	return bye
}
