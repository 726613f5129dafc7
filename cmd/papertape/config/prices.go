package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/decimal"
)

// checkPrices enforces the rules among the settings of prices, hours and clock.
func (c *Config) checkPrices() error {
	replay := c.Prices.Source == PricesReplay
	switch {
	case replay && c.Prices.File == "":
		return c.Wrong("prices", "a replay is one of a file; name it in prices.file")
	case c.Prices.File != "" && c.Source("prices") == SourceDefault:
		return c.Wrong("prices.file", "%s would not be read: prices are a walk unless set; write prices: replay too",
			c.Prices.File)
	case c.Clock == ClockTape && !replay:
		return c.Wrong("clock", "with prices: %s there is no tape to go by; write prices: replay, or clock: real",
			c.Prices.Source)
	case c.Clock == ClockTape && c.Prices.Loop:
		return c.Wrong("prices.loop", "time does not go round: clock: tape ends where the file does; "+
			"write clock: real, or leave prices.loop out")
	case c.MarketHours && replay && c.Clock != ClockTape:
		return c.Wrong("market_hours", "the hours of a replay are those of its file, and not those of the wall "+
			"clock; write clock: tape too")
	}
	return nil
}

// PricesFrom returns the moment at which a replay begins, in nanoseconds since the Unix epoch: a date's
// first moment is that of zone. It is 0 if nothing is set.
func (c *Config) PricesFrom(zone *time.Location) int64 {
	if c.Prices.From == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339, c.Prices.From)
	if err != nil {
		t, _ = time.ParseInLocation(time.DateOnly, c.Prices.From, zone) // momentValue has checked it
	}
	return t.UnixNano()
}

// The years of a moment. Beyond them nanoseconds do not fit, or nothing was traded.
const (
	firstYear = 1970
	lastYear  = 2200
)

// momentValue accepts a time or a date, or the empty text.
func momentValue(at func(*Config) *string) value {
	parse := func(text string) (string, error) {
		if text == "" {
			return "", nil
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t, err = time.Parse(time.DateOnly, text)
		}
		if err != nil || t.Year() <= firstYear || t.Year() >= lastYear {
			return "", fmt.Errorf("%q is not a time; write 2026-03-02T09:30:00+08:00, or 2026-03-02", text)
		}
		return text, nil
	}
	return field[string]{KindText, at, parse, same}
}

// spreadMax is wider than any spread.
const spreadMax = 10_000

// spreadValue accepts a number of ticks, or auto, which is stored as SpreadAuto.
func spreadValue(at func(*Config) *int) value {
	parse := func(text string) (int, error) {
		if text == auto {
			return SpreadAuto, nil
		}
		n, err := decimal.ParseWhole(text, 0, spreadMax)
		if err != nil {
			err = fmt.Errorf("%w, or auto", err)
		}
		return n, err
	}
	format := func(n int) string {
		if n == SpreadAuto {
			return auto
		}
		return strconv.Itoa(n)
	}
	return field[int]{KindNumber, at, parse, format}
}

// Bounds of a replay's speed.
const (
	speedMin = 0.001
	speedMax = 1_000_000
	fastest  = "max"
)

// speedValue accepts a factor, or max, which is stored as 0.
func speedValue(at func(*Config) *float64) value {
	parse := func(text string) (float64, error) {
		if text == fastest {
			return 0, nil
		}
		f, err := decimal.ParseReal(text, speedMin, speedMax)
		if err != nil {
			err = fmt.Errorf("%w, or max", err)
		}
		return f, err
	}
	format := func(f float64) string {
		if f == 0 {
			return fastest
		}
		return decimal.FormatReal(f)
	}
	return field[float64]{KindNumber, at, parse, format}
}

// parseColumn checks the form of field=header. What fields there are is up to the tape.
func parseColumn(text string) (string, error) {
	name, header, ok := strings.Cut(text, "=")
	if !ok || strings.TrimSpace(name) == "" || strings.TrimSpace(header) == "" {
		return "", errors.New(strconv.Quote(text) + " does not say which column has which field; write field=header, " +
			"as in last=px")
	}
	return strings.TrimSpace(name) + "=" + strings.TrimSpace(header), nil
}
