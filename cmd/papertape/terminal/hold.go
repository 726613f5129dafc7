package terminal

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// begin is called by readline at the beginning of each line, and when the program was suspended and goes on. It takes
// the terminal from the kernel, and has it mark what is pasted.
func (l *line) begin() error {
	l.terminal.Lock()
	defer l.terminal.Unlock()
	if l.resumed != nil {
		close(l.resumed)
		l.resumed = nil
	}
	if l.taken || l.over {
		return nil
	}
	l.taken = true
	err := l.take()
	if err == nil {
		_, err = io.WriteString(l.out, pasteOn)
	}
	return err
}

// pause is called by readline at the end of each line, and when the program is to be suspended.
func (l *line) pause() error {
	if !l.suspending.Load() {
		return nil
	}
	err := l.end()
	l.wakeSoon()
	return err
}

// end gives the terminal back as it was.
func (l *line) end() error {
	l.terminal.Lock()
	defer l.terminal.Unlock()
	if !l.taken {
		return nil
	}
	l.taken = false
	_, err := io.WriteString(l.out, pasteOff)
	return errors.Join(err, l.giveBack())
}

// leave is end for good.
func (l *line) leave() error {
	l.terminal.Lock()
	l.over = true
	l.terminal.Unlock()
	return l.end()
}

// crashed is leave where there is something worse to say.
func (l *line) crashed() { _ = l.leave() }

// wakeTime is how long a suspension is given to happen.
const wakeTime = 200 * time.Millisecond

// wakeSoon is for a suspension that does not happen. Readline then waits until the program is told to go on
// (SIGCONT), which a shell does; but the kernel suspends nobody who has no shell to come back to, as in a container,
// and then it never comes. So the program tells itself. One that is suspended does not come to that until it goes on.
func (l *line) wakeSoon() {
	resumed := make(chan struct{})
	l.terminal.Lock()
	l.resumed = resumed
	l.terminal.Unlock()
	go func() { // ends when the line goes on
		for {
			select {
			case <-resumed:
				return
			case <-time.After(wakeTime):
				_ = syscall.Kill(syscall.Getpid(), syscall.SIGCONT)
			}
		}
	}()
}

// watch gives the terminal back when a signal ends the process, however it ends it: what SIGINT and SIGTERM do is for
// others to say, SIGHUP and SIGQUIT do what they do without a terminal. The returned function ends it.
func (l *line) watch() (stop func()) {
	signals, done, ended := make(chan os.Signal, 4), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			_ = l.leave() // there is nobody to tell
			if s == syscall.SIGHUP || s == syscall.SIGQUIT {
				signal.Reset(s)
				_ = syscall.Kill(syscall.Getpid(), s.(syscall.Signal)) //nolint:forcetypeassert // there is no other
			}
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}
