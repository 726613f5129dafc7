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

// newLog returns the logger, and the value that changes its level.
func newLog(cfg *config.Config, w io.Writer) (zerolog.Logger, *logLevel, error) {
	level, err := zerolog.ParseLevel(cfg.Log.Level)
	if err != nil {
		return zerolog.Nop(), nil, config.Errorf("log.level: %w", err)
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	if cfg.Log.Format == "console" || cfg.Log.Format == "auto" && isTerminal(w) {
		noColor := os.Getenv("NO_COLOR") != "" || !isTerminal(w)
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: noColor}
	}
	changing := new(logLevel)
	changing.set(level)
	return zerolog.New(w).Sample(changing).With().Timestamp().Logger(), changing, nil
}

// logLevel is the level of a logger and of all loggers derived from it. It is a sampler because
// zerolog asks the sampler before it builds an event, so a suppressed line costs one comparison. It
// is safe for concurrent use.
type logLevel struct{ atomic.Int32 }

func (l *logLevel) set(level zerolog.Level) { l.Store(int32(level)) }

// Level returns the lowest level that is logged. The console uses Level and SetLevel.
func (l *logLevel) Level() string { return zerolog.Level(l.Load()).String() }

// SetLevel accepts the same names as the configuration.
func (l *logLevel) SetLevel(name string) error {
	level, err := zerolog.ParseLevel(name)
	if err != nil || name == "" || level > zerolog.ErrorLevel {
		return fmt.Errorf("log level %q is not possible; write trace, debug, info, warn or error", name)
	}
	l.set(level)
	return nil
}

func (l *logLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.Load() }

func isTerminal(w any) bool {
	switch f := w.(type) {
	case *os.File:
		return isatty.IsTerminal(f.Fd())
	case *lossyWriter:
		return isTerminal(f.w)
	case *logQueue:
		return isTerminal(f.to)
	}
	return false
}

// lossyWriter writes to a stream whose reader may have gone away. It never fails, and counts the
// lost writes. It is safe for concurrent use.
type lossyWriter struct {
	w    io.Writer
	lost atomic.Uint64 // failed writes, each of one or a few lines
}

func (l *lossyWriter) Write(p []byte) (int, error) {
	if _, err := l.w.Write(p); err != nil {
		l.lost.Add(1)
	}
	return len(p), nil
}

// linesLost returns how many lines of a command's stderr were lost.
func linesLost(cmd *cobra.Command) uint64 {
	if l, ok := cmd.ErrOrStderr().(*lossyWriter); ok {
		return l.lost.Load()
	}
	return 0
}

const (
	logQueueLines = 1024 // lines waiting to be written
	logFlushLimit = time.Second
)

// logQueue keeps the reader of the log from blocking its writers: a pipe that nobody reads fills
// up, and a terminal can be stopped. Lines that arrive while the queue is full are dropped and
// counted. It is safe for concurrent use.
type logQueue struct {
	to    *lossyWriter
	lines chan []byte
	once  sync.Once
	quit  chan struct{} // closed by stop
	ended chan struct{} // closed when the writing goroutine has ended
}

func newLogQueue(to *lossyWriter) *logQueue {
	q := &logQueue{to: to, lines: make(chan []byte, logQueueLines), quit: make(chan struct{}),
		ended: make(chan struct{})}
	go q.run() // ends with stop
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

// stop writes the waiting lines, but gives up after a moment. A write that blocks is abandoned
// until the process ends.
func (q *logQueue) stop() {
	q.once.Do(func() { close(q.quit) })
	select {
	case <-q.ended:
	case <-time.After(logFlushLimit):
	}
}
