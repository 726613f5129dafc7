package terminal

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/usertext"
)

// Config says which account to open, on which server, and how to show it.
type Config struct {
	Account uint64
	Server  string      // host:port
	TLS     *tls.Config // nil: the connection is not encrypted
	Key     *client.Key // to log in with; nil: none
	// AllowPlaintext permits a Key without TLS beyond this machine.
	AllowPlaintext bool
	Name           string // name and version of the program, for the server's log
	Lang           Language
	Scheme         Scheme
	JSON           bool     // data as lines of JSON; not on a terminal
	Echo           bool     // on a pipe: print each command before its answer
	Words          []string // the one command; empty if commands come from In

	In     io.Reader
	Out    io.Writer // data
	Notes  io.Writer // messages about the connection, unless Out is a terminal
	Getenv func(string) string
}

// LineError says what was wrong with a line of a pipe, or with the only command.
type LineError struct {
	Number int // from 1; 0 if there is only one command
	Line   string
	Usage  bool // it was not understood, and the server was not asked
	text   string
}

// Error names the line, if there are several, and says what was wrong and what would be right.
func (e *LineError) Error() string { return e.text }

func (c *catalogue) lineError(number int, line string, usage bool, err error) error {
	e := &LineError{Number: number, Line: line, Usage: usage, text: err.Error()}
	if number > 0 {
		e.text = c.say(keyLine, number, tidy(strings.TrimSpace(line)), err.Error())
	}
	return e
}

// notText returns the error for a line that is not text.
func (c *catalogue) notText(f *usertext.Fault) error {
	why := map[error]string{
		usertext.ErrTooLong: c.say(keyTooLong, f.Most), usertext.ErrUTF16: c.say(keyUTF16),
		usertext.ErrNUL: c.say(keyNUL), usertext.ErrNotUTF8: c.say(keyNotUTF8),
	}[f.Err]
	return &LineError{Number: f.Line, Usage: true, text: c.say(keyLineFault, f.Line, why)}
}

const (
	connectPatience = 10 * time.Second // for the first connection
	lineBytesMax    = 64 << 10         // of a pipe
	orderIDLetters  = 12               // letters of an order id that tell one run from another
)

// Run logs in and takes commands until they end, the person leaves, or an error ends it. The error
// is a *LineError if a line was at fault, and the error of client.Open or of client.Account's Next
// if the connection was.
func Run(ctx context.Context, cfg Config) error {
	// of the table's package: lines and Δ take one column, whatever the locale
	text.OverrideRuneWidthEastAsianWidth(false)
	words := catalogueOf(cfg.Lang)
	if len(cfg.Words) > 0 {
		if done, err := checkWords(words, &cfg); done || err != nil {
			return err
		}
	}
	opening, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	account, err := client.Open(opening, cfg.Server, client.AccountOptions{
		Account: cfg.Account, Name: cfg.Name, Key: cfg.Key, TLS: cfg.TLS,
		AllowPlaintext: cfg.AllowPlaintext,
	})
	if err != nil {
		return unreachable(ctx, words, err)
	}
	defer account.Close() //nolint:errcheck // without a cursor it does not fail
	s := &session{
		printer: printer{style: styleOf(&cfg), words: words, zone: time.Local},
		account: account, json: cfg.JSON, echo: cfg.Echo, orderID: rand.Text()[:orderIDLetters] + "-",
		updates: make(chan client.Update, batchMax), answered: make(chan *answer, 1),
	}
	first, err := s.awaitLogin(opening)
	if err != nil {
		return unreachable(ctx, words, err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer onPanic(s.crashed)
		ended <- s.pump(ctx)
		close(ended)
	}()
	defer func() {
		stop()
		for range ended { // until the pump has ended
		}
	}()
	switch {
	case len(cfg.Words) > 0:
		return s.runOne(ctx, &cfg, ended)
	case isTerminal(cfg.In) && isTerminal(cfg.Out) && cfg.Getenv("TERM") != "dumb" && !cfg.JSON:
		return s.interact(ctx, &cfg, first, ended)
	default:
		return s.pipe(ctx, &cfg, first, ended)
	}
}

// checkWords finds out, before the server is asked, whether the one command can be understood. If
// the command needs no server, it is executed here.
func checkWords(words *catalogue, cfg *Config) (done bool, err error) {
	cmdLine := strings.Join(cfg.Words, " ")
	cmd, err := words.parse(cmdLine)
	switch {
	case err != nil:
		return false, words.lineError(0, cmdLine, true, err)
	case cmd == nil || cmd.verb == verbQuit:
		return true, nil
	case cmd.verb == verbHelp:
		if cfg.JSON {
			return true, printJSON(cfg.Out, words.helpJSON())
		}
		_, err = io.WriteString(cfg.Out, words.menu())
		return true, err
	case cmd.verb == verbPresence:
		return false, words.lineError(0, cmdLine, true, words.sentenceError(keyPresenceAlone))
	}
	return false, nil
}

// awaitLogin takes the first update, which is the login, and fetches the listing.
func (s *session) awaitLogin(ctx context.Context) (*client.Connected, error) {
	u, err := s.account.Next(ctx)
	if err != nil {
		return nil, err
	}
	first, ok := u.(*client.Connected)
	if !ok || first.After == nil {
		return nil, fmt.Errorf("the account begins with %T: expected its state", u)
	}
	s.picture = pictureOf(first.After)
	l, err := fetchListing(ctx, s.account)
	for errors.Is(err, client.ErrDisconnected) && ctx.Err() == nil {
		l, err = fetchListing(ctx, s.account) // again, on the next connection
	}
	if err != nil {
		return nil, err
	}
	s.listing.Store(l)
	return first, nil
}

// unreachable returns a sentence that says why there is no session.
func unreachable(ctx context.Context, words *catalogue, err error) error {
	var refused *client.Reject
	var bye *client.Goodbye
	if ctx.Err() != nil {
		return words.sentenceError(keyInterrupted)
	}
	if errors.As(err, &refused) || errors.As(err, &bye) {
		return errors.New((&printer{words: words}).reason(err))
	}
	if errors.Is(err, client.ErrKeyNeeded) {
		return err
	}
	return fmt.Errorf("%w; %s", err, words.say(keyIsItRunning))
}

// login shows the account as it is at login.
func (s *session) login(first *client.Connected) {
	head := s.words.say(keyLoggedIn, first.UID, first.After.Account, first.After.Seq, tidy(first.Addr))
	s.show(head+"\n"+s.holdings(first.After.Positions, first.After.TotalMarketValue, first.After.Cash),
		loginLine{"login", first.UID, first.Server, stateJSON(first.After)})
}

// interact runs the session of a person at a terminal.
func (s *session) interact(ctx context.Context, cfg *Config, first *client.Connected, ended <-chan error) error {
	complete := completer{words: s.words, listing: s.listing.Load, held: s.held}
	tooLong := func(bytes int) string { return s.words.say(keyPasteTooLong, bytes, pasteBytesMax) }
	in, out := cfg.In.(*os.File), cfg.Out.(*os.File) //nolint:forcetypeassert // they are terminals
	l, err := openLine(in, out, historyFile(cfg.Getenv), complete.complete, tooLong)
	if err != nil {
		return err
	}
	defer l.watch()()
	s.line.Store(l)
	defer onPanic(s.crashed)
	s.screen = l
	s.login(first)
	s.data(strings.TrimSuffix(s.words.menu(), "\n"))
	lines, done, read := make(chan input), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		defer onPanic(s.crashed)
		l.read(lines, done)
	}()
	err = s.run(ctx, lines, ended)
	asked := err == nil // by the person, and not in the middle of a line
	var told *interruption
	if errors.As(err, &told) && (s.running == nil || !s.running.isOrder()) {
		err = nil // it was told to end, and ended
	}
	if err == nil {
		s.data(s.words.say(keyBye))
	}
	close(done)
	if closing := l.close(read); err == nil {
		err = closing
	}
	if !asked {
		_, _ = io.WriteString(cfg.Out, "\n") // the line stays as it was; what follows begins below it
	}
	return err
}

