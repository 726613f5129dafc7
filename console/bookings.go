package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

const accountsPath = "/api/v1/accounts"

// OpenRequest asks for an account to be opened.
type OpenRequest struct {
	Account uint64 `json:"account,omitempty"` // 0: the next free number
	Cash    *Money `json:"cash"`
	Reason  string `json:"reason"`          // one line, which the client is told
	Actor   string `json:"actor,omitempty"` // for whom, as the audit keeps it; the actor is whose key it is
}

// CashRequest asks for a deposit or a withdrawal.
type CashRequest struct {
	Amount    Money  `json:"amount"`
	Reason    string `json:"reason"`
	RequestID string `json:"request_id,omitempty"` // a request that is repeated under the same id is done once
	Actor     string `json:"actor,omitempty"`
}

// ResetRequest asks for an account to begin anew.
type ResetRequest struct {
	Cash      *Money `json:"cash,omitempty"` // nil: that of its opening
	Reason    string `json:"reason"`
	RequestID string `json:"request_id,omitempty"`
	Actor     string `json:"actor,omitempty"`
}

// Booked is the event by which an account was opened, cash was booked, or an account was reset.
type Booked struct {
	Account uint64 `json:"account"`
	Event
	Repeated bool `json:"repeated,omitempty"` // it had been done before under this id, and nothing was done now
}

