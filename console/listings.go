package console

import (
	"net/http"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
)

// Accounts is a page of accounts. By number, the next page begins after the last number of this one. A
// page that is shorter than asked for is the last.
type Accounts struct {
	Accounts []Account `json:"accounts"`
	Total    int       `json:"total"` // how many there are, whatever page is asked for
}

// Account is an account in a listing. A page is not a consistent snapshot: each account is as
// it was when the ledger read it.
type Account struct {
	Account          uint64 `json:"account"`
	Seq              uint64 `json:"seq"` // of its newest event
	Cash             Cash   `json:"cash"`
	TotalMarketValue Money  `json:"total_market_value"`
	Equity           Money  `json:"equity"` // cash and market value
	// LastEvent is when Seq happened; nil: the event is not in memory any more.
	LastEvent *time.Time `json:"last_event,omitempty"`
	Rows      int        `json:"rows"`     // instruments held
	Sessions  int        `json:"sessions"` // logged in
}

// Sessions are client connections.
type Sessions struct {
	Sessions []Session     `json:"sessions"`
	Total    int           `json:"total"` // that fit what was asked, whatever page
	Totals   SessionTotals `json:"totals"`
}

// SessionTotals are of all connections.
type SessionTotals struct {
	Sessions     int `json:"sessions"`
	Live         int `json:"live"`
	CatchingUp   int `json:"catching_up"`
	NotLoggedIn  int `json:"not_logged_in"`
	WaitingBytes int `json:"waiting_bytes"`
	InFlight     int `json:"in_flight"`
}

// EndedSessions are sessions that were logged in and have ended, newest first.
type EndedSessions struct {
	Sessions []EndedSession `json:"sessions"`
	Ended    uint64         `json:"ended"` // since the start
}

// EndedSession is a session that has ended.
type EndedSession struct {
	UID            uint64    `json:"uid"`
	Account        uint64    `json:"account"`
	Key            string    `json:"key"`
	Remote         string    `json:"remote"`
	Since          time.Time `json:"since"`
	Ended          time.Time `json:"ended"`
	Cause          string    `json:"cause"`
	WaitedBytes    int       `json:"waited_bytes"` // that its client has not taken
	FramesReceived uint64    `json:"frames_received"`
	FramesSent     uint64    `json:"frames_sent"`
	BytesReceived  uint64    `json:"bytes_received"`
	BytesSent      uint64    `json:"bytes_sent"`
}

// Session is a client connection.
type Session struct {
	UID          uint64    `json:"uid"`
	Account      uint64    `json:"account"` // 0: not logged in
	Key          string    `json:"key"`     // name of the key that it logged in with; empty: none
	Remote       string    `json:"remote"`  // host:port
	Since        time.Time `json:"since"`
	WaitingBytes int       `json:"waiting_bytes"` // that the client has not read yet
	InFlight     int       `json:"in_flight"`     // requests without an answer
	CatchingUp   bool      `json:"catching_up"`
	State        string    `json:"state"`     // not_logged_in, catching_up, live
	LastRead     time.Time `json:"last_read"` // when something came from it last

	FramesReceived uint64 `json:"frames_received"`
	FramesSent     uint64 `json:"frames_sent"` // those that wait included
	BytesReceived  uint64 `json:"bytes_received"`
	BytesSent      uint64 `json:"bytes_sent"`
}

// Counters are what a server has counted since its start, and some current values.
type Counters struct {
	Counters []Counter `json:"counters"`
}

// Counter is a counter or a current value.
type Counter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
	What  string `json:"what"` // a description for people
}

// Instruments is a page of what is traded, sorted by market and code.
type Instruments struct {
	Instruments []Instrument `json:"instruments"`
	Total       int          `json:"total"` // how many there are, whatever page is asked for
	More        bool         `json:"more"`  // there are more behind the last
}

// Instrument is something that is traded, with its current price. Lot is in shares.
type Instrument struct {
	Market        string `json:"market"`
	Code          string `json:"code"`
	Name          string `json:"name"`
	Price         Money  `json:"price"`
	PreviousClose Money  `json:"previous_close"`
	Lot           uint32 `json:"lot"`
	Tick          Money  `json:"tick"` // at PreviousClose
	Currency      string `json:"currency"`
	Upper         Money  `json:"upper,omitempty"` // of the day; 0: there is no limit
	Lower         Money  `json:"lower,omitempty"`
	Status        string `json:"status"` // open, closed, halted or auction
	MIC           string `json:"mic"`    // of the exchange; empty: not known
}

type logLevel struct {
	Level string `json:"level"`
}

// The listings below are never nil, so that an empty one is [] and not null.

func newAccounts(infos []engine.AccountInfo, total int) Accounts {
	list := make([]Account, len(infos))
	for i := range infos {
		list[i] = newAccount(&infos[i])
	}
	return Accounts{list, total}
}

func newAccount(in *engine.AccountInfo) Account {
	a := Account{
		Account: in.Number, Seq: in.Seq, Cash: newCash(in.Cash), TotalMarketValue: Money(in.TotalMarketValue),
		Equity: Money(in.Equity()), Rows: in.Rows, Sessions: in.Sessions,
	}
	if in.Time != 0 {
		at := time.Unix(0, in.Time).UTC()
		a.LastEvent = &at
	}
	return a
}

func newSessions(infos []gateway.SessionInfo, total int, totals gateway.SessionTotals) Sessions {
	list := make([]Session, len(infos))
	for i := range infos {
		list[i] = newSession(&infos[i])
	}
	return Sessions{list, total, SessionTotals(totals)}
}

func newEndedSessions(ended []gateway.EndedSession, all uint64) EndedSessions {
	list := make([]EndedSession, len(ended))
	for i := range ended {
		e := &ended[i]
		list[i] = EndedSession{
			UID: e.UID, Account: e.Account, Key: e.Key, Remote: e.Remote, Since: e.Since.UTC(), Ended: e.Ended.UTC(),
			Cause: e.Cause, WaitedBytes: e.WaitingBytes, FramesReceived: e.FramesReceived, FramesSent: e.FramesSent,
			BytesReceived: e.BytesReceived, BytesSent: e.BytesSent,
		}
	}
	return EndedSessions{list, all}
}

func newSession(in *gateway.SessionInfo) Session {
	return Session{
		UID: in.UID, Account: in.Account, Key: in.Key, Remote: in.Remote, Since: in.Since.UTC(),
		WaitingBytes: in.WaitingBytes,
		InFlight:     in.InFlight, CatchingUp: in.CatchingUp, State: stateNames[in.State()],
		LastRead:       in.LastRead.UTC(),
		FramesReceived: in.FramesReceived, FramesSent: in.FramesSent, BytesReceived: in.BytesReceived,
		BytesSent: in.BytesSent,
	}
}

// stateNames are the words for what a session does.
var stateNames = map[gateway.SessionState]string{
	gateway.NotLoggedIn: "not_logged_in", gateway.CatchingUp: "catching_up", gateway.Live: "live",
}

func (s *Server) counters(w http.ResponseWriter, _ *http.Request) {
	answer(w, Counters{s.cfg.Counters()})
}
