package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

const (
	bustsPath       = "/api/v1/busts"
	correctionsPath = "/api/v1/corrections"

	walkClientTimeout = walkTimeout + 5*time.Second // the server reads all events of the account

	actorDefault = "operator"
)

// BustRequest asks for a trade to be taken back. Only Trade and Reason are required.
type BustRequest struct {
	Trade  string `json:"trade"`             // account-seq
	Reason string `json:"reason"`            // one line, which the client is told
	Policy string `json:"policy,omitempty"`  // reject (the default) or cascade
	BustID string `json:"bust_id,omitempty"` // a request that is repeated under the same id is done once
	Actor  string `json:"actor,omitempty"`   // for whom, as the audit keeps it; the actor is whose key it is

	Preview bool `json:"preview,omitempty"` // say what it would do, and do nothing
	// ExpectCascade are the trades that may be taken back with it; nil: any.
	ExpectCascade *[]string `json:"expect_cascade,omitempty"`
}

// CorrectionRequest asks for a trade to be corrected to another price and quantity.
type CorrectionRequest struct {
	BustRequest
	Price    Money   `json:"price"`
	Quantity int64   `json:"quantity"`
	Revision *uint32 `json:"revision,omitempty"` // the revision to correct; nil: the one that stands
}

// TakenBack is the event by which a trade was taken back or corrected.
type TakenBack struct {
	Event
	Repeated bool `json:"repeated,omitempty"` // it had been done before under this bust id, and nothing was done now
}

func (s *Server) bust(w http.ResponseWriter, r *http.Request) {
	var body BustRequest
	err := decodeBody(w, r, &body)
	var request positions.BustRequest
	if err == nil {
		request, err = body.request(actorOf(r))
	}
	s.serveBust(w, r, &request, body.Preview, err)
}

func (s *Server) correct(w http.ResponseWriter, r *http.Request) {
	var body CorrectionRequest
	err := decodeBody(w, r, &body)
	var request positions.BustRequest
	if err == nil {
		request, err = body.request(actorOf(r))
	}
	request.Correct, request.Price = true, int64(body.Price)
	request.Quantity, request.Revision = body.Quantity, body.Revision
	s.serveBust(w, r, &request, body.Preview, err)
}

// serveBust carries out or previews a request, unless the body was malformed.
func (s *Server) serveBust(
	w http.ResponseWriter, r *http.Request, request *positions.BustRequest, preview bool, malformed error,
) {
	if malformed != nil {
		badRequest(w, malformed.Error())
		return
	}
	extendDeadline(w, walkTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	if preview {
		s.previewBust(ctx, w, request)
	} else {
		s.takeBack(ctx, w, r, request)
	}
}

// request parses the name of the trade and the policy. The ledger checks the rest. The actor is the
// one whose key it is, whatever the body says.
func (b *BustRequest) request(actor string) (r positions.BustRequest, err error) {
	r = positions.BustRequest{Reason: b.Reason, ID: b.BustID, Actor: actor}
	if err := checkOnBehalfOf(b.Actor); err != nil {
		return r, err
	}
	if b.Trade == "" {
		return r, errors.New(`the trade is missing: write {"trade": "100017-42", "reason": "why"}`)
	}
	if strings.TrimSpace(r.ID) != r.ID {
		return r, fmt.Errorf("the bust id %q begins or ends with a blank, which nobody sees; write it without",
			clip(r.ID))
	}
	if r.Account, r.TradeSeq, err = ParseTradeID(b.Trade); err != nil {
		return r, err
	}
	if r.Policy, err = positions.ParseBustPolicy(b.Policy); err != nil {
		return r, err
	}
	return r, b.expect(&r)
}

// expect parses which other trades may be taken back.
func (b *BustRequest) expect(r *positions.BustRequest) error {
	if b.Preview && (b.BustID != "" || b.ExpectCascade != nil) {
		return errors.New("a preview takes neither bust_id nor expect_cascade: its answer has what to write there")
	}
	if b.ExpectCascade == nil {
		return nil
	}
	r.Expected = new([]uint64)
	if len(*b.ExpectCascade) > positions.MaxCascade {
		return fmt.Errorf("expect_cascade has %d trades; at most %d are taken back with another",
			len(*b.ExpectCascade), positions.MaxCascade)
	}
	for _, id := range *b.ExpectCascade {
		account, seq, err := ParseTradeID(id)
		if err != nil {
			return fmt.Errorf("expect_cascade: %w", err)
		}
		if account != r.Account {
			return fmt.Errorf("expect_cascade: %s is a trade of another account than %d", id, r.Account)
		}
		*r.Expected = append(*r.Expected, seq)
	}
	return nil
}

// takeBack has the ledger do what is requested.
func (s *Server) takeBack(
	ctx context.Context, w http.ResponseWriter, r *http.Request, request *positions.BustRequest,
) {
	ev, repeated, err := s.cfg.Busts.Bust(ctx, request)
	if err != nil {
		s.failBust(w, request, err)
		return
	}
	answered := TakenBack{Event: newEvent(s.cfg.Universe, &ev), Repeated: repeated}
	if repeated {
		answer(w, answered)
		return
	}
	said := "trade taken back by an operator"
	if request.Correct {
		said = "trade corrected by an operator"
	}
	s.cfg.Log.Info().Str("trade", answered.Bust.TradeID).Uint64("seq", ev.Seq).Strs("cascade", answered.Bust.Cascade).
		Str("reason", request.Reason).Str("actor", request.Actor).Str("bust_id", request.ID).
		Str("by", remoteOf(r)).Msg(said)
	answer(w, answered)
}

// failBust answers a refusal or an error of the ledger.
func (s *Server) failBust(w http.ResponseWriter, r *positions.BustRequest, err error) {
	var refused *engine.BustRefusedError
	switch {
	case errors.As(err, &refused):
		s.refuseBust(w, r, &refused.Outcome)
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, codeTimeout, fmt.Sprintf("the ledger did not answer within %s, "+
			"and may have done it: look at the trade, or ask again under the same bust id", walkTimeout))
	default:
		s.failBooks(w, r.Account, err)
	}
}

