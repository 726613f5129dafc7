package console

import (
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
)

// Accounts is a page of accounts by number. The next page begins after the last number of this one; an empty page, or one
// shorter than was asked for, is the last.
type Accounts struct {
	Accounts []Account `json:"accounts"`
}

// Account is a line of the listing. Pages are of no one moment: each account is as it was when the ledger came to it.
type Account struct {
	Account          uint64 `json:"account"`
	Seq              uint64 `json:"seq"` // of its newest event
	Cash             Cash   `json:"cash"`
	TotalMarketValue Money  `json:"total_market_value"`
	Rows             int    `json:"rows"`     // instruments held
	Sessions         int    `json:"sessions"` // logged in
}

// Sessions are all connections of clients, by uid.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

// Session is a connection of a client.
type Session struct {
	UID          uint64    `json:"uid"`
	Account      uint64    `json:"account"` // 0: not logged in
	Remote       string    `json:"remote"`  // host:port
	Since        time.Time `json:"since"`
	WaitingBytes int       `json:"waiting_bytes"` // that the client has still to take
	InFlight     int       `json:"in_flight"`     // requests without an answer
	CatchingUp   bool      `json:"catching_up"`
}

// Counters are what a server has counted since its start, and some things as they are now.
type Counters struct {
	Counters []Counter `json:"counters"`
}

// Counter is one of them.
type Counter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
	What  string `json:"what"` // for people
}

// Instruments is everything that is traded, by market and code.
type Instruments struct {
	Instruments []Instrument `json:"instruments"`
}

// Instrument is one thing that is traded, at the price of now. Lot is in shares.
type Instrument struct {
	Market        string `json:"market"`
	Code          string `json:"code"`
	Name          string `json:"name"`
	Price         Money  `json:"price"`
	PreviousClose Money  `json:"previous_close"`
	Lot           uint32 `json:"lot"`
	Tick          Money  `json:"tick"`
}

type logLevel struct {
	Level string `json:"level"`
}

// The listings are never nil: none is [], not null.

func newAccounts(infos []engine.AccountInfo) Accounts {
	list := make([]Account, len(infos))
	for i := range infos {
		in := &infos[i]
		list[i] = Account{
			Account: in.Number, Seq: in.Seq, Cash: newCash(in.Cash), TotalMarketValue: Money(in.TotalMarketValue),
			Rows: in.Rows, Sessions: in.Sessions,
		}
	}
	return Accounts{list}
}

func newSessions(infos []gateway.SessionInfo) Sessions {
	list := make([]Session, len(infos))
	for i := range infos {
		list[i] = newSession(&infos[i])
	}
	return Sessions{list}
}

func newSession(in *gateway.SessionInfo) Session {
	return Session{
		UID: in.UID, Account: in.Account, Remote: in.Remote, Since: in.Since.UTC(), WaitingBytes: in.WaitingBytes,
		InFlight: in.InFlight, CatchingUp: in.CatchingUp,
	}
}

func newInstruments(u *market.Universe, prices *market.Prices) Instruments {
	list := make([]Instrument, u.Len())
	for i := range list {
		id := market.ID(i)
		in := u.At(id)
		list[i] = Instrument{
			Market: in.Market, Code: in.Code, Name: in.Name, Price: Money(prices.At(id)), PreviousClose: Money(in.PreviousClose),
			Lot: in.Lot, Tick: Money(in.Tick),
		}
	}
	return Instruments{list}
}
