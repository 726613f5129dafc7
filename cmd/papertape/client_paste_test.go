package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// pastes sends what a terminal sends for a paste in bracketed paste mode.
func (p *person) pastes(text string) {
	p.t.Helper()
	p.until("pastes are marked", func(s screenState) bool { return s.marks })
	p.press("\x1b[200~" + text + "\x1b[201~")
}

// TestPaste checks that pasted lines become one line for review, that nothing is executed before
// Enter, and that Enter executes all of it in order.
func TestPaste(t *testing.T) {
	for ends, lines := range map[string]string{
		"LF":    "buy SZ.000001 100\n# a note\nsell SZ.000001 40\n",
		"CR LF": "buy SZ.000001 100\r\n# a note\r\n\r\nsell SZ.000001 40",
		"CR":    "buy\tSZ.000001 100\r# a note\rsell SZ.000001 40\r\r",
		"BOM":   "\ufeffbuy SZ.000001 100\n# a note\nsell SZ.000001 40\n",
	} {
		at := serveFixed(t)
		p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
		c := otherSession(t, at)
		p.awaitPrompt()
		p.pastes(lines)
		line := ">>> buy SZ.000001 100 ⏎ # a note ⏎ sell SZ.000001 40"
		p.awaitLine(line)
		buys(t, c, "SH", "600036", 1)
		p.awaitText("other session  holds 1        100100-2") // nothing was executed before
		p.awaitLine(line)
		p.press(keyEnter)
		p.awaitText("buy  SZ.000001 平安银行      100 @     10.00  you            holds 100      100100-3")
		s := p.awaitText("sell SZ.000001 平安银行       40 @     10.00  you            holds 60       100100-4")
		if s.count(">>> buy") != 1 {
			t.Errorf("%s: the screen is\n%s", ends, s)
		}
		p.awaitPrompt()
		p.types(keyUp, line) // it is a single entry in the history
		p.press(keyCtrlU)
		p.awaitPrompt()
	}
}

// TestPasteEdited checks that pasted text can be inserted into a line, edited before Enter, and
// discarded, like typed text.
func TestPasteEdited(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy 300", ">>> buy 300")
	p.press(strings.Repeat(keyLeft, 3))
	p.pastes("SZ.000001 ")
	p.until("the paste in its place", func(s screenState) bool {
		return s.last() == ">>> buy SZ.000001 300" && s.cursorLine == ">>> buy SZ.000001"
	})
	p.press(keyEnter)
	p.awaitText("you            holds 300      100100-2")
	p.awaitPrompt()
	p.pastes("buy SZ.000001 100\nquit\n")
	p.awaitLine(">>> buy SZ.000001 100 ⏎ quit")
	p.press(keyCtrlC)
	p.awaitPrompt()
	p.pastes("sell SZ.000001 100\nqui")
	p.awaitLine(">>> sell SZ.000001 100 ⏎ qui")
	p.types(keyTab, ">>> sell SZ.000001 100 ⏎ quit ")
	p.press(keyEnter)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if s := p.awaitText("you            holds 200      100100-3"); s.last() != "bye" { // quit has waited for its turn
		t.Errorf("the screen is\n%s", s)
	}
}

