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
	historyLines = 1000 // kept in the history file
)

// line is the input line at the bottom of a terminal. One goroutine reads it, and run writes above
// it.
//
// When text is written above the line, readline redraws the line below it. But readline handles the
// keys that end a line without holding its own lock, so a write at that moment could bring the line
// back or draw a second prompt. Therefore the reader holds the mutex keys from the arrival of a key
// until the key has been handled, and every writer holds it too.
//
// Between two lines readline would give the terminal back to the kernel. The kernel would echo keys
// that are typed ahead, and readline would then show them a second time. So the terminal is kept
// until the session ends or Ctrl-Z suspends the program. It is given back however the session ends,
// even by a fatal signal or a panic.
type line struct {
	rl       *readline.Instance
	out      io.Writer
	complete func(line string) completion
	tooLong  func(bytes int) string // returns the sentence for a paste that is too long

	keys       sync.Mutex
	suspending atomic.Bool // the last key was Ctrl-Z

	terminal sync.Mutex
	take     func() error // guarded by terminal; takes the terminal from the kernel
	giveBack func() error // guarded by terminal; gives it back to the kernel as it was
	taken    bool         // guarded by terminal
	over     bool         // guarded by terminal; the terminal is not taken again
	// guarded by terminal; nil unless the terminal was given back for Ctrl-Z; closed when it is
	// taken again
	resumed chan struct{}

	// Owned by the reader.
	held  bool // the reader holds the mutex keys
	last  rune // the last key that arrived
	typed int  // letters on the line after that key was handled
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
	return l, l.begin() // from now on, what is typed is not echoed before the prompt appears
}

// The size assumed for a screen that does not report its own, such as a serial line or a terminal
// held by another program.
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

// quietTime is how long input must pause before an abandoned paste counts as over.
const quietTime = 300 * time.Millisecond

// quiet waits for quietTime, or until input arrives. It reports whether none arrived.
func quiet(in *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}} //nolint:gosec // a file descriptor
	for {
		n, err := unix.Poll(poll, int(quietTime.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 0 || err != nil
		}
	}
}

// historyFile returns the path of the file that keeps entered lines, and creates the file if it is
// missing. The path is empty if that fails; lines are then kept only in memory.
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
	// O_NONBLOCK, so that opening a pipe does not wait for its other end
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | unix.O_NONBLOCK
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return ""
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err == nil {
		err = f.Chmod(0o600) // after readline shortens the file, its permissions follow the umask
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return ""
	}
	return name
}

// read sends lines until the person leaves, the terminal goes away, or done is closed. Then it
// closes lines.
func (l *line) read(lines chan<- input, done <-chan struct{}) {
	defer close(lines)
	taken := make(chan struct{}, 1) // buffered, so that run does not wait for the reader
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
			return // the terminal went away in the middle of a line, which was never sent
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

// key is called by readline when a key arrives.
func (l *line) key(r rune) (rune, bool) {
	if !l.held {
		l.keys.Lock()
		l.held = true
	}
	l.last = r
	l.suspending.Store(r == readline.CharCtrlZ)
	return r, true
}

// keyDone is called by readline after it has handled a key, unless the key ended the line. If the
// key was a tab, readline has already inserted it as a character, which the completion replaces.
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
		// an error means that the screen is gone; the next read reports it
		_, _ = io.WriteString(l.rl.Stdout(), c.list(l.width()))
	case c.line == before:
		// written past readline, which would count the bell as a letter before the prompt
		_, _ = l.rl.GetConfig().Stdout.Write([]byte{'\a'})
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

// width returns the width of the screen in columns.
func (l *line) width() int {
	width, _ := l.rl.GetConfig().FuncGetSize()
	return width
}

// refuse says above the line that a paste was too long and was not inserted.
func (l *line) refuse(bytes int) {
	// an error means that the screen is gone; the next read reports it
	_ = l.data("\a" + l.tooLong(bytes) + "\n")
}

// data writes text above the line.
func (l *line) data(text string) error {
	l.keys.Lock()
	defer l.keys.Unlock()
	_, err := io.WriteString(l.rl.Stdout(), text)
	return err
}

// notice does the same as data.
func (l *line) notice(text string) error { return l.data(text) }

// close ends the line, waits for its reader, and gives the terminal back.
func (l *line) close(read <-chan struct{}) error {
	err := l.rl.Close()
	<-read
	return errors.Join(err, l.leave())
}
