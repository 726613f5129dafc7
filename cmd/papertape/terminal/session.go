package terminal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/papertape/papertape/client"
)

const (
	batchMax   = 64  // updates that are written at once
	waitingMax = 16  // commands that may wait for the one under way; further ones are dropped with a message
	bundleMax  = 100 // commands of one line, which wait in addition to those; a line with more is refused whole
	missedMax  = 100 // missed events that are shown one by one; of more, only the last ones are
)

// input is a line or an interrupt from the source of commands.
type input struct {
	text      string
	number    int           // of the line, from 1
	interrupt bool          // Ctrl-C on an empty line
	taken     chan struct{} // if not nil, told when the next input may come
}

// screen is where output goes.
type screen interface {
	data(text string) error   // what was asked for, and what happened to the account
	notice(text string) error // messages about the connection
}

// session is one run of the terminal.
type session struct {
	// Constant.
	printer
	account *client.Account
	screen  screen
	json    bool // data are lines of JSON
	strict  bool // one command at a time, and none after a failure
	echo    bool // commands are written as data too
	quiet   bool // only events of this run's own orders are shown
	orderID string

	// Shared by the session and the command under way.
	listing atomic.Pointer[listing]
	awaited awaited // quotes

	// Owned by the command under way.
	watching bool // presence is subscribed to
	quoting  bool // quotes may be subscribed to, and nobody waits for them any more

	// Shared by all goroutines. What has the terminal; nil if nothing has.
	line atomic.Pointer[line]

	// Owned by run.
	updates  chan client.Update
	answered chan *answer
	picture  *picture
	waiting  []*command
	running  *running
	orders   int    // number of order ids given out
	bundles  int    // number of lines of several commands taken
	head     uint64 // until the picture reaches this sequence, events are missed ones; 0: none is
	hidden   uint64 // missed events that will still arrive and are not shown
	hinted   bool   // the last input was an interrupt, and the answer said how to leave
	failed   error  // the first error of the screen

	gathering bool            // output is gathered, to be written in one piece
	gathered  strings.Builder // gathered lines, either all notices or all data
	notices   bool
}

// running is the command under way.
type running struct {
	*command
	cancel   context.CancelFunc
	answer   *answer // it has arrived, and waits until the events before it are shown
	canceled bool
}

// errLeave ends run because the person wants to leave.
var errLeave = errors.New("leave")

// interruption ends run because the process was told to end.
type interruption struct{ text string }

func (i *interruption) Error() string { return i.text }

// interrupted returns the interruption, and says what is left unknown.
func (s *session) interrupted() error {
	if r := s.running; r != nil && r.isOrder() {
		return &interruption{s.words.say(keyInterruptedOrder, r.line, s.words.name(verbHistory))}
	}
	return &interruption{s.words.say(keyInterrupted)}
}

// run owns the session until there is no more input, or an error ends it. ended is the pump's.
func (s *session) run(ctx context.Context, lines <-chan input, ended <-chan error) error {
	defer func() {
		if s.running != nil {
			s.running.cancel()
			if s.running.answer == nil {
				<-s.answered
			}
		}
	}()
	for {
		take := lines
		if s.strict && s.running != nil {
			take = nil
		}
		var err error
		select {
		case in, ok := <-take:
			if !ok {
				return nil
			}
			if err = s.input(ctx, in); err == nil && in.taken != nil {
				in.taken <- struct{}{}
			}
		case u := <-s.updates:
			s.batch(u)
		case a := <-s.answered:
			s.running.answer = a
		case err = <-ended:
			s.showWaiting()
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return s.interrupted()
		}
		if err == nil {
			err = s.settle(ctx)
		}
		switch {
		case errors.Is(err, errLeave):
			return nil
		case err != nil:
			return err
		case s.failed != nil:
			return s.failed
		}
	}
}

