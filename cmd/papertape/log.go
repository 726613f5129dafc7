package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
)

// newLog makes the one logger, and what changes its level.
func newLog(cfg *config.Config, w io.Writer) (zerolog.Logger, *logLevel, error) {
	level, err := zerolog.ParseLevel(cfg.Log.Level)
	if err != nil {
		return zerolog.Nop(), nil, config.Errorf("log.level: %w", err)
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	if cfg.Log.Format == "console" || cfg.Log.Format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: os.Getenv("NO_COLOR") != "" || !isTerminal(w)}
	}
	changing := new(logLevel)
	changing.set(level)
	return zerolog.New(w).Sample(changing).With().Timestamp().Logger(), changing, nil
}

// logLevel is the level of a logger and of every logger derived from it. It is their sampler, since that is what zerolog
// asks before it builds an event: a line that is not wanted costs a comparison. Any goroutine may use it.
type logLevel struct{ atomic.Int32 }

func (l *logLevel) set(level zerolog.Level) { l.Store(int32(level)) }

// Level is what is logged at least. It and SetLevel are for the console.
func (l *logLevel) Level() string { return zerolog.Level(l.Load()).String() }

// SetLevel takes the names that the configuration takes.
func (l *logLevel) SetLevel(name string) error {
	level, err := zerolog.ParseLevel(name)
	if err != nil || name == "" || level > zerolog.ErrorLevel {
		return fmt.Errorf("log level %q is not possible; write trace, debug, info, warn or error", name)
	}
	l.set(level)
	return nil
}

// Sample implements zerolog.Sampler.
func (l *logLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.Load() }

func isTerminal(w any) bool {
	switch f := w.(type) {
	case *os.File:
		return isatty.IsTerminal(f.Fd())
	case *lossy:
		return isTerminal(f.w)
	case *logQueue:
		return isTerminal(f.to)
	}
	return false
}

// lossy writes to what may have nobody who reads it any more. It never fails; it counts what was lost. Any
// goroutine may use it.
type lossy struct {
	w    io.Writer
	lost atomic.Uint64 // writes, each of which is a line or a few
}

func (l *lossy) Write(p []byte) (int, error) {
	if _, err := l.w.Write(p); err != nil {
		l.lost.Add(1)
	}
	return len(p), nil
}

// linesLost is how many lines a command has said on stderr that nobody read.
func linesLost(cmd *cobra.Command) uint64 {
	if l, ok := cmd.ErrOrStderr().(*lossy); ok {
		return l.lost.Load()
	}
	return 0
}

const (
	logQueueLines = 1024 // that wait to be written
	logFlushLimit = time.Second
)

// logQueue keeps whoever logs from waiting for whoever reads the log: a pipe that is not read fills up, and a
// terminal can be stopped. What comes while as many lines wait as may is lost, and counted. Any goroutine may use
// it.
type logQueue struct {
	to    *lossy
	lines chan []byte
	once  sync.Once
	quit  chan struct{} // closed by stop
	ended chan struct{} // closed when the goroutine that writes has ended
}

func newLogQueue(to *lossy) *logQueue {
	q := &logQueue{to: to, lines: make(chan []byte, logQueueLines), quit: make(chan struct{}), ended: make(chan struct{})}
	go q.run() // until stop
	return q
}

func (q *logQueue) Write(p []byte) (int, error) {
	select {
	case q.lines <- bytes.Clone(p):
	default:
		q.to.lost.Add(1)
	}
	return len(p), nil
}

func (q *logQueue) run() {
	defer close(q.ended)
	for {
		select {
		case line := <-q.lines:
			_, _ = q.to.Write(line)
		case <-q.quit:
			for {
				select {
				case line := <-q.lines:
					_, _ = q.to.Write(line)
				default:
					return
				}
			}
		}
	}
}

// stop writes what waits, if that is possible within a moment. A write that nobody reads stays behind, until the
// process ends.
func (q *logQueue) stop() {
	q.once.Do(func() { close(q.quit) })
	select {
	case <-q.ended:
	case <-time.After(logFlushLimit):
	}
}
