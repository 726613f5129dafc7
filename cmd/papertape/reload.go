package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

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

// hangupKey is where the context of every command has the channel of SIGHUPs.
type hangupKey struct{}

func withHangups(ctx context.Context, hangups <-chan os.Signal) context.Context {
	return context.WithValue(ctx, hangupKey{}, hangups)
}

// hangupsOf returns nil, which never delivers, if there are none.
func hangupsOf(ctx context.Context) <-chan os.Signal {
	hangups, _ := ctx.Value(hangupKey{}).(<-chan os.Signal)
	return hangups
}

// reloader reads the configuration of a running server again. One goroutine uses it.
type reloader struct {
	settings *settings
	flags    *pflag.FlagSet
	server   *server
	level    *logLevel

	started *Config // what the server was built from
	last    *Config // what was read last, and was good
}

// start reloads at every hangup, until the returned function is called.
func (r *reloader) start(hangups <-chan os.Signal) (stop func()) {
	ended := make(chan struct{})
	var reloading sync.WaitGroup
	reloading.Go(func() {
		for {
			select {
			case <-hangups:
				r.reload()
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		reloading.Wait()
	}
}

// reload reads flags, environment and file as at the start, applies what can change, and logs one line.
func (r *reloader) reload() {
	log := &r.server.log
	if r.server.ready() == nil { // else the manager would hear that the server is
		defer tellManagerReloading(log)()
	}
	next, err := r.settings.load(r.flags, os.Environ())
	var connections int
	if err == nil {
		connections, err = fitting(next)
	}
	var level zerolog.Level
	if err == nil {
		level, err = zerolog.ParseLevel(next.Log.Level)
	}
	if err == nil {
		err = r.server.apply(r.last, next, connections)
	}
	if err != nil {
		log.Error().Err(err).Msg("reload: nothing was changed")
		return
	}
	changed, restart := r.differences(next)
	if next.Log.Level != r.last.Log.Level { // the line is for whoever reads the log with the old level or the new
		r.level.set(min(level, zerolog.Level(r.level.Load())))
		defer r.level.set(level)
	}
	line := log.Info()
	if len(restart) > 0 {
		line = log.Warn().Strs("needs_restart", restart)
	}
	line.Strs("changed", changed).Msg("reloaded")
	r.last = next
}

// differences says what next changes now, compared with what was read last, and what it would change after a restart,
// compared with what the server was built from.
func (r *reloader) differences(next *Config) (changed, restart []string) {
	changed = []string{} // an empty list is a word too
	for i := range r.settings.list {
		st := &r.settings.list[i]
		before := r.started
		if st.live {
			before = r.last
		}
		was, is := st.text(before), st.text(next)
		switch {
		case st.key == "admin_token_file" && was == is && next.AdminToken != before.AdminToken:
			restart = append(restart, st.key+": another token is in the file")
		case was == is:
		case st.live:
			changed = append(changed, fmt.Sprintf("%s: %s, was %s", st.key, is, was))
		default:
			restart = append(restart, fmt.Sprintf("%s: %s, was %s", st.key, orNothing(is), orNothing(was)))
		}
	}
	return changed, restart
}

func orNothing(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// apply changes what a running server can change. A rate that the configuration leaves as it was stays as the console set it.
func (s *server) apply(last, next *Config, connections int) error {
	if next.Simulator.Rate != last.Simulator.Rate {
		if err := s.flow.SetRate(next.Simulator.Rate); err != nil {
			return next.wrong("simulator.rate", "%w", err)
		}
	}
	s.gw.SetLimits(next.limits(connections))
	return nil
}

// loadScript reads a scenario from a file.
func loadScript(path string, u *market.Universe) (*simulator.Script, error) {
	text, err := readText(path, simulator.ScriptBytesMax, anybodys)
	if err != nil {
		return nil, fmt.Errorf("scenario script: %w", err)
	}
	s, err := simulator.ParseScript(text, u)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// fitting looks at what a checked configuration asks of the machine: a scenario that can be read, and files enough for its
// connections, whose number it returns.
func fitting(cfg *Config) (connections int, err error) {
	if cfg.Simulator.Script != "" {
		if _, err := loadScript(cfg.Simulator.Script, market.Default()); err != nil {
			return 0, cfg.wrong("simulator.script", "%w", err)
		}
	}
	return connectionsMax(cfg)
}
