package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Step says at which point of a request a line was written.
type Step string

// The steps.
const (
	Asked   Step = "asked"   // somebody who may asks for a change, which is not carried out yet
	Done    Step = "done"    // it was carried out, or turned out to be impossible
	Refused Step = "refused" // it was refused to somebody who may not
	Noted   Step = "noted"   // the server itself did something: start, stop, reload
)

// Record is a line of the file. Write sets Time, Number and Previous.
type Record struct {
	Time       time.Time `json:"time"`
	Number     uint64    `json:"number"` // 1, 2, 3 … over all files
	Step       Step      `json:"step"`
	Asked      uint64    `json:"asked,omitempty"`        // of Done: the number of the line in which it was asked
	What       string    `json:"what,omitempty"`         // of Noted: start, stop, reload, mended …
	Key        string    `json:"key,omitempty"`          // the id of the key with which it was asked
	Name       string    `json:"name,omitempty"`         // the name of that key
	Remote     string    `json:"remote,omitempty"`       // host:port, or "uid 1000" of a process on this machine
	OnBehalfOf string    `json:"on_behalf_of,omitempty"` // for whom, as the request says
	Method     string    `json:"method,omitempty"`
	Path       string    `json:"path,omitempty"`  // with the query
	Body       string    `json:"body,omitempty"`  // without secrets, the beginning
	Bytes      int64     `json:"bytes,omitempty"` // length of the whole body
	Status     int       `json:"status,omitempty"`
	Code       string    `json:"code,omitempty"`   // of an answer that is an error
	Detail     string    `json:"detail,omitempty"` // a sentence
	Times      uint64    `json:"times,omitempty"`  // how many requests the line stands for, if more than one
	TookMS     float64   `json:"took_ms,omitempty"`
	Previous   string    `json:"previous"` // SHA-256 of the line before, without its line feed, in hexadecimal
}

// Bounds of a line. What was sent is clipped, so that a line has a bound.
const (
	bodyBytesMax = 4 << 10
	textBytesMax = 1 << 10
	lineBytesMax = 128 << 10 // each byte of a text may become six
)

// clip bounds all texts of the record.
func (r *Record) clip() {
	for _, text := range []*string{
		&r.What, &r.Key, &r.Name, &r.Remote, &r.OnBehalfOf, &r.Method, &r.Path, &r.Code, &r.Detail,
	} {
		*text = clipTo(*text, textBytesMax)
	}
	r.Body = clipTo(r.Body, bodyBytesMax)
}

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// line encodes a record, with a line feed.
func (r *Record) line() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return b.Bytes(), nil
}

// hashOf returns the hash of a line, which is given without its line feed.
func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// nothing is Previous of the very first line.
var nothing = strings.Repeat("0", 2*sha256.Size)

// parseLine decodes a line, which is given without its line feed.
func parseLine(line []byte) (r Record, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("it is no line of an audit: %w", err)
	}
	if r.Number == 0 || len(r.Previous) != len(nothing) {
		return r, fmt.Errorf("it is no line of an audit: number and previous are missing")
	}
	return r, nil
}
