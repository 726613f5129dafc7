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

	runner "github.com/papertape/papertape/cmd/papertape/torture/process"
)

const (
	stopTimeout = 30 * time.Second
	linesBytes  = 1 << 20 // the longest line of a process
)

// crew is one process of clients and the proxy before it. The process comes and goes; what it has told stays. One goroutine has it.
type crew struct {
	ClientConfig
	binary string
	proxy  *proxy
	lives  int

	cmd   *exec.Cmd // nil: not running
	input io.Closer
	say   io.Writer
	ended chan struct{} // closed when its output has ended and it has been waited for

	mu       sync.Mutex // of what it has told
	counts   Counts
	failures []string
	beliefs  []belief
	waitErr  error
}

func (c *crew) start() error {
	c.lives++
	numbers := make([]string, 0, len(c.Accounts))
	for _, n := range c.Accounts {
		numbers = append(numbers, strconv.FormatUint(n, 10))
	}
	cmd := runner.Command(context.Background(), c.binary, "torture", "client", "--server", c.proxy.address(), "--dir", c.Dir,
		"--accounts", strings.Join(numbers, ","), "--seed", strconv.FormatUint(c.Seed+uint64(c.lives), 10))
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
		return fmt.Errorf("start clients: %w", err)
	}
	c.cmd, c.input, c.say, c.ended = cmd, input, input, make(chan struct{})
	go c.listen(cmd, output, c.ended) // ends with the process
	return nil
}

func (c *crew) listen(cmd *exec.Cmd, output io.Reader, ended chan struct{}) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, linesBytes)
	for lines.Scan() {
		var t told
		err := json.Unmarshal(lines.Bytes(), &t) // the last line of one that was killed may be torn
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

// signal sends a signal to the process, by its id.
func (c *crew) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// kill ends the process as kill -9 does.
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

// finish has it come to rest and tell what it believes.
func (c *crew) finish() error {
	if _, err := fmt.Fprintln(c.say, finishLine); err != nil {
		return fmt.Errorf("clients of account %d and others are gone: %w", c.Accounts[0], err)
	}
	return c.end()
}

// failed is what has gone wrong so far.
func (c *crew) failed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures
}
