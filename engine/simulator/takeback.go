package simulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

const (
	// scriptActor is the actor of a script's busts, as their history shows.
	scriptActor = "scenario script"
	lastTrade   = "last" // how a script refers to the newest trade
)

// checkTakeBack validates a step that busts or corrects a trade.
func (s *step) checkTakeBack(u *market.Universe) error {
	key, which := "bust", s.Bust
	if s.Correct != "" {
		key, which = "correct", s.Correct
	}
	policy, err := positions.ParseBustPolicy(string(s.Policy))
	switch {
	case s.Bust != "" && s.Correct != "":
		return errors.New("both bust and correct: a step does one of them")
	case s.Side != "":
		return fmt.Errorf("side: %q; a step with %s is no fill, so leave it out", s.Side, key)
	case s.Bust != "" && (s.Price != "" || s.Quantity != ""):
		return errors.New("price and quantity are for correct; a bust takes back all of a trade")
	case err != nil:
		return fmt.Errorf("policy: %w", err)
	}
	s.bust = &positions.BustRequest{Account: s.Account, Reason: string(s.Reason), Actor: scriptActor, Policy: policy}
	if err := usertext.CheckLine(string(s.Reason), positions.MaxBustTextBytes); err != nil {
		return fmt.Errorf("reason: %q says why, and %w; write for example reason: wrong price", s.Reason, err)
	}
	if err := s.checkTrade(key, which, u); err != nil || s.Bust != "" {
		return err
	}
	return s.checkCorrection(u)
}

// checkTrade finds out which trade a step refers to: the newest of all, the newest in an
// instrument, or one by its name.
func (s *step) checkTrade(key string, which rawValue, u *market.Universe) (err error) {
	if which == lastTrade {
		if s.anyInstrument = s.Instrument == ""; !s.anyInstrument {
			if s.order.Instrument, err = u.Parse(string(s.Instrument)); err != nil {
				return fmt.Errorf("instrument: %w", err)
			}
		}
		return nil
	}
	name := strconv.FormatUint(s.Account, 10) + "-"
	number, found := strings.CutPrefix(string(which), name)
	s.bust.TradeSeq, err = decimal.ParseWhole[uint64](number, 1, math.MaxUint64)
	switch { // a name has only one spelling
	case !found || err != nil || string(which) != name+strconv.FormatUint(s.bust.TradeSeq, 10):
		return fmt.Errorf("%s: %q; it is last, or the name of a trade of the account, as %d-42", key, which, s.Account)
	case s.Instrument != "":
		return fmt.Errorf("instrument: %s; only last has one, %s names the trade already", s.Instrument, which)
	}
	return nil
}

// checkCorrection validates the price and the quantity that a trade is corrected to.
func (s *step) checkCorrection(u *market.Universe) (err error) {
	if s.Price == "" {
		return errors.New("price is missing; correct takes a price and a quantity, " +
			"and says both even where one stays as it is")
	}
	if s.bust.Price, err = market.ParseMoney(string(s.Price)); err != nil {
		return fmt.Errorf("price: %w", err)
	}
	if err := s.checkQuantity(); err != nil {
		return err
	}
	s.bust.Correct, s.bust.Quantity = true, s.order.Quantity
	if o := s.bust.Check(); o.Reason != positions.NoBustRefusal {
		_, text, _ := strings.Cut(o.Sentence(s.bust, u), ": ")
		return errors.New(text)
	}
	return nil
}

const (
	searchPage = 100    // events per page of history
	searchMax  = 10_000 // events searched for the newest trade of a simulator
)

// takeBack executes a step that busts or corrects a trade. A refusal is only counted, since the
// script alone does not determine which trades exist.
func (r *Runner) takeBack(ctx context.Context, x Exchange, s *step) {
	request, err := *s.bust, error(nil)
	if request.TradeSeq == 0 {
		request.TradeSeq, err = s.newestSimulated(ctx, x)
	}
	if err == nil && request.TradeSeq != 0 {
		_, _, err = x.Bust(ctx, &request)
	}
	var refusal *engine.BustRefusedError
	switch {
	case errors.Is(err, engine.ErrUnknownAccount) || errors.As(err, &refusal) || err == nil && request.TradeSeq == 0:
		r.refused.Add(1)
	case err != nil:
		r.skipped.Add(1)
	default:
		r.busts.Add(1)
	}
}

// newestSimulated returns the sequence of the newest trade that a simulator made and that still
// stands, and can be taken back, or 0 if there is none.
func (s *step) newestSimulated(ctx context.Context, x Exchange) (uint64, error) {
	taken := make(map[uint64]bool) // by busts, which are newer than the trades they bust
	for before, looked := uint64(0), 0; looked < searchMax; {
		page, _, err := x.History(ctx, s.Account, before, searchPage)
		if err != nil || len(page) == 0 {
			return 0, err
		}
		for i := range page {
			switch ev := &page[i]; {
			case ev.Kind == positions.KindReset: // what lies before it is not taken back
				return 0, nil
			case ev.Kind == positions.KindBust:
				taken[ev.Bust.TradeSeq] = taken[ev.Bust.TradeSeq] || ev.Bust.Replacement == nil
				for _, seq := range ev.Bust.Cascade {
					taken[seq] = true
				}
			case ev.Kind == positions.KindTrade && ev.Trade.Origin == positions.OriginSimulator && !taken[ev.Seq] &&
				(s.anyInstrument || ev.Trade.Instrument == s.order.Instrument):
				return ev.Seq, nil
			}
		}
		looked += len(page)
		if before = page[len(page)-1].Seq; before == 1 {
			break
		}
	}
	return 0, nil
}
