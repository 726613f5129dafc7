package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// TradeRecord is a trade as it was executed and as it stands, and what happened to it in
// between.
type TradeRecord struct {
	ID        string    `json:"id"`
	AsOfSeq   uint64    `json:"as_of_seq"` // newest event of the account that was considered
	Time      time.Time `json:"time"`      // of the execution
	State     string    `json:"state"`     // executed, corrected, taken_back
	Executed  Trade     `json:"executed"`
	Stands    *Trade    `json:"stands,omitempty"`     // nil: the trade was taken back
	TakenBack *Struck   `json:"taken_back,omitempty"` // nil: the trade stands
	Changes   []Event   `json:"changes"`              // the corrections and the bust, oldest first
}

// Struck says by which event a trade was taken back, when, by whom and why.
type Struck struct {
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	BustID string    `json:"bust_id,omitempty"`
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	With   string    `json:"with,omitempty"` // the trade whose bust or correction took back this one too
}

// The states of a trade.
const (
	TradeExecuted  = "executed"
	TradeCorrected = "corrected"
	TradeTakenBack = "taken_back"
)

func (s *Server) trade(w http.ResponseWriter, r *http.Request) {
	account, seq, err := ParseTradeID(r.PathValue("id"))
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	extendDeadline(w, walkTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	page, oldest, err := s.cfg.Books.History(ctx, account, seq+1, 1)
	if err != nil {
		s.failTrade(w, account, err)
		return
	}
	if code, text := explainNoTrade(account, seq, page, oldest); code != "" {
		fail(w, http.StatusNotFound, code, text)
		return
	}
	head, changes, err := s.findChanges(ctx, account, seq)
	if err != nil {
		s.failTrade(w, account, err)
		return
	}
	answer(w, s.newTradeRecord(&page[0], head, changes))
}

// failTrade answers an error of the ledger.
func (s *Server) failTrade(w http.ResponseWriter, account uint64, err error) {
	switch {
	case errors.Is(err, engine.ErrNotKept):
		fail(w, http.StatusNotFound, codeNotKept, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, codeTimeout,
			fmt.Sprintf("what became of the trade was not found within %s; try again", walkTimeout))
	default:
		s.failBooks(w, account, err)
	}
}

// explainNoTrade returns why there is no trade at a sequence; code is empty if there is one.
// page has the event there or, if the sequence is beyond the newest, the newest event.
func explainNoTrade(account, seq uint64, page []positions.Event, oldest uint64) (code, text string) {
	switch {
	case seq < oldest:
		return codeNotKept, fmt.Sprintf("event %d of account %d is older than the history kept, which begins at %d",
			seq, account, oldest)
	case len(page) == 0:
		return codeUnknownTrade, fmt.Sprintf("account %d has no events", account)
	case page[0].Seq != seq:
		return codeUnknownTrade, fmt.Sprintf("account %d has no event %d, its newest is %d", account, seq, page[0].Seq)
	case page[0].Kind != positions.KindTrade:
		return codeNotATrade, fmt.Sprintf("event %d of account %d is not a trade; "+
			"GET /api/v1/accounts/%d/history?before=%d has it", seq, account, account, seq+1)
	}
	return "", ""
}

// findChanges returns the events that corrected a trade or took it back, oldest first, and the
// sequence of the account's newest event. There is no index of them, so it reads all events
// since the trade.
func (s *Server) findChanges(ctx context.Context, account, seq uint64) (
	head uint64, found []positions.Event, err error,
) {
	head = seq
	err = s.cfg.Books.Walk(ctx, account, seq+1, func(ev *positions.Event) {
		if head = ev.Seq; changesTrade(ev, seq) {
			found = append(found, *ev)
		}
	})
	return head, found, err
}

// changesTrade reports whether an event corrected a trade or took it back.
func changesTrade(ev *positions.Event, seq uint64) bool {
	return ev.Kind == positions.KindBust && (ev.Bust.TradeSeq == seq || slices.Contains(ev.Bust.Cascade, seq))
}

// newTradeRecord puts together what happened to a trade. changes are all events that changed
// it, oldest first.
func (s *Server) newTradeRecord(ev *positions.Event, head uint64, changes []positions.Event) TradeRecord {
	u := s.cfg.Universe
	executed := newTrade(u, ev.Account, ev.Seq, &ev.Trade)
	t := TradeRecord{
		ID: executed.ID, AsOfSeq: head, Time: time.Unix(0, ev.Time).UTC(), State: TradeExecuted,
		Executed: *executed, Stands: executed, Changes: make([]Event, len(changes)),
	}
	for i := range changes {
		change := newEvent(u, &changes[i])
		t.Changes[i] = change
		if change.Bust.TradeID == t.ID && change.Bust.Replacement != nil {
			t.State, t.Stands = TradeCorrected, change.Bust.Replacement
			continue
		}
		b := change.Bust
		t.State, t.Stands = TradeTakenBack, nil
		t.TakenBack = &Struck{Seq: change.Seq, Time: change.Time, BustID: b.BustID, Reason: b.Reason, Actor: b.Actor}
		if b.TradeID != t.ID {
			t.TakenBack.With = b.TradeID
		}
	}
	return t
}

// Trade returns the trade with this name, and what happened to it.
func (c *Client) Trade(ctx context.Context, id string) (TradeRecord, error) {
	patient := *c
	patient.http.Timeout = walkClientTimeout
	var t TradeRecord
	err := patient.do(ctx, http.MethodGet, "/api/v1/trades/"+url.PathEscape(id), nil, &t)
	return t, err
}

func tradeID(account, seq uint64) string { return fmt.Sprintf("%d-%d", account, seq) }

// ParseTradeID parses the name of a trade, which is its account and sequence: 100017-42. A
// trade has no other name: not 0100017-042.
func ParseTradeID(text string) (account, seq uint64, err error) {
	left, right, _ := strings.Cut(text, "-")
	account, errAccount := parseNumber(left)
	seq, errSeq := parseNumber(right)
	if errAccount != nil || errSeq != nil || account == 0 || seq == 0 {
		return 0, 0, fmt.Errorf("%q is not the name of a trade; write its account and sequence, as in 100017-42, "+
			"without zeros in front", clip(text))
	}
	return account, seq, nil
}
