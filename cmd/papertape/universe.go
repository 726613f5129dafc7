package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/listings"
	"github.com/papertape/papertape/record"
)

// universeOf returns what is traded: a universe that is shipped, or that of a file.
func universeOf(name string) (*market.Universe, error) {
	switch name {
	case "cn":
		return market.Default(), nil
	case "us":
		return market.US(), nil
	}
	text, err := userfile.Read(name, listings.BytesMax)
	if err != nil {
		return nil, fmt.Errorf("%w; write cn or us, or the name of a file", err)
	}
	u, err := listings.Read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return u, nil
}

// configuredUniverse returns what the configuration says is traded.
func configuredUniverse(cfg *config.Config) (*market.Universe, error) {
	u, err := universeOf(cfg.Universe)
	if err != nil {
		return nil, cfg.Wrong("universe", "%w", err)
	}
	return u, nil
}

// chooseUniverse takes the configured universe with the instruments that the history in the ledger names
// beside it, as delisted ones.
func (s *server) chooseUniverse() error {
	u, err := configuredUniverse(s.cfg)
	if err != nil {
		return err
	}
	s.universe = u
	if s.ledger == nil {
		return nil
	}
	defer func() { s.ledger.options.Universe = s.universe }()
	// A journal that cannot be read is refused when it is opened, in words of its own.
	if known, err := journal.Listings(s.cfg.Data, s.ledger.options); err == nil {
		if u, err = record.Universe(known, u); err != nil {
			return s.cfg.Wrong("universe", "%s: %w", s.cfg.Data, err)
		}
		s.universe = u
	}
	return nil
}

// checkHeld refuses a universe that lacks what an account holds. It is called before anybody is served.
func (s *server) checkHeld(ctx context.Context) error {
	if s.universe.Listed() == s.universe.Len() {
		return nil
	}
	row, err := s.engine.Delisted(ctx)
	if err != nil || row.Account == 0 {
		return err
	}
	in := s.universe.At(row.Instrument)
	return s.cfg.Wrong("universe", "%s (%s) is not among the instruments of %s, and account %d holds it; "+
		"add it, halted if it is not to be traded, or have it sold under the universe of before", in, in.Name,
		s.cfg.Universe, row.Account)
}

func newInstruments() *cobra.Command {
	var name, output string
	var check bool
	cmd := &cobra.Command{
		Use:   "instruments",
		Short: "List and check what a server would trade",
		Long: `List the instruments of a universe: one that is shipped, cn or us, or that of a file, CSV or YAML. What is wrong with a file
is said with its lines; then the exit code is 2.`,
		Example: `  papertape instruments
  papertape instruments --universe us -o json
  papertape instruments --universe my.csv --check`,
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().Var(pathFlag{&name}, "universe", "cn, us, or a `file` of instruments")
	cmd.Flags().Lookup("universe").DefValue = "cn"
	cmd.Flags().Var(boolFlag{&check}, "check", "only say whether it can be used")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if name == "" {
			name = "cn"
		}
		u, err := universeOf(name)
		if err != nil {
			return config.Errorf("--universe: %w", err)
		}
		found := newUniverseSummary(name, u, check)
		return printAs(cmd.OutOrStdout(), output, found, found.write)
	}
	return cmd
}

// universeSummary is what the command says of a universe.
type universeSummary struct {
	Universe    string             `json:"universe"`
	Currency    string             `json:"currency"`
	Total       int                `json:"total"`
	Instruments []listedInstrument `json:"instruments,omitempty"`
}

type listedInstrument struct {
	Market        string        `json:"market"`
	Code          string        `json:"code"`
	Name          string        `json:"name"`
	PreviousClose console.Money `json:"previous_close"`
	Lot           uint32        `json:"lot"`
	Tick          console.Money `json:"tick"`
	Ticks         string        `json:"ticks,omitempty"` // the table by price
	Upper         console.Money `json:"upper"`           // of the first day; 0: there is no limit
	Lower         console.Money `json:"lower"`
	Halted        bool          `json:"halted,omitempty"`
	MIC           string        `json:"mic,omitempty"`
}

func newUniverseSummary(name string, u *market.Universe, check bool) *universeSummary {
	s := &universeSummary{Universe: name, Currency: u.Currency(), Total: u.Len()}
	for _, id := range u.ListedIDs() {
		if check {
			break
		}
		in := u.At(id)
		one := listedInstrument{
			Market: in.Market, Code: in.Code, Name: in.Name, PreviousClose: console.Money(in.PreviousClose),
			Lot: in.Lot, Tick: console.Money(in.Tick), Halted: in.Halted, MIC: in.ExchangeMIC(),
		}
		if in.Ticks != nil {
			one.Ticks = in.Ticks.String()
		}
		if in.LimitBps > 0 {
			lower, upper := in.Limits()
			one.Lower, one.Upper = console.Money(lower), console.Money(upper)
		}
		s.Instruments = append(s.Instruments, one)
	}
	return s
}

func (s *universeSummary) write(w io.Writer) error {
	for _, in := range s.Instruments {
		status := ""
		if in.Halted {
			status = "  halted"
		}
		_, err := fmt.Fprintf(w, "%-2s  %-16s %14s  tick %-7s lot %-5d %-4s  %s%s\n", in.Market, in.Code,
			market.FormatMoney(int64(in.PreviousClose)), market.FormatMoney(int64(in.Tick)), in.Lot, in.MIC, in.Name,
			status)
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s: %d instruments in %s\n", s.Universe, s.Total, s.Currency)
	return err
}
