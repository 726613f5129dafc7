package simulator

import (
	"errors"
	"fmt"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/market"
)

// quoteText is what a step that sets a quote says, as written.
type quoteText struct {
	Quote   rawValue `yaml:"quote"`
	Bid     rawValue `yaml:"bid"`
	Ask     rawValue `yaml:"ask"`
	Last    rawValue `yaml:"last"`
	BidSize rawValue `yaml:"bid_size"`
	AskSize rawValue `yaml:"ask_size"`
	Size    rawValue `yaml:"size"`
	Volume  rawValue `yaml:"volume"`
	Status  rawValue `yaml:"status"`
}

// checkNone refuses keys of a quote in a step that is none.
func (q *quoteText) checkNone() error {
	if *q != (quoteText{}) {
		return errors.New("bid, ask, last, their sizes, volume and status are for quote; " +
			"a step without quote has none of them")
	}
	return nil
}

// checkQuote validates a step that sets a quote.
func (s *step) checkQuote(u *market.Universe) error {
	id, err := u.Parse(string(s.Said.Quote))
	switch {
	case err != nil:
		return fmt.Errorf("quote: %w", err)
	case s.Bust != "" || s.Correct != "" || s.Side != "" || s.Instrument != "" || s.Quantity != "" || s.Price != "" ||
		s.Reason != "" || s.Policy != "":
		return errors.New("a step with quote sets a quote and nothing else; give bid, ask, last, their sizes, " +
			"volume or status")
	}
	s.quote = &market.Update{ID: id}
	if err := s.checkQuotePrices(); err != nil {
		return err
	}
	if err := s.checkQuoteSizes(); err != nil {
		return err
	}
	switch s.Said.Status {
	case "":
	case "open", "halted":
		s.quote.Says |= market.SaysStatus
		if s.quote.Status = market.StatusOpen; s.Said.Status == "halted" {
			s.quote.Status = market.StatusHalted
		}
	default:
		return fmt.Errorf("status: %q; it is halted or open", s.Said.Status)
	}
	if s.quote.Says == 0 {
		return errors.New("quote says nothing; give bid, ask, last, their sizes, volume or status")
	}
	return nil
}

func (s *step) checkQuotePrices() error {
	q := s.quote
	for _, f := range []struct {
		key  string
		text rawValue
		says market.Fields
		to   *int64
	}{{"bid", s.Said.Bid, market.SaysBid, &q.Bid}, {"ask", s.Said.Ask, market.SaysAsk, &q.Ask},
		{"last", s.Said.Last, market.SaysLast, &q.Last}} {
		if f.text == "" {
			continue
		}
		price, err := market.ParseMoney(string(f.text))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", f.key, err)
		case price < 0 || price > market.MaxPrice || price == 0 && f.key == "last":
			return fmt.Errorf("%s: %s; it is a price from 0.0001 to %s, and 0 takes a bid or an ask away",
				f.key, f.text, market.FormatMoney(market.MaxPrice))
		}
		*f.to, q.Says = price, q.Says|f.says
	}
	if q.Ask > 0 && q.Bid > q.Ask {
		return fmt.Errorf("bid: %s is above the ask of %s; nobody quotes that", s.Said.Bid, s.Said.Ask)
	}
	return nil
}

func (s *step) checkQuoteSizes() error {
	q := s.quote
	for _, f := range []struct {
		key  string
		text rawValue
		says market.Fields
		to   *int64
	}{{"bid_size", s.Said.BidSize, market.SaysBidSize, &q.BidSize},
		{"ask_size", s.Said.AskSize, market.SaysAskSize, &q.AskSize},
		{"size", s.Said.Size, market.SaysSize, &q.Size}, {"volume", s.Said.Volume, market.SaysVolume, &q.Volume}} {
		if f.text == "" {
			continue
		}
		n, err := decimal.ParseWhole[int64](string(f.text), 0, market.MaxVolume)
		if err != nil {
			return fmt.Errorf("%s: %s; it is a number of shares in decimal digits", f.key, f.text)
		}
		*f.to, q.Says = n, q.Says|f.says
	}
	if s.Said.Size != "" && s.Said.Last == "" {
		return errors.New("size without last: it is the size of a trade, so write last too")
	}
	return nil
}

// setQuote executes a step that sets a quote. One that would cross is only counted, since other feeds may
// have set the other side.
func (r *Runner) setQuote(x Exchange, s *step) {
	if x.ApplyQuote(*s.quote) == market.Applied {
		r.quotes.Add(1)
	} else {
		r.refused.Add(1)
	}
}
