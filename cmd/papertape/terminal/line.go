package terminal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/ergochat/readline"
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
// readline shows it again. So it is kept until the end, or until Ctrl-Z suspends the program.
type line struct {
	rl       *readline.Instance
	complete func(line string) completion

	keys       sync.Mutex
	suspending atomic.Bool // the last key was Ctrl-Z

	terminal sync.Mutex
	take     func() error // under terminal: it from the kernel
	giveBack func() error // under terminal: it to the kernel, as it was
	taken    bool         // under terminal

	// Owned by the reader.
	held  bool // it holds keys
	last  rune // the last key
	typed int  // letters on the line after it
}

// openLine takes the terminal. historyFile may be empty.
func openLine(historyFile string, complete func(string) completion) (*line, error) {
	l := &line{complete: complete}
	var err error
	l.rl, err = readline.NewFromConfig(&readline.Config{
		Prompt: prompt, HistoryFile: historyFile, HistoryLimit: historyLines, HistorySearchFold: true, Undo: true,
		FuncFilterInputRune: l.key, Listener: l.keyDone,
	})
	if err != nil {
		return nil, err
	}
	cfg := l.rl.GetConfig()
	l.take, l.giveBack = cfg.FuncMakeRaw, cfg.FuncExitRaw
	cfg.FuncMakeRaw, cfg.FuncExitRaw = l.begin, l.pause
	return l, l.rl.SetConfig(cfg)
}

// begin is called by readline at the beginning of each line, and when the program was suspended and goes on.
func (l *line) begin() error {
	l.terminal.Lock()
	defer l.terminal.Unlock()
	if l.taken {
		return nil
	}
	l.taken = true
	return l.take()
}

// pause is called by readline at the end of each line, and when the program is to be suspended.
func (l *line) pause() error {
	if l.suspending.Load() {
		return l.end()
	}
	return nil
}

func (l *line) end() error {
	l.terminal.Lock()
	defer l.terminal.Unlock()
	if !l.taken {
		return nil
	}
	l.taken = false
	return l.giveBack()
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
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return ""
	}
	if err := f.Close(); err != nil {
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

// width is the screen's, in columns; 0 where it is not known.
func (l *line) width() int {
	width, _ := l.rl.GetConfig().FuncGetSize()
	return max(width, 0)
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
	return errors.Join(err, l.end())
}
