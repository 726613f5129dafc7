package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/functional-test.md anew, from a real run")

// missionSteps is the mission's functional test as a person would type it. A comment is the heading
// of a step.
const missionSteps = `# Log in as a user with nothing
help
holding
# Buy two
buy SH 600519 100
buy SZ.000001 200
holding
# Buy until there are five
buy 601398.SH 500
buy 002594.XSHE 100
buy SZ 300750 100 @ 252
holding
# Sell two whole: three are left
sell SH.600519 100
sell SZ.002594 100
holding
# More of two: +300 and +160
buy SH.601398 300
buy SZ.000001 160
holding
# Less of them: -100 and -200
sell SH.601398 100
sell SZ.000001 200
holding
# Sell all: empty again
sell SH.601398 700
sell SZ.000001 160
sell SZ.300750 100
holding
# The history has every command
history
`

// missionRest follows after an operator has run the commands in missionBusts, which bust one trade
// and correct another. Meanwhile the session waits at its last heading.
const (
	missionBustStep = "# An operator takes the last sale back, and corrects a purchase\n"
	missionRest     = "holding\n# The history has the originals, and what took their place\nhistory\n"
)

var missionBusts = [][]string{
	{"bust", "100100-15", "--reason", "wrong account"},
	{"correct", "100100-6", "--price", "250", "--quantity", "60", "--reason", "a typing error"},
}

const missionHead = `# The functional test of the mission

One session of ` + "`papertape client`" + ` on the account that opens empty. The server's prices stand still and it simulates
nothing, so every figure can be checked by hand:

` + "```" + `
papertape serve --prices fixed --simulator.rate 0
papertape client --account 100100 --echo < steps.txt
` + "```" + `

The commands come from a pipe; ` + "`--echo`" + ` prints each before its answer. In step 9 an operator types, in another shell:

` + "```" + `
papertape bust 100100-15 --reason "wrong account"
papertape correct 100100-6 --price 250 --quantity 60 --reason "a typing error"
` + "```" + `

In the lists, market value is quantity times price. Trading costs nothing, so market value and cash together stay at
1,000,000.00, until a purchase is corrected to 250.00 a share while the share is worth 252.00. In a line of the tape,
` + "`+`" + ` is a new row of the list, ` + "`-`" + ` a row that is gone, ` + "`Δ+300`" + ` and ` + "`Δ-100`" + ` what an order added or took. Then come the
trade, whose order it was, how many shares are held after it, and the trade's name.

A test writes this page from the output of a real run
(` + "`go test ./cmd/papertape -run TestMissionDocument -update-docs`" + `), and compares it with the output of every later run,
except for the times of day and the port. The script cmd/papertape/testdata/script/client_mission.txtar plays the same
steps and compares the whole list after each.
`

// TestMissionDocument plays the mission's functional test and compares its output with
// docs/functional-test.md.
func TestMissionDocument(t *testing.T) {
	at := serveFixedAt(t)
	cmd := exec.Command("papertape", "client", "--account", "100100", "--server", at.Listen, "--lang", "en", "--echo")
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var printed, notices lockedBuffer
	cmd.Stdout, cmd.Stderr = &printed, &notices
	typed, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	types := func(text string) { _, _ = io.WriteString(typed, text) } // an ended client is detected below
	types(missionSteps + missionBustStep)
	printed.await(t, "\n>>> "+missionBustStep)
	for i, command := range missionBusts {
		execAdmin(t, at.Admin, command...)
		printed.await(t, []string{"cash: 1000000.00 -> 974800.00\n", "cash: 974800.00 -> 985000.00\n"}[i])
	}
	types(missionRest)
	_ = typed.Close() // likewise
	if err := cmd.Wait(); err != nil || notices.String() != "" {
		t.Fatalf("%v\n%s%s", err, &printed, &notices)
	}
	got := missionDocument(printed.String(), at.Listen)
	name := filepath.Join("..", "..", "docs", "functional-test.md")
	if *updateDocs {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if timeless(got) != timeless(string(want)) {
		t.Errorf("%s is not what the program prints; write it anew with -update-docs\n%s", name, got)
	}
	if n := strings.Count(got, "\n## "); n != strings.Count(missionSteps+missionBustStep+missionRest, "# ") {
		t.Errorf("the document has %d steps:\n%s", n, got)
	}
}

// missionDocument turns the output of a session into the page, with a section for each step.
func missionDocument(printed, at string) string {
	const step = ">>> # "
	login, rest, _ := strings.Cut(strings.ReplaceAll(printed, at, "127.0.0.1:7300"), step)
	var b strings.Builder
	b.WriteString(missionHead)
	for n, section := range strings.Split(rest, "\n"+step) {
		heading, output, _ := strings.Cut(section, "\n")
		fmt.Fprintf(&b, "\n## %d. %s\n\n```\n%s%s\n```\n", n+1, heading, login, strings.TrimSuffix(output, "\n"))
		login = ""
	}
	return b.String()
}

var times = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// timeless replaces the times in a page.
func timeless(page string) string { return times.ReplaceAllString(page, "#") }

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits until a text has been written.
func (b *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(b.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q was not written; so far:\n%s", text, b.String())
		}
	}
}
