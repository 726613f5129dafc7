package console

import (
	"errors"
	"net/http"
)

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) {
	answer(w, logLevel{s.cfg.LogLevel.Level()})
}

func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var body logLevel
	err := decodeBody(w, r, &body)
	if err == nil && body.Level == "" {
		err = errors.New(`the level is missing: write {"level": "debug"}`)
	}
	before := s.cfg.LogLevel.Level()
	if err == nil {
		err = s.cfg.LogLevel.SetLevel(body.Level)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	// The message has no level, so that it is logged whatever the level is now.
	s.cfg.Log.Log().Str("from", before).Str("to", s.cfg.LogLevel.Level()).Func(signedBy(r)).
		Msg("log level changed")
	s.logLevel(w, r)
}
