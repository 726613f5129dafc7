package simulator

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

// Script is a scenario: it defines who does what when. It is read from YAML or JSON:
//
//	steps:
//	- {account: 100098, on: login, after: 300ms, side: buy, instrument: SH.600519, quantity: 100,
//	   every: 200ms, times: 20}
//	- {account: 100001, at: 2s, side: sell, instrument: SZ.000001, quantity: all}
//	- {account: 100099, on: login, after: 2s, bust: last, reason: wrong price, policy: cascade}
//	- {account: 100099, at: 5s, correct: 100099-42, price: 9.98, quantity: 100, reason: wrong price}
//	- {at: 3s, quote: SH.600519, bid: 1479.99, ask: 1480.01, last: 1480, size: 100}
//
// A step begins at a time after the start (at), or with a login of its account (on: login;
// login_nth: 2 for the second), plus the delay after. It is executed times times (default 1), with
// the interval every. Steps run concurrently.
//
// A step is a fill (side, instrument, quantity), a bust, a correction (correct, with the new price and
// quantity), or sets a quote (any of bid, ask, last, bid_size, ask_size, size, volume, and status: halted
// or open), and then needs an account only to wait for its login. The trade to bust or correct is given by
// its name, or as last: the newest trade of the account that a simulator made and that still stands; with
// instrument, the newest in that instrument. A step that is refused, or that finds nothing to act on, is
// skipped and counted.
type Script struct {
	steps []step
}

// step is one step of the script: the values as written, and what they mean.
type step struct {
	AccountText  rawValue  `yaml:"account"`
	On           rawValue  `yaml:"on"`
	LoginNthText rawValue  `yaml:"login_nth"`
	At           rawValue  `yaml:"at"`
	After        rawValue  `yaml:"after"`
	Every        rawValue  `yaml:"every"`
	TimesText    rawValue  `yaml:"times"`
	Side         rawValue  `yaml:"side"`
	Instrument   rawValue  `yaml:"instrument"`
	Quantity     rawValue  `yaml:"quantity"`
	Bust         rawValue  `yaml:"bust"`
	Correct      rawValue  `yaml:"correct"`
	Price        rawValue  `yaml:"price"`
	Reason       rawValue  `yaml:"reason"`
	Policy       rawValue  `yaml:"policy"`
	Said         quoteText `yaml:",inline"` // of a quote

	Account  uint64        `yaml:"-"`
	LoginNth int           `yaml:"-"` // at least 1
	Times    int           `yaml:"-"` // at least 1
	wait     time.Duration // at plus after
	every    time.Duration
	order    positions.Order // the fill; for a bust of last, only its instrument
	sellAll  bool            // sell whatever is held

	bust          *positions.BustRequest // nil for a fill; its TradeSeq is 0 for last
	anyInstrument bool                   // last may be in any instrument

	quote *market.Update // nil: the step sets none; its Time is 0
}

// Bounds of a script.
const (
	stepsMax       = 10_000  // each step that has begun has a goroutine
	ScriptBytesMax = 4 << 20 // room for stepsMax steps, each longer than necessary
)

// ParseScript reads a script. Errors name the line or the step.
func ParseScript(raw []byte, u *market.Universe) (*Script, error) {
	text, err := usertext.Read(bytes.NewReader(raw), ScriptBytesMax)
	if err != nil {
		return nil, fmt.Errorf("scenario script: %w", err)
	}
	var file scriptFile
	if err := decode(text, &file); err != nil {
		return nil, fmt.Errorf("scenario script: %w", err)
	}
	if len(file.Steps) > stepsMax {
		return nil, fmt.Errorf("scenario script: %d steps; at most %d", len(file.Steps), stepsMax)
	}
	for i := range file.Steps {
		if err := file.Steps[i].check(u); err != nil {
			return nil, fmt.Errorf("scenario script: step %d: %w", i+1, err)
		}
	}
	return &Script{steps: file.Steps}, nil
}

// scriptFile is a script as written.
type scriptFile struct {
	Steps []step `yaml:"steps"`
}

