package truth

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	runner "github.com/papertape/papertape/proof/process"
)

const (
	upTimeout   = time.Minute // from the start of a process until it is up, on a busy machine
	stopTimeout = 30 * time.Second
	linesBytes  = 1 << 20 // the longest line of a process's output
)

// crew is one process of clients and the proxy in front of it. The process is replaced now and
// then; what it reported stays. One goroutine owns the crew.
type crew struct {
	ClientConfig
	binary   string
	sealed   *runner.Sealed // nil: no TLS
	proxy    *proxy
	lives    int
	upWithin time.Duration // the time that a process has to report that it is up

	cmd   *exec.Cmd // nil if not running
	input io.Closer
	say   io.Writer
	up    chan struct{} // closed when it has reported that it is up
	ended chan struct{} // closed when its output has ended and it has been waited for

	mu       sync.Mutex // guards what it has reported
	counts   Counts
	failures []string
	beliefs  []belief
	waitErr  error
}

// start starts the process, and returns when it is up. From then on it may be signalled, cut and
// judged.
func (c *crew) start(ctx context.Context) error {
	if err := c.launch(); err != nil {
		return fmt.Errorf("start clients: %w", err)
	}
	late := time.NewTimer(c.upWithin)
	defer late.Stop()
	select {
	case <-c.up:
		return nil
	case <-c.ended:
		return c.endedEarly()
	case <-late.C:
		c.kill()
		return fmt.Errorf("clients of account %d and others did not say within %s that they are up", c.Accounts[0],
			c.upWithin)
	case <-ctx.Done():
		c.kill()
		return ctx.Err()
	}
}

// endedEarly returns why the process ended before it was up, or nil.
func (c *crew) endedEarly() error {
	select {
	case <-c.up:
		return nil // the next call for the process returns how it ended
	default:
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("clients of account %d and others ended before they said that they are up: %w",
			c.Accounts[0], c.waitErr)
	}
	return fmt.Errorf("clients of account %d and others ended before they said that they are up", c.Accounts[0])
}

func (c *crew) launch() error {
	c.lives++
	numbers := make([]string, 0, len(c.Accounts))
	for _, n := range c.Accounts {
		numbers = append(numbers, strconv.FormatUint(n, 10))
	}
	arguments := append(c.sealed.ClientFlags(), "--server", c.proxy.address(), "--dir", c.Dir, "--accounts",
		strings.Join(numbers, ","), "--seed", strconv.FormatUint(c.Seed+uint64(c.lives), 10))
	arguments = append([]string{"torture", "client"}, arguments...)
	cmd := runner.Command(context.Background(), c.binary, arguments...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd, c.input, c.say, c.up, c.ended = cmd, input, input, make(chan struct{}), make(chan struct{})
	go c.listen(cmd, output, c.up, c.ended) // ends with the process
	return nil
}

func (c *crew) listen(cmd *exec.Cmd, output io.Reader, up, ended chan struct{}) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, linesBytes)
	for once := true; lines.Scan(); {
		var t processReport
		err := json.Unmarshal(lines.Bytes(), &t) // the last line of a killed process may be torn
		if err == nil && t.Up && once {
			once = false
			close(up)
		}
		c.mu.Lock()
		switch {
		case err != nil:
		case t.Failure != "":
			c.failures = append(c.failures, t.Failure)
		case t.Counts != nil:
			c.counts.add(t.Counts)
		case t.Beliefs != nil:
			c.beliefs = t.Beliefs
		}
		c.mu.Unlock()
	}
	err := cmd.Wait()
	c.mu.Lock()
	c.waitErr = err
	c.mu.Unlock()
	close(ended)
}

// signal sends a signal to the process by its id.
func (c *crew) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// kill ends the process like kill -9.
func (c *crew) kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	<-c.ended
	_ = c.input.Close()
	c.cmd = nil
}

// end waits for the process to end by itself.
func (c *crew) end() error {
	select {
	case <-c.ended:
	case <-time.After(restTimeout + stopTimeout):
		c.kill()
		return fmt.Errorf("clients of account %d and others did not end", c.Accounts[0])
	}
	_ = c.input.Close()
	c.cmd = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waitErr != nil {
		return fmt.Errorf("clients of account %d and others ended with: %w", c.Accounts[0], c.waitErr)
	}
	return nil
}

// stop tells the process to stop, as a person does, and waits.
func (c *crew) stop() error {
	c.signal(syscall.SIGTERM)
	return c.end()
}

// finish makes the process come to rest and report what it believes.
func (c *crew) finish() error {
	if _, err := fmt.Fprintln(c.say, finishLine); err != nil {
		return fmt.Errorf("clients of account %d and others are gone: %w", c.Accounts[0], err)
	}
	return c.end()
}

// failed returns what has gone wrong so far.
func (c *crew) failed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures
}