// input takes a line. It answers at once what needs no server; the rest waits for its turn.
func (s *session) input(ctx context.Context, in input) error {
	if in.interrupt {
		return s.interrupt()
	}
	s.hinted = false
	if s.echo && !s.json {
		s.data(echoPrompt + tidy(in.text))
	}
	if lines := strings.Split(in.text, lineBreak); len(lines) > 1 && !s.strict {
		return s.runBundle(ctx, lines)
	}
	cmd, err := s.words.parse(in.text)
	switch {
	case err != nil && s.strict:
		return s.words.lineError(in.number, in.text, true, err)
	case err != nil:
		s.complain(err)
		return nil
	case cmd == nil:
		return nil
	}
	cmd.number = in.number
	switch {
	case cmd.isLocal(), s.running == nil:
		return s.execute(ctx, cmd)
	case len(s.waiting) >= waitingMax:
		s.data(s.words.say(keyQueueFull, len(s.waiting), cmd.line))
	default:
		s.waiting = append(s.waiting, cmd)
	}
	return nil
}

// complain tells the person what was wrong.
func (s *session) complain(err error) { s.data(s.bold("?") + " " + err.Error()) }

// execute executes a command, or starts it.
func (s *session) execute(ctx context.Context, cmd *command) error {
	switch cmd.verb {
	case verbQuit:
		return errLeave
	case verbHelp:
		s.show(strings.TrimSuffix(s.words.menu(), "\n"), s.words.helpJSON())
	default:
		s.start(ctx, cmd)
	}
	return nil
}

// interrupt abandons the command under way, or says how to leave, or leaves.
func (s *session) interrupt() error {
	switch {
	case s.running != nil:
		s.running.canceled = true
		s.running.cancel()
	case s.hinted:
		return errLeave
	default:
		s.hinted = true
		s.notice(s.words.say(keyLeaveHint, s.words.name(verbQuit)))
	}
	return nil
}

// start starts a command. Its answer arrives through answered.
func (s *session) start(ctx context.Context, cmd *command) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	s.running = &running{command: cmd, cancel: cancel}
	s.orders++
	id := fmt.Sprintf("%s%d", s.orderID, s.orders)
	go func() { // run waits for it, and has at most one under way
		defer onPanic(s.crashed)
		s.answered <- s.perform(ctx, cmd, id)
	}()
}

// crashed gives the terminal back, if it was taken.
func (s *session) crashed() {
	if l := s.line.Load(); l != nil {
		l.crashed()
	}
}

// settle shows the answer to the command under way once everything before it is shown, and starts
// the next command.
func (s *session) settle(ctx context.Context) error {
	r := s.running
	if r == nil || r.answer == nil || r.answer.after > s.picture.seq {
		return nil
	}
	r.cancel()
	s.running = nil
	if err := r.answer.err; err != nil {
		sentence := s.explain(r, err)
		if s.strict || r.bundle != 0 {
			sentence = s.words.lineError(r.number, r.line, false, sentence)
		}
		if s.strict {
			return sentence
		}
		s.complain(sentence)
		s.dropRest(r.bundle)
	} else {
		s.show(r.answer.text, r.answer.object)
	}
	return s.next(ctx)
}

// next starts waiting commands, up to the first that has to be answered.
func (s *session) next(ctx context.Context) error {
	for s.running == nil && len(s.waiting) > 0 {
		cmd := s.waiting[0]
		s.waiting = s.waiting[1:]
		if err := s.execute(ctx, cmd); err != nil {
			return err
		}
	}
	return nil
}

// show writes data as text or as a line of JSON. An empty text is not written.
func (s *session) show(text string, object any) {
	switch {
	case s.json && object != nil:
		var b strings.Builder
		if err := printJSON(&b, object); err != nil {
			s.fail(err)
			return
		}
		s.data(strings.TrimSuffix(b.String(), "\n"))
	case !s.json && text != "":
		s.data(text)
	}
}

func (s *session) data(text string)   { s.write(text, false) }
func (s *session) notice(text string) { s.write(text, true) }

// write writes a text, or gathers it while updates are being shown.
func (s *session) write(text string, notice bool) {
	if s.gathered.Len() > 0 && notice != s.notices {
		s.flush()
	}
	s.gathered.WriteString(text + "\n")
	s.notices = notice
	if !s.gathering {
		s.flush()
	}
}

func (s *session) flush() {
	to := s.screen.data
	if s.notices {
		to = s.screen.notice
	}
	if s.gathered.Len() > 0 {
		s.fail(to(s.gathered.String()))
	}
	s.gathered.Reset()
}

// fail keeps the first error of the screen, which ends run.
func (s *session) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
}
