package console

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/papertape/papertape/audit"
)

// lastLines are the audit of a test, which may be broken.
type lastLines struct {
	lines []audit.Record
	err   error
}

func (l *lastLines) Write(r audit.Record) (uint64, error) {
	if l.err != nil {
		return 0, l.err
	}
	l.lines = append(l.lines, r)
	return uint64(len(l.lines)), nil
}

// TestQuotesAreSummedUp: the first quotes of a key have a line at once, then there is one a minute at most, and all are
// counted once, also those that the disk had no room for.
func TestQuotesAreSummedUp(t *testing.T) {
	kept := new(lastLines)
	told := newSummaries[string](kept)
	at := time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	for _, step := range []struct {
		after   time.Duration
		key     string
		updates int
		broken  bool
		want    string // the line about it; empty: there is none
	}{
		{0, "PK1", 7, false, "PK1 0 updates of quotes: 7, since 2026-11-30T09:30:00Z"},
		{time.Second, "PK1", 1, false, ""},
		{58 * time.Second, "PK1", 2, false, ""},
		{0, "PK2", 5, false, "PK2 0 updates of quotes: 5, since 2026-11-30T09:30:59Z"},
		{time.Second, "PK1", 3, false, "PK1 3 updates of quotes: 6, since 2026-11-30T09:30:01Z"},
		{time.Minute, "PK1", 4, true, ""},
		{time.Second, "PK1", 5, false, ""},
		{time.Minute, "PK1", 1, false, "PK1 3 updates of quotes: 10, since 2026-11-30T09:32:00Z"},
		{time.Second, "PK2", 9, false, "PK2 0 updates of quotes: 9, since 2026-11-30T09:33:02Z"},
		{0, "PK2", 9, false, ""},
	} {
		at, kept.lines, kept.err = at.Add(step.after), nil, nil
		if step.broken {
			kept.err = errors.New("there is no room")
		}
		told.add(step.key, audit.Record{Step: audit.Done, Key: step.key}, step.updates, at)
		got := ""
		for _, line := range kept.lines {
			got += fmt.Sprintf("%s %d %s", line.Key, line.Times, line.Detail)
		}
		if got != step.want {
			t.Errorf("at %s of %s: %q, want %q", at, step.key, got, step.want)
		}
	}
	kept.lines = nil
	told.flush()
	if len(kept.lines) != 1 || kept.lines[0].Key != "PK2" || kept.lines[0].Times != 0 {
		t.Errorf("at the end: %+v", kept.lines)
	}
	if told.flush(); len(kept.lines) != 1 {
		t.Errorf("once more: %+v", kept.lines)
	}
}

// TestQuotesInTheAudit: quotes that a request tells are in the audit, with whose key it was; what was not taken is not.
func TestQuotesInTheAudit(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newFixtureWith(t, func(c *Config) { c.Keys, c.Anonymous, c.Audit = keyring{}, Watch, kept })
	const key, value = "Authorization", "Bearer K.operate"
	if w := f.ask("POST", quotesPath, `{"updates":[]}`, key, value); w.Code != 400 || len(kept.Memory()) != 0 {
		t.Errorf("%d; of a bad request: %+v", w.Code, kept.Memory())
	}
	for range 3 {
		if w := f.ask("POST", quotesPath, updates, key, value); w.Code != 200 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	f.server.FlushQuotes()
	lines := kept.Memory()
	if len(lines) != 2 || lines[0].Times != 0 || lines[1].Times != 2 {
		t.Fatalf("%+v", lines)
	}
	for _, line := range lines {
		if line.Step != audit.Done || line.Asked != 0 || line.Key != "K" || line.Method != "POST" ||
			line.Path != quotesPath || line.Status != 200 || line.Body != "" || line.Remote != "192.0.2.1:1234" {
			t.Errorf("%+v", line)
		}
	}
}
