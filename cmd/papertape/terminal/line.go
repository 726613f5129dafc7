package terminal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergochat/readline"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

const (
	prompt       = ">>> "
	echoPrompt   = prompt
	historyLines = 1000 // of the line, kept
)

// line is the line at the bottom of a terminal: one goroutine reads it, run writes above it.
//
// Readline redraws the line around what is written, but it handles the keys that end a line without holding its own lock:
// a push in that moment would bring the line back, or a second prompt. So the reader holds keys from the moment that a key
// comes until the key is done with, and whoever writes holds it too.
//
// Between two lines readline gives the terminal back to the kernel, which would show what is typed ahead in that moment, and
// readline shows it again. So it is kept until the end, or until Ctrl-Z suspends the program. Whatever ends it, the terminal is
// given back: a signal that ends the process, too, and a panic.
type line struct {
	rl       *readline.Instance
	out      io.Writer
	complete func(line string) completion
	tooLong  func(bytes int) string // the sentence for a paste

	keys       sync.Mutex
	suspending atomic.Bool // the last key was Ctrl-Z

	terminal sync.Mutex
	take     func() error  // under terminal: it from the kernel
	giveBack func() error  // under terminal: it to the kernel, as it was
	taken    bool          // under terminal
	over     bool          // under terminal: it is not taken again
	resumed  chan struct{} // under terminal: closed when it is taken again after it was given back for Ctrl-Z; nil: it was not

	// Owned by the reader.
	held  bool // it holds keys
	last  rune // the last key
	typed int  // letters on the line after it
}

// openLine takes the terminal. historyFile may be empty.
func openLine(in, out *os.File, historyFile string, complete func(string) completion, tooLong func(int) string) (
	*line, error,
) {
	l := &line{out: out, complete: complete, tooLong: tooLong}
	t := &tty{in: in, out: out, quiet: func() bool { return quiet(in) }, tooLong: l.refuse, crashed: l.crashed}
	var err error
	l.rl, err = readline.NewFromConfig(&readline.Config{
		Prompt: prompt, HistoryFile: historyFile, HistoryLimit: historyLines, HistorySearchFold: true, Undo: true,
		FuncFilterInputRune: l.key, Listener: l.keyDone,
		Stdin: t, Stdout: t, FuncGetSize: func() (int, int) { return sizeOf(out) },
	})
	if err != nil {
		return nil, err
	}
	cfg := l.rl.GetConfig()
	l.take, l.giveBack = cfg.FuncMakeRaw, cfg.FuncExitRaw
	cfg.FuncMakeRaw, cfg.FuncExitRaw = l.begin, l.pause
	if err := l.rl.SetConfig(cfg); err != nil {
		return nil, err
	}
	return l, l.begin() // what is typed from now on is not shown before the prompt is
}

// The size of a screen that does not say it: a serial line, a terminal that a program holds.
const (
	widthDefault  = 80
	heightDefault = 24
)

func sizeOf(out *os.File) (width, height int) {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return widthDefault, heightDefault
	}
	return width, height
}

// quietTime is how long nothing has to come for what was given up to be over.
const quietTime = 300 * time.Millisecond

// quiet waits for that, or until something comes.
func quiet(in *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}} //nolint:gosec // a file descriptor
	for {
		n, err := unix.Poll(poll, int(quietTime.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 0 || err != nil
		}
	}
}

// historyFile is where lines are kept, made if it was not there; empty where that is not possible: then they are kept in
// memory alone.
func historyFile(getenv func(string) string) string {
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(state, "papertape")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	name := filepath.Join(dir, "history")
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | unix.O_NONBLOCK // of a pipe nobody is waited for
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return ""
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err == nil {
		err = f.Chmod(0o600) // readline leaves one that it has cut down as the umask says
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return ""
	}
	return name
}

// read sends lines until the person leaves, the terminal goes, or done is closed. Then it closes lines.
func (l *line) read(lines chan<- input, done <-chan struct{}) {
	defer close(lines)
	taken := make(chan struct{}, 1) // so that run need not wait for the reader
	for {
		l.last, l.typed = 0, 0
		text, err := l.rl.ReadLine()
		last, typed := l.last, l.typed
		l.release()
		in := input{taken: taken}
		switch {
		case err == nil && isEnter(last):
			in.text = text
		case err == nil:
			return // the terminal went away in the middle of a line, which nobody has sent
		case errors.Is(err, readline.ErrInterrupt) && typed > 0:
			continue
		case errors.Is(err, readline.ErrInterrupt):
			in.interrupt = true
		default:
			return
		}
		select {
		case lines <- in:
		case <-done:
			return
		}
		select {
		case <-taken:
		case <-done:
			return
		}
	}
}

func isEnter(r rune) bool { return r == readline.CharEnter || r == readline.CharCtrlJ }

// key is called by readline when a key has come.
func (l *line) key(r rune) (rune, bool) {
	if !l.held {
		l.keys.Lock()
		l.held = true
	}
	l.last = r
	l.suspending.Store(r == readline.CharCtrlZ)
	return r, true
}

// keyDone is called by readline when a key is done with, unless it ended the line. The tab key has by then put its
// character into the line: what it completes takes its place.
func (l *line) keyDone(text []rune, pos int, r rune) (newText []rune, newPos int, changed bool) {
	defer l.release()
	l.typed = len(text)
	if r != readline.CharTab || pos == 0 || text[pos-1] != '\t' {
		return nil, 0, false
	}
	before, after := string(text[:pos-1]), text[pos:]
	c := l.complete(before)
	switch {
	case len(c.choices) > 0:
		_, _ = io.WriteString(l.rl.Stdout(), c.list(l.width())) // the screen is gone: the next read says so
	case c.line == before:
		_, _ = l.rl.GetConfig().Stdout.Write([]byte{'\a'}) // past readline, which would take it for a letter before the prompt
	}
	completed := []rune(c.line)
	l.typed = len(completed) + len(after)
	return append(completed, after...), len(completed), true
}

func (l *line) release() {
	if l.held {
		l.held = false
		l.keys.Unlock()
	}
}

// width is the screen's, in columns.
func (l *line) width() int {
	width, _ := l.rl.GetConfig().FuncGetSize()
	return width
}

// refuse says above the line that a paste is none of it.
func (l *line) refuse(bytes int) {
	_ = l.data("\a" + l.tooLong(bytes) + "\n") // the screen is gone: the next read says so
}

// data writes above the line.
func (l *line) data(text string) error {
	l.keys.Lock()
	defer l.keys.Unlock()
	_, err := io.WriteString(l.rl.Stdout(), text)
	return err
}

// notice writes above the line too.
func (l *line) notice(text string) error { return l.data(text) }

// close ends the line, waits for its reader, and gives the terminal back.
func (l *line) close(read <-chan struct{}) error {
	err := l.rl.Close()
	<-read
	return errors.Join(err, l.leave())
}
