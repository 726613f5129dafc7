package console

import (
	"fmt"
	"strconv"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Money is an amount in 1/10000 of the currency. In JSON it is a decimal string: "9.98",
// "-0.0001".
type Money int64

// String returns the amount as market.FormatMoney writes it.
func (m Money) String() string { return market.FormatMoney(int64(m)) }

// MarshalText writes the decimal string.
func (m Money) MarshalText() ([]byte, error) { return market.AppendMoney(nil, int64(m)), nil }

// UnmarshalText reads a decimal string.
func (m *Money) UnmarshalText(text []byte) error {
	v, err := market.ParseMoney(string(text))
	*m = Money(v)
	return err
}

// Hash is the state hash of the wire protocol. In JSON it is a string of 16 hexadecimal digits,
// because many JSON readers do not keep 64 bits of a number.
type Hash uint64

const hashDigits = 16

// String returns the hash in hexadecimal.
func (h Hash) String() string { return fmt.Sprintf("%0*x", hashDigits, uint64(h)) }

// MarshalText writes the hexadecimal string.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a hexadecimal string.
func (h *Hash) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != hashDigits {
		return fmt.Errorf("%q is not a state hash of %d hexadecimal digits", text, hashDigits)
	}
	*h = Hash(v)
	return nil
}

// Holdings is an account as of a sequence. Positions are sorted by market and code.
type Holdings struct {
	Account          uint64     `json:"account"`
	AsOfSeq          uint64     `json:"as_of_seq"`
	StateHash        Hash       `json:"state_hash"`
	Cash             Cash       `json:"cash"`
	TotalMarketValue Money      `json:"total_market_value"`
	Positions        []Position `json:"positions"`
}

// Cash is an account's money. FeesPaid and Realised are totals since the account was opened.
type Cash struct {
	Balance  Money `json:"balance"`
	FeesPaid Money `json:"fees_paid"`
	Realised Money `json:"realised"`
}

// Position is a row of an account at a price. Quantities are shares. In an event, Quantity 0
// means that the row is gone.
type Position struct {
	Market      string `json:"market"`
	Code        string `json:"code"`
	Name        string `json:"name"`
	Quantity    int64  `json:"quantity"`
	Sellable    int64  `json:"sellable"`
	Price       Money  `json:"price"`
	MarketValue Money  `json:"market_value"`
	Cost        Money  `json:"cost"`
	Realised    Money  `json:"realised"`
	RowVersion  uint64 `json:"row_version"`
}

// History is a page of an account's events, newest first.
type History struct {
	Account   uint64 `json:"account"`
	OldestSeq uint64 `json:"oldest_seq"` // the oldest that is kept; 0: none
	// NextBefore and NextAfter are from where to go on, in either direction; 0: there is nothing more.
	NextBefore uint64  `json:"next_before,omitempty"`
	NextAfter  uint64  `json:"next_after,omitempty"`
	Scanned    *int    `json:"scanned,omitempty"` // events that were looked at, where only some are wanted
	Events     []Event `json:"events"`
}

// Event is one change of an account, with the state after it of what it changed. One of Trade,
// Bust and Adjustment is set.
type Event struct {
	Seq              uint64      `json:"seq"`
	Time             time.Time   `json:"time"`
	Trade            *Trade      `json:"trade,omitempty"`
	Bust             *Bust       `json:"bust,omitempty"`
	Adjustment       *Adjustment `json:"adjustment,omitempty"`
	Change           string      `json:"change,omitempty"` // opened, increased, decreased, closed, unchanged
	Positions        []Position  `json:"positions"`
	Cash             Cash        `json:"cash"`
	TotalMarketValue Money       `json:"total_market_value"`
}

// Trade is an executed order.
type Trade struct {
	ID            string `json:"id"`   // account-seq
	Side          string `json:"side"` // buy, sell
	Market        string `json:"market"`
	Code          string `json:"code"`
	Name          string `json:"name"`
	Quantity      int64  `json:"quantity"`
	Price         Money  `json:"price"`
	Amount        Money  `json:"amount"`
	Fees          Money  `json:"fees"`
	Origin        string `json:"origin"` // client, simulator, operator
	ClientOrderID string `json:"client_order_id,omitempty"`
	Revision      uint32 `json:"revision"`
}

// Bust says that a trade was taken back or corrected.
type Bust struct {
	TradeID     string   `json:"trade_id"`
	Reason      string   `json:"reason"`
	Actor       string   `json:"actor"`
	BustID      string   `json:"bust_id,omitempty"`
	Original    Trade    `json:"original"`
	Replacement *Trade   `json:"replacement,omitempty"`
	Cascade     []string `json:"cascade,omitempty"` // trades that were taken back along with it
}

// Adjustment is a booking of cash.
type Adjustment struct {
	Cash   Money  `json:"cash"`
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
}

// Simulator is the state of the simulated trades. The counters begin with the start of the
// server.
type Simulator struct {
	Rate       float64 `json:"rate"` // fills per second over all accounts; 0: off, or paused
	Paused     bool    `json:"paused"`
	Remembered float64 `json:"remembered_rate"`  // at which it goes on
	Script     *Script `json:"script,omitempty"` // nil: none is played
	Fills      uint64  `json:"fills"`            // executed
	Refused    uint64  `json:"refused"`          // orders that the ledger refused
	None       uint64  `json:"none"`             // times that the drawn account had nothing to do
	Skipped    uint64  `json:"skipped"`          // draws dropped because the server was busy
}