// bustRefusals are the status and code for each refusal of the ledger.
var bustRefusals = [...]struct {
	status int
	code   string
}{
	positions.BustMalformed:        {http.StatusBadRequest, codeBadRequest},
	positions.BustUnknownAccount:   {http.StatusNotFound, codeUnknownAccount},
	positions.BustUnknownTrade:     {http.StatusNotFound, codeUnknownTrade},
	positions.BustNotATrade:        {http.StatusNotFound, codeNotATrade},
	positions.BustBeforeReset:      {http.StatusConflict, "before_reset"},
	positions.BustDelisted:         {http.StatusConflict, "delisted"},
	positions.BustNotKept:          {http.StatusConflict, codeNotKept},
	positions.BustIDReused:         {http.StatusConflict, "bust_id_reused"},
	positions.BustAlready:          {http.StatusConflict, "already_busted"},
	positions.BustStaleRevision:    {http.StatusConflict, "stale_revision"},
	positions.BustNothingToCorrect: {http.StatusConflict, "nothing_to_correct"},
	positions.BustSharesGone:       {http.StatusConflict, "shares_gone"},
	positions.BustCashGone:         {http.StatusConflict, "cash_gone"},
	positions.BustCascadeTooLong:   {http.StatusConflict, "cascade_too_long"},
	positions.BustTooLarge:         {http.StatusConflict, "too_large"},
	positions.BustTooManyRows:      {http.StatusConflict, "too_many_rows"},
	positions.BustCascadeChanged:   {http.StatusConflict, "cascade_changed"},
	positions.BustDamaged:          {http.StatusInternalServerError, "damaged"},
}

func (s *Server) refuseBust(w http.ResponseWriter, r *positions.BustRequest, o *positions.BustOutcome) {
	as, sentence := bustRefusals[o.Reason], o.Sentence(r, s.cfg.Universe)
	if as.status == http.StatusInternalServerError {
		s.cfg.Log.Error().Str("because", sentence).Str("trade", tradeID(r.Account, r.TradeSeq)).
			Msg("console: a trade cannot be taken back")
	}
	body := ErrorBody{Code: as.code, Message: sentence, MoreInTheWay: o.More}
	for _, seq := range o.InTheWay {
		body.InTheWay = append(body.InTheWay, tradeID(r.Account, seq))
	}
	write(w, as.status, failure{body})
}

// Bust takes a trade back.
func (c *Client) Bust(ctx context.Context, r BustRequest) (TakenBack, error) {
	return postTrade[TakenBack](ctx, c, bustsPath, r)
}

// Correct corrects a trade to another price and quantity.
func (c *Client) Correct(ctx context.Context, r CorrectionRequest) (TakenBack, error) {
	return postTrade[TakenBack](ctx, c, correctionsPath, r)
}

// PreviewBust returns what a bust would do, and does nothing. The request may have neither an id nor an expected
// cascade.
func (c *Client) PreviewBust(ctx context.Context, r BustRequest) (BustPreview, error) {
	r.Preview = true
	return postTrade[BustPreview](ctx, c, bustsPath, r)
}

// PreviewCorrection is PreviewBust for a correction.
func (c *Client) PreviewCorrection(ctx context.Context, r CorrectionRequest) (BustPreview, error) {
	r.Preview = true
	return postTrade[BustPreview](ctx, c, correctionsPath, r)
}

// postTrade sends a request about a trade, for which the server may have to read all events of the account.
func postTrade[A any](ctx context.Context, c *Client, path string, request any) (answer A, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("the request cannot be sent: %w", err)
	}
	patient := *c
	patient.http.Timeout = walkClientTimeout
	err = patient.do(ctx, http.MethodPost, path, body, &answer)
	return answer, err
}