func (s *Server) openAccount(w http.ResponseWriter, r *http.Request) {
	var body OpenRequest
	err := decodeBody(w, r, &body)
	actor := actorOf(r)
	if err == nil {
		err = body.check(actor)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	ev, err := s.cfg.Bookings.OpenAccount(ctx, body.Account,
		positions.Adjustment{Cash: int64(*body.Cash), Reason: body.Reason, Actor: actor})
	switch {
	case errors.Is(err, engine.ErrAccountOpen):
		fail(w, http.StatusConflict, codeAccountExists, fmt.Sprintf("open account %d: it exists already; "+
			"name a number that is free, or none for the next free one", body.Account))
	case errors.Is(err, engine.ErrNoNumberFree):
		fail(w, http.StatusConflict, codeAccountExists, "open an account: "+err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		s.uncertain(w, "look at the list of accounts")
	case err != nil:
		s.failBooks(w, body.Account, err)
	default:
		s.cfg.Log.Info().Uint64("account", ev.Account).Stringer("cash", Money(ev.Adjustment.Cash)).
			Str("reason", body.Reason).Str("actor", actor).Str("by", remoteOf(r)).Msg("account opened by an operator")
		answer(w, Booked{Account: ev.Account, Event: newEvent(s.cfg.Universe, &ev)})
	}
}

func (o *OpenRequest) check(actor string) error {
	switch {
	case o.Cash == nil:
		return errors.New(`the cash is missing: write {"cash": "1000000.00", "reason": "why"}`)
	case *o.Cash < 0:
		return fmt.Errorf("the cash of an account cannot be %s; it must be 0 or more", *o.Cash)
	case o.Account > engine.AccountNumberMax:
		return fmt.Errorf("the number of an account is at most %d", uint64(engine.AccountNumberMax))
	}
	if err := positions.CheckOperatorTexts(o.Reason, actor); err != nil {
		return err
	}
	return checkOnBehalfOf(o.Actor)
}

// checkOnBehalfOf checks the name for which somebody acts, if there is one.
func checkOnBehalfOf(name string) error {
	if name == "" {
		return nil
	}
	if err := usertext.CheckLine(name, positions.MaxBustNameBytes); err != nil {
		return fmt.Errorf("the actor %w", err)
	}
	return nil
}

func (s *Server) deposit(w http.ResponseWriter, r *http.Request) { s.bookCash(w, r, positions.Deposit) }

func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	s.bookCash(w, r, positions.Withdrawal)
}

func (s *Server) bookCash(w http.ResponseWriter, r *http.Request, kind positions.BookingKind) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	var body CashRequest
	err := decodeBody(w, r, &body)
	if err == nil {
		err = checkBookingNames(body.RequestID, body.Actor)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	ctx, cancel := s.bookingContext(w, r)
	defer cancel()
	s.book(ctx, w, r, &positions.BookingRequest{
		Account: account, Kind: kind, Amount: int64(body.Amount), Reason: body.Reason, Actor: actorOf(r),
		ID: body.RequestID,
	})
}

func (s *Server) reset(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	var body ResetRequest
	err := decodeBody(w, r, &body)
	if err == nil {
		err = checkBookingNames(body.RequestID, body.Actor)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	ctx, cancel := s.bookingContext(w, r)
	defer cancel()
	request := positions.BookingRequest{
		Account: account, Kind: positions.ResetTo, Reason: body.Reason, Actor: actorOf(r), ID: body.RequestID,
	}
	if body.Cash != nil {
		request.Amount = int64(*body.Cash)
	} else if request.Amount, err = s.cfg.Bookings.OpeningCash(ctx, account); err != nil {
		s.failBooking(w, account, err)
		return
	}
	s.book(ctx, w, r, &request)
}

// bookingContext gives a request time to read the account's history, in which its id may be.
func (s *Server) bookingContext(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	extendDeadline(w, walkTimeout)
	return context.WithTimeout(r.Context(), walkTimeout)
}

// checkBookingNames checks what the ledger does not check.
func checkBookingNames(id, onBehalfOf string) error {
	if strings.TrimSpace(id) != id {
		return fmt.Errorf("the request id %q begins or ends with a blank, which nobody sees; write it without",
			clip(id))
	}
	return checkOnBehalfOf(onBehalfOf)
}

// book has the ledger do what is requested.
func (s *Server) book(ctx context.Context, w http.ResponseWriter, r *http.Request, request *positions.BookingRequest) {
	ev, repeated, err := s.cfg.Bookings.Book(ctx, request)
	if err != nil {
		s.failBooking(w, request.Account, err)
		return
	}
	answered := Booked{Account: ev.Account, Event: newEvent(s.cfg.Universe, &ev), Repeated: repeated}
	if !repeated {
		said := "cash booked by an operator"
		if request.Kind == positions.ResetTo {
			said = "account reset by an operator"
		}
		s.cfg.Log.Info().Str("what", request.Title()).Uint64("account", ev.Account).Uint64("seq", ev.Seq).
			Str("cash_after", market.FormatMoney(ev.Cash.Balance)).Str("reason", request.Reason).
			Str("actor", request.Actor).Str("request_id", request.ID).Str("by", remoteOf(r)).Msg(said)
	}
	answer(w, answered)
}

// bookingRefusals are the status and code for each refusal of the ledger.
var bookingRefusals = [...]struct {
	status int
	code   string
}{
	engine.BookingMalformed:      {http.StatusBadRequest, codeBadRequest},
	engine.BookingUnknownAccount: {http.StatusNotFound, codeUnknownAccount},
	engine.BookingIDReused:       {http.StatusConflict, "request_id_reused"},
	engine.BookingCashGone:       {http.StatusConflict, "insufficient_cash"},
	engine.BookingTooLarge:       {http.StatusConflict, "too_large"},
	engine.BookingOpeningNotKept: {http.StatusConflict, codeNotKept},
}

// failBooking answers a refusal or an error of the ledger.
func (s *Server) failBooking(w http.ResponseWriter, account uint64, err error) {
	var refused *engine.BookingRefusedError
	switch {
	case errors.As(err, &refused):
		as := bookingRefusals[refused.Reason]
		fail(w, as.status, as.code, refused.Error())
	case errors.Is(err, context.DeadlineExceeded):
		s.uncertain(w, "look at the account, or ask again under the same request id")
	default:
		s.failBooks(w, account, err)
	}
}

// uncertain answers that a change may have been made.
func (s *Server) uncertain(w http.ResponseWriter, advice string) {
	fail(w, http.StatusGatewayTimeout, codeTimeout, "the ledger did not answer in time, and may have done it: "+advice)
}

// OpenAccount opens an account.
func (c *Client) OpenAccount(ctx context.Context, r OpenRequest) (Booked, error) {
	return c.book(ctx, accountsPath, r)
}

// Deposit books cash in.
func (c *Client) Deposit(ctx context.Context, account uint64, r CashRequest) (Booked, error) {
	return c.book(ctx, accountPath(account, "deposit"), r)
}

// Withdraw books cash out.
func (c *Client) Withdraw(ctx context.Context, account uint64, r CashRequest) (Booked, error) {
	return c.book(ctx, accountPath(account, "withdraw"), r)
}

// Reset begins an account anew.
func (c *Client) Reset(ctx context.Context, account uint64, r ResetRequest) (Booked, error) {
	return c.book(ctx, accountPath(account, "reset"), r)
}

func (c *Client) book(ctx context.Context, path string, request any) (Booked, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Booked{}, fmt.Errorf("the request cannot be sent: %w", err)
	}
	patient := *c
	patient.http.Timeout = walkClientTimeout
	var b Booked
	err = patient.do(ctx, http.MethodPost, path, body, &b)
	return b, err
}