// Script is what a scenario script has done.
type Script struct {
	Steps   int    `json:"steps"`
	Done    int    `json:"done"`    // steps that have ended
	Running bool   `json:"running"` // some are still to come
	Fills   uint64 `json:"fills"`
	Busts   uint64 `json:"busts"`   // trades taken back or corrected
	Refused uint64 `json:"refused"` // by the book, or with nothing to act on
	Skipped uint64 `json:"skipped"` // since the server was busy
}

// ErrorBody is the content of an error answer.
type ErrorBody struct {
	Code         string   `json:"code"`
	Message      string   `json:"message"`
	InTheWay     []string `json:"in_the_way,omitempty"`      // trades to take back first, newest first
	MoreInTheWay bool     `json:"more_in_the_way,omitempty"` // there are more of them
}

type failure struct {
	Error ErrorBody `json:"error"`
}

type status struct {
	Status string `json:"status"`
}

// changeFlow is a change of the flow. One of its members must be there.
type changeFlow struct {
	Rate   *float64 `json:"rate,omitempty"`
	Paused *bool    `json:"paused,omitempty"`
}

func newHoldings(u *market.Universe, h *positions.Holdings) Holdings {
	return Holdings{
		Account: h.Account, AsOfSeq: h.Seq, StateHash: Hash(h.Hash), Cash: newCash(h.Cash),
		TotalMarketValue: Money(h.TotalMarketValue), Positions: newPositions(u, h.Positions),
	}
}

func newCash(c positions.Cash) Cash {
	return Cash{Balance: Money(c.Balance), FeesPaid: Money(c.FeesPaid), Realised: Money(c.Realised)}
}

// newPositions never returns nil, so that an account without rows is [] and not null.
func newPositions(u *market.Universe, rows []positions.Position) []Position {
	list := make([]Position, len(rows))
	for i := range rows {
		p := &rows[i]
		in := u.At(p.Instrument)
		list[i] = Position{
			Market: in.Market, Code: in.Code, Name: in.Name, Quantity: p.Quantity, Sellable: p.Sellable,
			Price: Money(p.Price), MarketValue: Money(p.MarketValue()),
			Cost: Money(p.Cost), Realised: Money(p.Realised),
			RowVersion: p.Version,
		}
	}
	return list
}

func newHistory(u *market.Universe, account, oldest uint64, events []positions.Event) History {
	list := make([]Event, len(events))
	for i := range events {
		list[i] = newEvent(u, &events[i])
	}
	return History{Account: account, OldestSeq: oldest, Events: list}
}

func newEvent(u *market.Universe, ev *positions.Event) Event {
	e := Event{
		Seq: ev.Seq, Time: time.Unix(0, ev.Time).UTC(), Change: changeName(ev.Change), Cash: newCash(ev.Cash),
		TotalMarketValue: Money(ev.TotalMarketValue),
	}
	var touched []positions.Position
	switch ev.Kind {
	case positions.KindTrade:
		e.Trade = newTrade(u, ev.Account, ev.Seq, &ev.Trade)
		touched = []positions.Position{ev.Position}
	case positions.KindBust:
		e.Bust = newBust(u, ev.Account, ev.Bust)
		touched = ev.Bust.Positions
	case positions.KindAdjustment:
		a := ev.Adjustment
		e.Adjustment = &Adjustment{Cash: Money(a.Cash), Reason: a.Reason, Actor: a.Actor}
	}
	e.Positions = newPositions(u, touched)
	return e
}

func newTrade(u *market.Universe, account, seq uint64, t *positions.Trade) *Trade {
	in := u.At(t.Instrument)
	return &Trade{
		ID: tradeID(account, seq), Side: sideName(t.Side), Market: in.Market, Code: in.Code, Name: in.Name,
		Quantity: t.Quantity, Price: Money(t.Price), Amount: Money(t.Amount), Fees: Money(t.Fees),
		Origin: originName(t.Origin), ClientOrderID: t.OrderID.String(), Revision: t.Revision,
	}
}

func newBust(u *market.Universe, account uint64, b *positions.Bust) *Bust {
	bust := &Bust{
		TradeID: tradeID(account, b.TradeSeq), Reason: b.Reason, Actor: b.Actor, BustID: b.ID,
		Original: *newTrade(u, account, b.TradeSeq, &b.Original),
	}
	if b.Replacement != nil {
		bust.Replacement = newTrade(u, account, b.TradeSeq, b.Replacement)
	}
	for _, seq := range b.Cascade {
		bust.Cascade = append(bust.Cascade, tradeID(account, seq))
	}
	return bust
}

func sideName(s positions.Side) string {
	if s == positions.Buy {
		return "buy"
	}
	return "sell"
}

func originName(o positions.Origin) string {
	switch o {
	case positions.OriginClient:
		return "client"
	case positions.OriginSimulator:
		return "simulator"
	default:
		return "operator"
	}
}

// changeName is empty for events that change no position.
func changeName(c positions.Change) string {
	names := [...]string{
		positions.Opened: "opened", positions.Increased: "increased", positions.Decreased: "decreased",
		positions.Closed: "closed", positions.Unchanged: "unchanged",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return ""
}
