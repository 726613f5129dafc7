package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/cmd/papertape/config"
)

// hangupKey is the context key of the channel that delivers SIGHUP.
type hangupKey struct{}

func withHangups(ctx context.Context, hangups <-chan os.Signal) context.Context {
	return context.WithValue(ctx, hangupKey{}, hangups)
}

// hangupsOf returns the channel of a context, or nil, which never delivers.
func hangupsOf(ctx context.Context) <-chan os.Signal {
	hangups, _ := ctx.Value(hangupKey{}).(<-chan os.Signal)
	return hangups
}

// reloader reloads the configuration of a running server. It is used by one goroutine.
type reloader struct {
	settings *config.Settings
	flags    *pflag.FlagSet
	server   *server
	level    *logLevel

	started *config.Config // with which the server was built

	mu   sync.Mutex
	last *config.Config // the last valid configuration that was read; written by reload, under mu
}

// start reloads on every hangup until the returned function is called.
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

// reload reads flags, environment and file as at the start, applies what can be changed, and logs
// one line.
func (r *reloader) reload() {
	log := &r.server.log
	if r.server.ready() == nil { // otherwise the manager would be told that the server is ready
		defer tellManagerReloading(log)()
	}
	next, err := r.settings.Load(r.flags, os.Environ())
	var connections int
	if err == nil {
		connections, err = checkMachine(next)
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
		r.server.note(audit.Record{What: "reload", Detail: "nothing was changed: " + err.Error()})
		return
	}
	changed, restart := r.settings.Differences(r.started, r.last, next)
	if next.Log.Level != r.last.Log.Level { // log the line if the old level or the new one allows it
		r.level.set(min(level, zerolog.Level(r.level.Load())))
		defer r.level.set(level)
	}
	line := log.Info()
	if len(restart) > 0 {
		line = log.Warn().Strs("needs_restart", restart)
	}
	line.Strs("changed", changed).Msg("reloaded")
	r.server.note(audit.Record{What: "reload", Detail: strings.Join(slices.Concat(changed, restart), "; ")})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = next
}

// inForce lists the settings with which the server runs: those that SIGHUP changes as they were read last, the others
// as they were at the start. Any goroutine may call it.
func (r *reloader) inForce() []config.InForce {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines, live := r.settings.InForce(r.started), r.settings.InForce(r.last)
	for i := range lines {
		if lines[i].Live {
			lines[i] = live[i]
		}
	}
	return lines
}

// apply changes the settings that a running server can change. If next leaves the rate unchanged, a
// rate set through the console stays.
func (s *server) apply(last, next *config.Config, connections int) error {
	if (last.TLSConfig == nil) != (next.TLSConfig == nil) {
		return next.Wrong("tls.cert", "TLS is turned on or off by a restart only")
	}
	if _, err := s.reloadKeys(); err != nil {
		return err
	}
	if next.Simulator.Rate != last.Simulator.Rate {
		s.interfere("a change of the simulator")
		if err := s.flow.SetRate(next.Simulator.Rate); err != nil {
			return next.Wrong("simulator.rate", "%w", err)
		}
	}
	if next.TLSConfig != nil {
		s.gw.SetTLS(next.TLSConfig)
		s.useCertificate(next.TLSConfig)
	}
	s.gw.SetLimits(connectionLimits(next, connections))
	if last.AdminToken != "" && next.AdminToken != "" {
		s.access.setGiven(next.AdminToken)
	}
	return nil
}
