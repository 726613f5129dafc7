package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
)

// healthDefault is where health has its listener if nothing is configured, and the console is at its default
// address too: one server on a machine has it, and others say that they have none.
const healthDefault = "127.0.0.1:7303"

// serveHealth starts the health listener, if there is to be one. It returns its address, or why there is none, and a
// function to stop it.
func (s *server) serveHealth(ctx context.Context) (where string, stop func(), err error) {
	none := func(because string) (string, func(), error) {
		return "no listener of its own: " + because, func() {}, nil
	}
	address := s.cfg.HealthListen
	if address == "" {
		if address = healthDefault; s.cfg.Admin != config.Default().Admin {
			return none("health_listen is not set, and admin is not the default")
		}
	}
	ln, err := net.Listen("tcp", address)
	switch {
	case err != nil && s.cfg.HealthListen == "":
		return none(err.Error())
	case err != nil:
		return "", nil, config.Errorf("health_listen: listen on %s: %w", address, err)
	}
	health := console.NewHealth(s.ready, s.log)
	at := ln.Addr().String()
	s.health.Store(&at)
	var serving sync.WaitGroup
	serving.Go(func() { _ = health.Serve(ln) }) // ends with Shutdown
	return ln.Addr().String(), func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = health.Shutdown(limit)
		serving.Wait()
	}, nil
}
