package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// What is sent to the terminal (xterm's control sequences).
const (
	openAlternate  = "\x1b[?1049h\x1b[?25l" // a screen of its own, without a cursor
	closeAlternate = "\x1b[?25h\x1b[?1049l"
	toTop          = "\x1b[H"
	eraseRight     = "\x1b[K"
	eraseBelow     = "\x1b[J"
)

// screen is the terminal, and the loop that waits for keys, for time and for answers. All of it belongs to the
// goroutine of run but for wake, into which others write a byte.
type screen struct {
	cfg    *Config
	model  *model
	before *term.State
	wake   [2]*os.File // a pipe: whoever has something for the loop writes to the second
	keys   []byte      // that were read and make no whole key yet
	styled bool
}

func openScreen(cfg *Config) (*screen, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	before, err := term.MakeRaw(int(cfg.In.Fd()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take the terminal: %w", err), read.Close(), write.Close())
	}
	m := newModel(cfg.Server, cfg.Query)
	m.exact = cfg.Exact
	s := &screen{cfg: cfg, model: m, before: before, wake: [2]*os.File{read, write},
		styled: cfg.Getenv("NO_COLOR") == ""}
	_, err = io.WriteString(cfg.Out, openAlternate)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("write to the terminal: %w", err)
	}
	return s, nil
}

// close gives the terminal back as it was. It is deferred, so that a panic is read on the person's own screen.
func (s *screen) close() {
	_, _ = io.WriteString(s.cfg.Out, closeAlternate) // the terminal may be gone
	_ = term.Restore(int(s.cfg.In.Fd()), s.before)
	_, _ = s.wake[0].Close(), s.wake[1].Close()
}

// ring wakes the loop. A full pipe wakes it too.
func (s *screen) ring() { _, _ = s.wake[1].Write([]byte{0}) }

// asker asks one question at a time, on a goroutine of its own.
type asker struct {
	s       *screen
	ctx     context.Context
	answers chan func(*model) // of the question that is under way
	busy    bool
	again   bool   // something else is wanted meanwhile
	kicking uint64 // a session to end when the question that is under way is answered; 0: none
	next    time.Time
}

// ask starts a question, unless one is under way.
func (a *asker) ask(now time.Time) {
	a.next = now.Add(a.s.cfg.Every)
	query, source := a.s.model.query, a.s.cfg.Source
	a.begin(func() func(*model) {
		taken := take(a.ctx, source, query, time.Now)
		return func(m *model) { m.take(taken) }
	})
}

// kick ends a session, after the question that is under way.
func (a *asker) kick(uid uint64) {
	switch {
	case !a.busy:
		source := a.s.cfg.Source
		a.begin(func() func(*model) {
			_, err := source.Kick(a.ctx, uid)
			return func(m *model) { m.kicked(uid, err) }
		})
		a.again = true
	case a.kicking == 0:
		a.kicking = uid
	default:
		a.s.model.said = "the session before is still being ended; try again"
	}
}

// answered goes on with what waited for an answer.
func (a *asker) answered() {
	a.busy = false
	if uid := a.kicking; uid != 0 {
		a.kicking = 0
		a.kick(uid)
	} else if a.again {
		a.ask(time.Now())
	}
}

func (a *asker) begin(question func() func(*model)) {
	a.again = a.busy
	if a.busy {
		return
	}
	a.busy = true
	go func() { // run waits for its answer
		a.answers <- question()
		a.s.ring()
	}()
}

// run shows the server until the person leaves, or ctx ends.
func (s *screen) run(ctx context.Context) error {
	asking, stop := context.WithCancel(ctx)
	a := &asker{s: s, ctx: asking, answers: make(chan func(*model), 1)}
	defer context.AfterFunc(ctx, s.ring)()
	defer func() {
		stop()
		if a.busy {
			<-a.answers
		}
	}()
	a.ask(time.Now())
	for ctx.Err() == nil {
		if err := s.draw(); err != nil {
			return err
		}
		quit, err := s.turn(a)
		if quit || err != nil {
			return err
		}
	}
	return nil
}

// lookAgain is how long the loop waits at most: the screen may have another size, and what is shown grows old.
const lookAgain = 250 * time.Millisecond

// turn waits for something, and does what follows from it.
func (s *screen) turn(a *asker) (quit bool, err error) {
	typed, err := s.wait(min(max(time.Until(a.next), 0), lookAgain))
	if err != nil {
		return false, err
	}
	select {
	case answer := <-a.answers:
		answer(s.model)
		a.answered()
	default:
	}
	for _, k := range typed {
		do := s.model.key(k)
		switch {
		case do.quit:
			return true, nil
		case do.kick != 0:
			a.kick(do.kick)
		case do.refresh:
			a.ask(time.Now())
		}
	}
	if now := time.Now(); !a.busy && !now.Before(a.next) {
		a.ask(now)
	}
	return false, nil
}

// wait waits for keys or for a ring, and returns the keys. At the end of the input it returns what quits.
func (s *screen) wait(most time.Duration) ([]rune, error) {
	fds := []unix.PollFd{
		{Fd: int32(s.cfg.In.Fd()), Events: unix.POLLIN}, {Fd: int32(s.wake[0].Fd()), Events: unix.POLLIN},
	}
	_, err := unix.Poll(fds, int(most.Milliseconds())+1)
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for a key: %w", err)
	}
	var chunk [256]byte
	if fds[1].Revents != 0 {
		_, _ = s.wake[0].Read(chunk[:]) // there is something
	}
	if fds[0].Revents == 0 {
		return nil, nil
	}
	n, err := unix.Read(int(s.cfg.In.Fd()), chunk[:])
	if n <= 0 || err != nil {
		return []rune{keyInterrupt}, nil // the terminal is gone
	}
	s.keys = append(s.keys, chunk[:n]...)
	var keys []rune
	keys, s.keys = letters(s.keys)
	return keys, nil
}

// letters returns the keys that are letters. What a key sends as a sequence, such as an arrow, means nothing here; an
// escape that nothing follows at once is the key itself.
func letters(raw []byte) (keys []rune, rest []byte) {
	for len(raw) > 0 {
		if raw[0] == keyEscape && len(raw) > 1 && (raw[1] == '[' || raw[1] == 'O') {
			raw = raw[sequence(raw):]
			continue
		}
		if !utf8.FullRune(raw) {
			return keys, raw
		}
		r, size := utf8.DecodeRune(raw)
		keys, raw = append(keys, r), raw[size:]
	}
	return keys, nil
}

// sequence returns the length of a sequence: up to the byte that ends it.
func sequence(raw []byte) int {
	for i := 2; i < len(raw); i++ {
		if raw[i] >= '@' && raw[i] <= '~' {
			return i + 1
		}
	}
	return len(raw)
}

// draw writes a whole frame at once.
func (s *screen) draw() error {
	width, height, err := term.GetSize(int(s.cfg.Out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	var b strings.Builder
	b.WriteString(toTop)
	for i, l := range s.model.frame(height, time.Now()) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		shown := text.Trim(l.text, width)
		if l.style != "" && s.styled && shown != "" {
			shown = "\x1b[" + l.style + "m" + shown + "\x1b[0m"
		}
		b.WriteString(shown)
		if columns(l.text) < width { // past the last column the terminal would erase the last letter
			b.WriteString(eraseRight)
		}
	}
	b.WriteString(eraseBelow)
	if _, err := io.WriteString(s.cfg.Out, b.String()); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}
