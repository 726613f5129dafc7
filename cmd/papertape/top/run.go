package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// Config says what to show, and where.
type Config struct {
	Source Source
	Server string // as it is shown
	Query  Query
	Every  time.Duration // between two questions
	Exact  bool          // bytes in full

	In, Out *os.File // the terminal, if they are one
	Print   io.Writer
	Once    bool
	Getenv  func(string) string
}

// Run shows the server until the person leaves or ctx ends. Where there is no terminal it prints once.
func Run(ctx context.Context, cfg Config) error {
	// of the table's package: Δ and lines take one column, whatever the locale
	text.OverrideRuneWidthEastAsianWidth(false)
	if cfg.Once || !OnTerminal(&cfg) {
		return printOnce(ctx, &cfg)
	}
	s, err := openScreen(&cfg)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

// OnTerminal reports whether there is a person at both ends, whose terminal can do more than print.
func OnTerminal(cfg *Config) bool {
	return cfg.In != nil && cfg.Out != nil && term.IsTerminal(int(cfg.In.Fd())) && term.IsTerminal(int(cfg.Out.Fd())) &&
		cfg.Getenv("TERM") != "dumb"
}

// Look asks a server twice, so that there are rates.
func Look(ctx context.Context, cfg *Config) (Snapshot, error) {
	before, after, err := twice(ctx, cfg)
	if err != nil {
		return Snapshot{}, err
	}
	return snapshotOf(cfg.Server, before, after), nil
}

func twice(ctx context.Context, cfg *Config) (before, after *sample, err error) {
	if before = take(ctx, cfg.Source, cfg.Query, time.Now); before.err != nil {
		return nil, nil, before.err
	}
	select {
	case <-time.After(cfg.Every):
	case <-ctx.Done():
		return nil, nil, errors.New("interrupted")
	}
	after = take(ctx, cfg.Source, cfg.Query, time.Now)
	return before, after, after.err
}

func printOnce(ctx context.Context, cfg *Config) error {
	before, after, err := twice(ctx, cfg)
	if err != nil {
		return err
	}
	m := newModel(cfg.Server, cfg.Query)
	m.exact, m.before, m.now = cfg.Exact, before, after
	var b strings.Builder
	for _, l := range m.frame(0, after.at) {
		fmt.Fprintln(&b, l.text)
	}
	_, err = io.WriteString(cfg.Print, b.String())
	return err
}
