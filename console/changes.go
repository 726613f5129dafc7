package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/audit"
)

// recordOf returns a line of the audit about a request.
func recordOf(r *http.Request, who Identity) audit.Record {
	return audit.Record{
		Key: who.Key, Name: who.Name, Remote: remoteOf(r), Method: r.Method, Path: r.URL.RequestURI(),
	}
}

// audited carries out a change between two lines of the audit: that it was asked, and what became of
// it. A change that cannot be written down is refused, unless it is urgent: what ends something must
// go on when the disk is full.
func (s *Server) audited(w http.ResponseWriter, r *http.Request, urgent bool, handle http.HandlerFunc) {
	if s.cfg.Audit == nil {
		handle(w, r)
		return
	}
	text, err := readBody(w, r, bodyBytesMax)
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	if isPreview(text) { // it changes nothing
		handle(w, r)
		return
	}
	line := recordOf(r, identityOf(r))
	line.Step, line.Bytes = audit.Asked, int64(len(text))
	line.Body, line.OnBehalfOf = withoutSecrets(text), bodyActor(text)
	asked, err := s.cfg.Audit.Write(line)
	if err != nil && !urgent {
		s.failAudit(w, err)
		return
	}
	s.logUnwritten(&line, err)
	began, seen := time.Now(), &seenWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		line.Step, line.Asked, line.Body, line.Bytes = audit.Done, asked, "", 0
		if line.Status, line.Code = seen.status, seen.code(); !seen.begun {
			line.Status, line.Detail = 0, "it ended without an answer"
		}
		line.TookMS = float64(time.Since(began).Microseconds()) / 1000
		_, err := s.cfg.Audit.Write(line)
		s.logUnwritten(&line, err)
	}()
	handle(seen, r)
}

// logUnwritten has the log keep what the audit could not, at any level.
func (s *Server) logUnwritten(line *audit.Record, err error) {
	if err != nil {
		s.cfg.Log.Log().Err(err).Interface("line", line).Msg("the audit cannot be written, and this went on")
	}
}

// failAudit answers that a change was not carried out because it cannot be written down.
func (s *Server) failAudit(w http.ResponseWriter, err error) {
	if errors.Is(err, audit.ErrNotOpen) {
		fail(w, http.StatusServiceUnavailable, codeNotReady,
			"the server is starting, and changes nothing before it has its data directory; try again")
		return
	}
	if errors.Is(err, audit.ErrClosed) {
		fail(w, http.StatusServiceUnavailable, codeStopping, "the server is stopping")
		return
	}
	s.cfg.Log.Error().Err(err).Msg("console: a change was refused, since the audit cannot be written")
	fail(w, http.StatusServiceUnavailable, codeReadOnly,
		"nothing was changed: a change is written to the audit first, and that failed: "+err.Error())
}

// seenWriter remembers how a request was answered.
type seenWriter struct {
	http.ResponseWriter
	status int
	begun  bool
	start  []byte // of an answer that is an error
}

const seenBytesMax = 1 << 10

// WriteHeader implements http.ResponseWriter.
func (w *seenWriter) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *seenWriter) Write(p []byte) (int, error) {
	w.begun = true
	if w.status >= http.StatusBadRequest {
		w.start = append(w.start, p[:min(len(p), seenBytesMax-len(w.start))]...)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code returns the code of an answer that is an error, which write puts first.
func (w *seenWriter) code() string {
	rest, ok := strings.CutPrefix(string(w.start), `{"error":{"code":"`)
	code, _, ended := strings.Cut(rest, `"`)
	if !ok || !ended {
		return ""
	}
	return code
}

// secretWords are in the names of members that no file may keep.
var secretWords = []string{"secret", "token", "password", "proof", "verifier", "authorization", "private"}

// withoutSecrets returns a JSON object as text, with its secrets masked. Of what is no object, nothing
// is known, so it stays out.
func withoutSecrets(text []byte) string {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(masked(object)); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// masked masks the secrets in a decoded value.
func masked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			lower := strings.ToLower(name)
			if slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(lower, word) }) {
				v[name] = "********"
			} else {
				v[name] = masked(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
	}
	return v
}

// bodyActor returns for whom a body says that it asks.
func bodyActor(text []byte) string {
	var body struct {
		Actor string `json:"actor"`
	}
	_ = json.Unmarshal(text, &body) // the handler refuses what is wrong
	return body.Actor
}
