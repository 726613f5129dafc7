package console

import (
	"net/http"
	"sync/atomic"
)

// Stats is what a console has counted since its start.
type Stats struct {
	Answers      [4]uint64 // by class of status, from 2xx on
	Unauthorized uint64    // requests without a key, or with a wrong one
	Limited      uint64    // requests refused since too many wrong keys had come from their address
	Streams      int64     // live streams that are open
}

// counted are the counters of a console. Any goroutine may touch them: a console answers a few requests
// at a time.
type counted struct {
	answers [4]atomic.Uint64
	streams atomic.Int64 // whoever opens a live stream counts it here, until it ends
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	st := Stats{Streams: s.counted.streams.Load()}
	st.Unauthorized, st.Limited = s.Refused()
	for i := range st.Answers {
		st.Answers[i] = s.counted.answers[i].Load()
	}
	return st
}

// countAnswers counts answers by the class of their status. An answer that was broken off counts as what it began as.
func (c *counted) countAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if class := seen.status/100 - 2; class >= 0 && class < len(c.answers) {
				c.answers[class].Add(1)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader is part of http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= http.StatusOK {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is part of http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is what http.ResponseController looks for.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