// held returns what the account holds.
func (s *session) held() []instrument {
	state := s.account.State()
	list := make([]instrument, len(state.Positions))
	for i, row := range state.Positions {
		list[i] = instrumentOf(row.Market, row.Code)
	}
	return list
}

// pipe takes commands from a pipe or a file.
func (s *session) pipe(ctx context.Context, cfg *Config, first *client.Connected, ended <-chan error) error {
	s.screen, s.strict = plain{cfg.Out, cfg.Notes}, true
	s.login(first)
	lines, done := make(chan input), make(chan struct{})
	defer close(done)
	read := make(chan error, 1)
	go func() {
		read <- s.readLines(cfg.In, lines, done)
		close(lines)
	}()
	if err := s.run(ctx, lines, ended); err != nil {
		return err
	}
	select {
	case err := <-read:
		return err
	default:
		return nil // the command was quit
	}
}

// readLines sends lines until there are no more. If it is blocked in a read when done is closed, it
// ends only with its input or with the process.
func (s *session) readLines(r io.Reader, lines chan<- input, done <-chan struct{}) error {
	text := usertext.NewLines(r, lineBytesMax)
	for {
		line, err := text.Next()
		var fault *usertext.Fault
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &fault):
			return s.words.notText(fault)
		case err != nil:
			return fmt.Errorf("read the commands: %w", err)
		}
		select {
		case lines <- input{text: line, number: text.Number()}:
		case <-done:
			return nil
		}
	}
}

// runOne executes one command.
func (s *session) runOne(ctx context.Context, cfg *Config, ended <-chan error) error {
	s.screen, s.strict, s.quiet, s.echo = plain{cfg.Out, cfg.Notes}, true, true, false
	lines := make(chan input, 1)
	lines <- input{text: strings.Join(cfg.Words, " ")}
	close(lines)
	return s.run(ctx, lines, ended)
}

// plain is a screen without an input line.
type plain struct{ out, notes io.Writer }

func (p plain) data(text string) error {
	_, err := io.WriteString(p.out, text)
	return err
}

func (p plain) notice(text string) error {
	_, err := io.WriteString(p.notes, text)
	return err
}

// styleOf chooses what the output can and should show.
func styleOf(cfg *Config) style {
	s := style{scheme: cfg.Scheme}
	f, ok := cfg.Out.(*os.File)
	if !ok || !isTerminal(cfg.Out) || cfg.JSON {
		return s
	}
	s.width = func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return width
	}
	s.attributes = cfg.Getenv("TERM") != "dumb"
	s.colours = s.attributes && cfg.Getenv("NO_COLOR") == ""
	return s
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