// TestPasteFails checks that nothing is executed if a part of the paste cannot be parsed, and that
// a refused command stops the rest.
func TestPasteFails(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.pastes("buy SZ.000001 100\nbuy SZ.000001 many\n")
	p.press(keyEnter)
	p.awaitText(`? nothing of it was done: line 2: buy SZ.000001 many: "many" is no quantity`)
	p.awaitPrompt()
	p.pastes("buy SZ.000001 100\nsell SZ.000001 500\nbuy SZ.000001 7\nbuy SZ.000001 8")
	p.press(keyEnter)
	p.awaitText("you            holds 100      100100-2") // this paste's first command, and none of the previous one
	p.awaitText("? line 2: sell SZ.000001 500: refused, not enough shares")
	p.awaitText("not done after it: 2 of the line")
	p.awaitPrompt()
	p.press("buy SZ.000001 5" + keyEnter)
	p.awaitText("you            holds 105      100100-3")
	p.awaitPrompt()
	p.pastes(strings.Repeat("help\n", 101))
	p.press(keyEnter)
	p.awaitText("nothing of it was done: these are 101 commands; a line has at most 100")
	p.press(keyCtrlD)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestPasteTooLong checks that a paste that is too long is not inserted at all, and that a message
// says so.
func TestPasteTooLong(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy", ">>> buy")
	p.pastes(strings.Repeat("x\n", 100<<10))
	p.awaitText("the paste of 204800 bytes is longer than the 4096 that a line takes, and none of it was inserted")
	p.awaitLine(">>> buy")
	p.pastes(" SZ.000001 100\x1b[31m\x07\u202e")
	p.awaitLine(">>> buy SZ.000001 100?[31m??")
	p.press(keyEnter)
	p.awaitText(`? "100?[31m??" is no quantity`)
}

// TestPasteWithoutEnd checks that Ctrl-C abandons a paste whose end is lost, and that later keys
// count as typed again.
func TestPasteWithoutEnd(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy", ">>> buy")
	p.press("\x1b[200~ SZ.000001 100\rbuy SZ.000001 200\r")
	p.press(keyCtrlC)
	p.until("the line given up", func(s screenState) bool { return s.count(">>> buy^C") == 1 && s.last() == ">>>" })
	for shown := false; !shown; shown = p.look().last() != ">>>" {
		p.press("h") // until the paste is over
		time.Sleep(400 * time.Millisecond)
	}
	p.press(keyCtrlU)
	p.awaitPrompt()
	p.press("buy SZ.000001 5" + keyEnter)
	p.awaitText("you            holds 5        100100-2")
}

// TestTerminalGivenBack checks that the terminal's modes are restored however the program ends:
// echo is on, and bracketed paste is off.
func TestTerminalGivenBack(t *testing.T) {
	at := serveFixed(t)
	for how, end := range map[string]func(p *person){
		"quit":            func(p *person) { p.press("quit" + keyEnter) },
		"Ctrl-D":          func(p *person) { p.press(keyCtrlD) },
		"Ctrl-C":          func(p *person) { p.press(keyCtrlC); p.awaitText("to leave:"); p.press(keyCtrlC) },
		"a pasted quit":   func(p *person) { p.pastes("quit"); p.press(keyEnter) },
		"SIGINT":          func(p *person) { _ = p.cmd.Process.Signal(syscall.SIGINT) },
		"SIGTERM":         func(p *person) { _ = p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":          func(p *person) { _ = p.cmd.Process.Signal(syscall.SIGHUP) },
		"SIGTERM, pasted": func(p *person) { p.press("\x1b[200~buy"); _ = p.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		if how == "SIGHUP" && signal.Ignored(syscall.SIGHUP) {
			continue // as under nohup: the program inherits the ignored signal
		}
		fresh := freshModes(t)
		p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
		p.awaitPrompt()
		p.until(how+": pastes are marked", func(s screenState) bool { return s.marks })
		end(p)
		p.exitCode()
		if s := p.look(); s.marks || !reflect.DeepEqual(p.modes(), fresh) {
			t.Errorf("%s: marks %v, modes %+v, want %+v", how, s.marks, p.modes(), fresh)
		}
	}
}

// TestTerminalGivenBackCrash checks the same for signals on which Go dumps its goroutines to the
// terminal.
func TestTerminalGivenBackCrash(t *testing.T) {
	at := serveFixed(t)
	fresh := freshModes(t)
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close() //nolint:errcheck // the test is over
	cmd := exec.Command("papertape", "client", "--account", "100100", "--server", at)
	cmd.Env = append(os.Environ(), "TERM=xterm", homeEnv(t))
	cmd.Stdin, cmd.Stdout = tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	var dump strings.Builder
	cmd.Stderr = &dump
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen := interruptible(t, master)
	var shown strings.Builder
	await := func(what string) {
		t.Helper()
		buf := make([]byte, 4096)
		for _ = screen.SetReadDeadline(time.Now().Add(30 * time.Second)); !strings.Contains(shown.String(), what); {
			n, err := screen.Read(buf)
			if shown.Write(buf[:n]); err != nil {
				t.Fatalf("%q is not written: %v; so far\n%s", what, err, shown.String())
			}
		}
	}
	await("\x1b[?2004h")
	await(">>> ")
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	await("\x1b[?2004l")
	_ = cmd.Wait()
	if now := modesOf(t, tty); !reflect.DeepEqual(now, fresh) || !strings.Contains(dump.String(), "SIGQUIT") {
		t.Errorf("the modes are %+v, want %+v; it said\n%.200s", now, fresh, dump.String())
	}
	_ = tty.Close()
	_ = screen.Close()
}

// TestTerminalSaysNothing checks that on a terminal that answers no queries and does not know its
// size, such as a serial line or a pseudo-terminal held by a program, there is a prompt, commands
// work, and Ctrl-C leaves.
func TestTerminalSaysNothing(t *testing.T) {
	at := serveFixed(t)
	cmd := exec.Command("papertape", "client", "--account", "100100", "--server", at)
	cmd.Env = append(os.Environ(), "TERM=vt100", homeEnv(t))
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{})
	if err != nil {
		t.Fatal(err)
	}
	screen := interruptible(t, tty)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = cmd.Process.Wait(); _ = screen.Close() })
	var shown strings.Builder
	read := func(until func(string) bool) {
		t.Helper()
		buf := make([]byte, 4096)
		for _ = screen.SetReadDeadline(time.Now().Add(30 * time.Second)); !until(shown.String()); {
			n, err := screen.Read(buf)
			if shown.Write(buf[:n]); err != nil {
				t.Fatalf("%v; so far\n%q", err, shown.String())
			}
		}
	}
	times := func(n int, what string) func(string) bool {
		return func(s string) bool { return strings.Count(s, what) >= n }
	}
	read(times(1, ">>> "))
	if strings.Contains(shown.String(), "\x1b[6n") {
		t.Errorf("the terminal is asked: %q", shown.String())
	}
	_, _ = io.WriteString(screen, "buy SZ.000001 100\r")
	read(times(1, "you            holds 100 "))
	_, _ = io.WriteString(screen, "holding\r")
	read(times(1, "customer 100100, sequence 2\r\n")) // now nothing is in progress that Ctrl-C would abandon
	_, _ = io.WriteString(screen, "\x03\x03")
	read(times(1, "bye"))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
