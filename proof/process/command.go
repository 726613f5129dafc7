package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const verifyTimeout = 5 * time.Minute

// Start starts `binary serve`. The caller must kill or stop the process, which also waits for it.
func Start(binary string, flags ...string) (*Server, error) {
	return start(Command(context.Background(), binary, Arguments(flags...)...))
}

// StartUnder is Start under another program, such as strace -D, which becomes the server by
// executing the rest of its arguments.
func StartUnder(tracer []string, binary string, flags ...string) (*Server, error) {
	args := append(append(tracer[1:len(tracer):len(tracer)], binary), Arguments(flags...)...)
	cmd := Command(context.Background(), tracer[0], args...)
	cmd.Args[0] = tracer[0]
	return start(cmd)
}

func start(cmd *exec.Cmd) (*Server, error) {
	s, err := Run(cmd, Options{})
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return s, nil
}

// Arguments returns the arguments for a server on free ports, with a log that this package can
// read, and without activity of its own; the flags follow.
func Arguments(flags ...string) []string {
	return append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log.format", "json", "--simulator.rate", "0",
	}, flags...)
}

// Command runs this program again under its own name, without the caller's settings, and out of
// reach of a ^C that is meant for the clients.
func Command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Args[0] = "papertape"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PAPERTAPE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// Verify runs `binary verify` on a directory that no server has open. If it finds a breach, breach
// is what it printed.
func Verify(ctx context.Context, binary, data string) (took time.Duration, breach string, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	cmd := Command(ctx, binary, "verify", "--data", data)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run()
	took = time.Since(began)
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return took, fmt.Sprintf("papertape verify: %v: %s", exit, strings.TrimSpace(out.String())), nil
	}
	return took, "", err
}