// decode reads YAML. goccy/go-yaml v1.19.2 panics on some malformed documents (found by
// FuzzParseScript).
func decode(text []byte, file *scriptFile) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this is not YAML that can be read; it is a list of steps, as the documentation shows")
		}
	}()
	return yaml.UnmarshalWithOptions(text, file, yaml.Strict())
}

// check validates a step and fills in what its values mean.
func (s *step) check(u *market.Universe) error {
	if err := s.checkWhen(); err != nil {
		return err
	}
	if s.Said.Quote != "" {
		return s.checkQuote(u)
	}
	if err := s.Said.checkNone(); err != nil {
		return err
	}
	if s.Bust != "" || s.Correct != "" {
		return s.checkTakeBack(u)
	}
	return s.checkFill(u)
}

// checkWhen validates the keys that all steps have.
func (s *step) checkWhen() error {
	if err := s.checkNumbers(); err != nil {
		return err
	}
	switch {
	case s.On != "" && s.On != "login":
		return fmt.Errorf("on: %q; the only thing to wait for is login", s.On)
	case s.On != "" && s.At != "":
		return errors.New("both at and on: a step begins at a time or with a login")
	case s.On == "" && s.LoginNthText != "":
		return errors.New("login_nth without on: login; write both, or neither")
	case s.Times > 1 && s.Every == "":
		return errors.New("times without every: say how long between, for example every: 200ms")
	case s.Times < 2 && s.Every != "":
		return errors.New("every without times: say how often, for example times: 20")
	}
	return s.checkTimes()
}

// checkNumbers parses the numbers that all steps have.
func (s *step) checkNumbers() error {
	if s.AccountText == "" && (s.Said.Quote == "" || s.On != "") {
		return errors.New("account is missing")
	}
	account, err := cmp.Or(s.AccountText, "1").number("account", math.MaxUint64)
	if err != nil {
		return err
	}
	times, err := cmp.Or(s.TimesText, "1").number("times", math.MaxInt32)
	if err != nil {
		return err
	}
	nth, err := cmp.Or(s.LoginNthText, "1").number("login_nth", math.MaxInt32)
	s.Account, s.Times, s.LoginNth = account, int(times), int(nth)
	return err
}

func (s *step) checkFill(u *market.Universe) error {
	id, err := u.Parse(string(s.Instrument))
	switch {
	case err != nil:
		return fmt.Errorf("instrument: %w", err)
	case s.Price != "":
		return fmt.Errorf("price: %s; a fill is at the market's price, only correct has one of its own", s.Price)
	case s.Reason != "" || s.Policy != "":
		return errors.New("reason and policy are for bust and correct; a fill has neither")
	}
	s.order = positions.Order{Account: s.Account, Instrument: id, Origin: positions.OriginSimulator}
	switch s.Side {
	case "buy":
		s.order.Side = positions.Buy
	case "sell":
		s.order.Side = positions.Sell
	default:
		return fmt.Errorf("side: %q; it is buy or sell, unless the step has bust, correct or quote", s.Side)
	}
	return s.checkQuantity()
}

// waitMax bounds each time in a script.
const waitMax = 365 * 24 * time.Hour

func (s *step) checkTimes() error {
	var at, after time.Duration
	for _, f := range []struct {
		key  string
		text rawValue
		to   *time.Duration
	}{{"at", s.At, &at}, {"after", s.After, &after}, {"every", s.Every, &s.every}} {
		if f.text == "" {
			continue
		}
		d, err := decimal.ParseDuration(string(f.text), 0, waitMax)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		*f.to = d
	}
	s.wait = at + after
	return nil
}

func (s *step) checkQuantity() error {
	if s.Quantity == "" {
		return errors.New("quantity is missing")
	}
	if s.sellAll = s.Quantity == "all" && s.order.Side == positions.Sell; s.sellAll {
		return nil
	}
	n, err := s.Quantity.number("quantity", positions.MaxOrderShares)
	if err != nil {
		return fmt.Errorf("quantity: %s; it is a number of shares from 1 to %d in decimal digits, or for a sale: all",
			s.Quantity, positions.MaxOrderShares)
	}
	s.order.Quantity = int64(n) //nolint:gosec // bounded just here
	return nil
}
