package main

import (
	"errors"
	"net"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// startTop runs top on a terminal.
func startTop(t *testing.T, admin string, args ...string) *person {
	t.Helper()
	args = append([]string{"top", "--admin", admin, "--delay", "100ms"}, args...)
	return startOnTerminal(t, nil, "papertape", args...)
}

// awaitBottom waits until the last line of the screen is as wanted.
func (p *person) awaitBottom(want string) screenState {
	p.t.Helper()
	return p.until("at the bottom "+want, func(s screenState) bool { return s.last() == want })
}

// TestTop is a person who watches a server: looks at each table, searches, ends a session, and leaves.
func TestTop(t *testing.T) {
	at := serveFixedAt(t)
	c := otherSession(t, at.Listen)
	buys(t, c, "SH", "600519", 100)
	p := startTop(t, at.Admin)
	s := p.until("a session", func(s screenState) bool { return s.count(" 100100  live ") == 1 })
	if !s.own || !s.noCursor || s.count("SIMULATED  ready") != 1 || s.count("connections 1 of ") != 1 {
		t.Errorf("own screen %v, cursor hidden %v:\n%s", s.own, s.noCursor, s)
	}
	if style, _ := s.styleOf("account  state"); style != "7" {
		t.Errorf("the names of the columns are in style %q", style)
	}
	p.until("rates", func(s screenState) bool { return s.count("events 0/s  requests 0/s") == 1 })
	p.press("a")
	p.awaitText("accounts by -value, 20 of 100")
	p.press("f100100\r")
	p.until("the account that trades", func(s screenState) bool {
		return s.count("accounts by -value, 1 of 1, 100100") == 1 && s.count(" 100100    2     1     148000.00 ") == 1
	})
	p.press("i")
	p.awaitText("贵州茅台")
	p.press("f600519\r")
	p.awaitText("instruments by -change, 1 of 1, 600519")
	p.press("s")
	uid := c.Welcome().UID
	p.press("n5\r?")
	p.awaitText("s sessions  a accounts")
	p.press("k")
	p.awaitBottom("end the session with the uid: _")
	p.press(strconv.FormatUint(uid, 10) + "\r")
	p.awaitBottom("end session " + strconv.FormatUint(uid, 10) + "? y or n: _")
	p.press("y\r")
	p.awaitBottom("session " + strconv.FormatUint(uid, 10) + " was ended")
	p.until("nobody", func(s screenState) bool { return s.count("sessions by -waiting, 0 of 0") == 1 })
	eventually(t, "the client is told", func() bool {
		_, err := c.Holdings(t.Context())
		return err != nil
	})
	p.press("\x1b[Aq") // an arrow means nothing
	p.leftAsItWas(0)
}

// leftAsItWas checks how the program ended, and that the terminal is as before.
func (p *person) leftAsItWas(code int) {
	p.t.Helper()
	if got := p.exitCode(); got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
	if s := p.look(); s.own || s.noCursor || s.count("SIMULATED") > 0 {
		p.t.Errorf("its own screen %v, without a cursor %v, on which is\n%s", s.own, s.noCursor, s)
	}
	if !reflect.DeepEqual(p.modes(), freshModes(p.t)) {
		p.t.Error("the terminal is not as it was")
	}
}

// TestTopThroughARestart takes the server away and brings it back.
func TestTopThroughARestart(t *testing.T) {
	admin, dir := freeAddress(t), t.TempDir()
	serve := func() *runningServe {
		s := startServe(t, "--admin", admin, "--data", dir, "--accounts", "3", "--simulator.rate", "0")
		s.until("listening")
		return s
	}
	s := serve()
	p := startTop(t, admin)
	p.awaitText("SIMULATED  ready")
	s.signal(syscall.SIGKILL)
	p.awaitText("no answer from the console at " + admin)
	serve()
	p.until("it goes on", func(s screenState) bool {
		return s.count("no answer") == 0 && s.count("SIMULATED  ready") == 1
	})
	p.press(keyCtrlC)
	p.leftAsItWas(0)
}

// TestTopIsTold ends it by a signal, and in the middle of a question that nobody answers.
func TestTopIsTold(t *testing.T) {
	p := startTop(t, serveFixedAt(t).Admin)
	p.awaitText("SIMULATED  ready")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.leftAsItWas(0)

	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close() //nolint:errcheck // nothing was read
	p = startTop(t, deaf.Addr().String())
	p.awaitText("SIMULATED  asking")
	p.press("q")
	p.leftAsItWas(0)
}

// TestTopFitsTheScreen makes the terminal small.
func TestTopFitsTheScreen(t *testing.T) {
	p := startTop(t, serveFixedAt(t).Admin, "--view", "instruments")
	p.awaitText("贵州茅台")
	const width, height = 40, 8
	p.mu.Lock()
	p.rows, p.width, p.height, p.x, p.y = nil, width, height, 0, 0
	for range height {
		p.rows = append(p.rows, blank(width))
	}
	p.mu.Unlock()
	conn, err := p.tty.SyscallConn()
	if err == nil {
		err = errors.Join(conn.Control(func(fd uintptr) {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
		}), err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := p.until("a small screen", func(s screenState) bool {
		return len(s.lines) == height && s.last() == "? keys  q quit"
	})
	if len(s.lines[0]) > width || !strings.HasPrefix(s.lines[0], "papertape top") || len(p.above) > 0 {
		t.Errorf("it shows\n%s", s)
	}
	p.press("q")
	p.exitCode()
}

// TestTopWithoutATerminal prints once.
func TestTopWithoutATerminal(t *testing.T) {
	at := serveFixedAt(t)
	out, err := exec.Command("papertape", "top", "--admin", at.Admin, "--delay", "100ms", "--view", "accounts",
		"--rows", "2").Output()
	if got := string(out); err != nil || strings.Contains(got, "\x1b") ||
		!strings.Contains(got, "accounts by -value, 2 of ") || !strings.Contains(got, "events 0/s") {
		t.Errorf("%v: it prints\n%s", err, out)
	}
}
