package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestReadJournal checks that the output of go test counts only if tests ran, finished, and tried
// something.
func TestReadJournal(t *testing.T) {
	const (
		tried = `    crash_test.go:300: torture: {"what":"power loss","points":300,"seed":7,"found":0,` +
			`"seen":{"logs":12}}` + "\n"
		nobody = `    crash_test.go:300: torture: {"what":"torn log","points":0,"seed":7,"found":0,"seen":{}}` + "\n"
		ok     = "ok  \tgithub.com/papertape/papertape/engine/journal\t8.0s\n"
	)
	for text, want := range map[string]string{
		tried + ok:          "",
		tried:               "its tests did not come to their end",
		ok:                  "no test said what it has tried",
		"":                  "its tests did not come to their end",
		tried + nobody + ok: "torn log: nothing was tried",
		tried + ok + "ok  \tgithub.com/papertape/papertape/engine/journal\t0.1s " +
			"[no tests to run]\n": "a run of its tests ran none",
		tried + "FAIL\tgithub.com/papertape/papertape/engine/journal [build failed]\n" +
			ok: "FAIL\tgithub.com",
	} {
		name := filepath.Join(t.TempDir(), "log")
		write(t, name, text)
		r := newTortureReport(1)
		if err := r.readJournal(name); err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(r.Failures, "\n"); r.OK() != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%q: it says %q, want %q", text, said, want)
		}
	}
}
