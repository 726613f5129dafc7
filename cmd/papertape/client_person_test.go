package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/papertape/papertape/client"
)

// person is somebody at a terminal that runs papertape client.
type person struct {
	t   *testing.T
	tty *os.File
	cmd *exec.Cmd
	*vt
	ended chan struct{} // closed when the program has ended, the screen is complete, and err is set
	err   error
}

const screenWidth, screenHeight = 130, 40

// startClient runs the client on its own terminal. env is name=value.
func startClient(t *testing.T, env []string, args ...string) *person {
	t.Helper()
	return startOnTerminal(t, env, "papertape", append([]string{"client"}, args...)...)
}

// startOnTerminal is like startClient, for another command that runs the client.
func startOnTerminal(t *testing.T, env []string, command string, args ...string) *person {
	t.Helper()
	p := &person{t: t, cmd: exec.Command(command, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "TZ=UTC",
		"GORACE=" + os.Getenv("GORACE")}, env...)
	tty, err := pty.StartWithSize(p.cmd, &pty.Winsize{Rows: screenHeight, Cols: screenWidth})
	if err != nil {
		t.Fatal(err)
	}
	p.tty = interruptible(t, tty)
	p.vt = newVT(t, screenWidth, screenHeight)
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := p.tty.Read(buf)
			if n > 0 {
				_, _ = p.Write(buf[:n])
			}
			if err != nil {
				return // the program has ended
			}
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		<-read // until its last output
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // if exitCode has not waited for its end
		<-p.ended
		_ = p.tty.Close()
		if s := p.look(); s.count("DATA RACE")+s.count("panic:")+s.count("goroutine ") > 0 {
			t.Errorf("the program ended so:\n%s", s)
		}
	})
	return p
}

// interruptible reopens the terminal as a file that can be closed during a read.
func interruptible(t *testing.T, tty *os.File) *os.File {
	t.Helper()
	defer tty.Close() //nolint:errcheck // another file replaces it
	fd, err := syscall.Dup(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), tty.Name())
}

// modes returns the modes of the person's terminal, such as echo.
func (p *person) modes() *term.State {
	p.t.Helper()
	return modesOf(p.t, p.tty)
}

func modesOf(t *testing.T, tty *os.File) (state *term.State) {
	t.Helper()
	conn, err := tty.SyscallConn() // Fd would make reads block, and the test could not end
	if err == nil {
		err = errors.Join(err, conn.Control(func(fd uintptr) { state, err = term.GetState(int(fd)) }), err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// freshModes returns the modes of an unused terminal.
func freshModes(t *testing.T) *term.State {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close() //nolint:errcheck // nothing was written
	defer tty.Close()    //nolint:errcheck // likewise
	return modesOf(t, master)
}

func (p *person) press(keys string) {
	p.t.Helper()
	if _, err := p.tty.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// types presses keys and waits until the line shows want.
func (p *person) types(keys, want string) {
	p.t.Helper()
	p.press(keys)
	p.awaitLine(want)
}

// awaitLine waits until the last line, including the prompt, is want and the cursor is at its end.
func (p *person) awaitLine(want string) screenState {
	p.t.Helper()
	return p.until("the line "+want, func(s screenState) bool {
		return s.last() == strings.TrimRight(want, " ") && s.cursorLine == s.last() &&
			s.cursorAt == text.StringWidthWithoutEscSequences(want)
	})
}

func (p *person) awaitPrompt() screenState {
	p.t.Helper()
	return p.awaitLine(">>> ")
}

func (p *person) awaitText(want string) screenState {
	p.t.Helper()
	return p.until(want, func(s screenState) bool { return s.count(want) > 0 })
}

// exitCode waits for the program to end and returns its exit code.
func (p *person) exitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it does not end:\n%s", p.look())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		p.t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

const (
	keyUp, keyLeft            = "\x1b[A", "\x1b[D"
	keyEnter, keyTab          = "\r", "\t"
	keyCtrlC, keyCtrlD        = "\x03", "\x04"
	keyCtrlZ                  = "\x1a"
	keyCtrlU, keyEnd, keyHome = "\x15", "\x05", "\x01"
)

// serveFixed runs a server with fixed prices and without simulated fills.
func serveFixed(t *testing.T, args ...string) string {
	t.Helper()
	return serveFixedAt(t, args...).Listen
}

// serveFixedAt is like serveFixed, but also returns the address of the console.
func serveFixedAt(t *testing.T, args ...string) logLine {
	t.Helper()
	args = append([]string{
		"--accounts", "100", "--simulator.rate", "0", "--prices", "fixed", "--durability", "none", "--data",
		t.TempDir(), "--log.format", "json",
	}, args...)
	return startServe(t, args...).until("listening")
}

// otherSession opens another session of the account.
func otherSession(t *testing.T, at string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c, err := client.Dial(ctx, at, client.Options{Account: 100100, DiscardEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func buys(t *testing.T, c *client.Client, market, code string, quantity int64) {
	t.Helper()
	if _, err := c.Buy(t.Context(), market, code, quantity); err != nil {
		t.Fatal(err)
	}
}

// execAdmin runs an operator's command in its own process.
func execAdmin(t *testing.T, admin string, args ...string) {
	t.Helper()
	if said, err := exec.Command("papertape", append(args, "--admin", admin)...).CombinedOutput(); err != nil {
		t.Fatalf("papertape %q: %v\n%s", args, err, said)
	}
}

// homeEnv sets the directory in which the line history is kept.
func homeEnv(t *testing.T) string { return "HOME=" + t.TempDir() }
