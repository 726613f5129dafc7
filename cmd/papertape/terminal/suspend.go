package terminal

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// begin is called by readline at the beginning of each line, and when the suspended program
// resumes. It takes the terminal from the kernel, and has it mark pastes.
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

// pause is called by readline at the end of each line, and when the program is about to be
// suspended.
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

// leave gives the terminal back for good.
func (l *line) leave() error {
	l.terminal.Lock()
	l.over = true
	l.terminal.Unlock()
	return l.end()
}

// crashed is leave when something worse has to be reported.
func (l *line) crashed() { _ = l.leave() }

// wakeTime is how long to wait for a suspension to happen.
const wakeTime = 200 * time.Millisecond

// wakeSoon handles a suspension that does not happen. Readline waits until the program is told to
// continue (SIGCONT), which a shell does. But the kernel does not suspend a program that has no
// shell to return to, as in a container, and then SIGCONT never comes. So the program sends it to
// itself. If it is really suspended, it does so only after it has been resumed.
func (l *line) wakeSoon() {
	resumed := make(chan struct{})
	l.terminal.Lock()
	l.resumed = resumed
	l.terminal.Unlock()
	go func() { // ends when the line resumes
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

// watch gives the terminal back when a signal ends the process. What SIGINT and SIGTERM do is left
// to others; SIGHUP and SIGQUIT do what they do without a terminal. The returned function stops it.
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
				_ = syscall.Kill(syscall.Getpid(), s.(syscall.Signal)) //nolint:forcetypeassert // no other type
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
