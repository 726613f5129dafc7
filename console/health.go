package console

import (
	"net/http"
)

func (s *Server) live(w http.ResponseWriter, _ *http.Request) { answer(w, status{"alive"}) }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Ready(); err != nil {
		fail(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
		return
	}
	answer(w, status{"ready"})
}
