package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/client"
)

// role is the environment variable that makes the test binary run as another program, which a
// test can kill. That program ends when its standard input does, so nothing is left of a test
// that was itself killed.
const role = "PAPERTAPE_CLIENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "server":
		os.Exit(beServer())
	case "follower":
		os.Exit(beFollower(os.Args[1], os.Args[2], os.Args[3]))
	}
	// ants and gnet each create a pool when they are loaded; everything started later has to
	// end.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// process is this program running in a role.
type process struct {
	cmd   *exec.Cmd
	input io.Closer
	lines *bufio.Scanner // of its standard output
}

func startProcess(as string, args ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, input: input, lines: bufio.NewScanner(output)}, nil
}

// line returns the next line that the process writes.
func (p *process) line() (string, error) {
	if !p.lines.Scan() {
		return "", errors.Join(errors.New("the process has ended"), p.lines.Err())
	}
	return p.lines.Text(), nil
}

// kill kills the process, as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
	_ = p.input.Close()
}

// exitWithInput ends the process when its standard input ends.
func exitWithInput() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
}

// beServer runs a real server that keeps nothing, and prints its address.
func beServer() int {
	exitWithInput()
	v := newVenue()
	if err := v.begin(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(v.addr)
	fmt.Fprintln(os.Stderr, <-v.stopped)
	return 1
}

// mortal is a server in a process of its own. It keeps its address when it is killed and
// started again.
type mortal struct {
	link    *link
	process *process
}

func startMortal() *mortal {
	l, err := newLink("")
	if err != nil {
		panic(err)
	}
	m := &mortal{link: l}
	m.start()
	return m
}

func (m *mortal) start() {
	p, err := startProcess("server")
	if err != nil {
		panic(err)
	}
	addr, err := p.line()
	if err != nil {
		panic(err)
	}
	m.process = p
	m.link.to(addr)
}

func (m *mortal) addr() string { return m.link.addr() }

// restart kills the server in the middle of its work and starts another.
func (m *mortal) restart() {
	m.link.to("")
	m.process.kill()
	m.start()
}

func (m *mortal) stop() {
	m.process.kill()
	m.link.close()
}

// beFollower follows an account for ever, from its cursor. Its note is the sum of the sequences
// processed and where it began. Its other effect is to write each sequence to a file.
func beFollower(addr, cursor, effects string) int {
	exitWithInput()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	a, err := client.Open(ctx, addr, client.AccountOptions{Account: venueAccount, Cursor: cursor})
	if err != nil {
		return fail(err)
	}
	out, err := os.OpenFile(effects, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	first, sum := a.State().Seq, uint64(0)
	if note := a.Note(); note != nil {
		if _, err := fmt.Sscan(string(note), &first, &sum); err != nil {
			return fail(err)
		}
	}
	fmt.Println("ready")
	for {
		u, err := a.Next(ctx)
		if err != nil {
			return fail(err)
		}
		if c, ok := u.(*client.Connected); ok && c.Resynced {
			return fail(errors.New("resynced"))
		}
		ev, ok := u.(*client.Event)
		if !ok {
			continue
		}
		if _, err := fmt.Fprintln(out, ev.Seq); err != nil {
			return fail(err)
		}
		sum += ev.Seq
		if err := a.Save(fmt.Append(nil, first, sum)); err != nil {
			return fail(err)
		}
		fmt.Println(ev.Seq)
	}
}

// A program that is killed repeatedly, at any moment, ends with each event counted once in its
// state and its note, and each event's other effect happened at least once.
func TestKilledForReal(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	v := startVenue(t, nil)
	dir := t.TempDir()
	cursor, effects := filepath.Join(dir, "cursor"), filepath.Join(dir, "effects")
	const lives = 6
	for life := range lives {
		p, err := startProcess("follower", v.addr, cursor, effects)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 + 7*life { // the first line says that the program is ready
			if _, err := p.line(); err != nil {
				p.kill()
				t.Fatal(err)
			}
			for range 1 + rand.IntN(3) {
				v.trade(venueAccount)
			}
		}
		p.kill()
	}
	a := open(t, v.addr, func(o *client.AccountOptions) { o.Account, o.Cursor = venueAccount, cursor })
	var first, sum uint64
	if _, err := fmt.Sscan(string(a.Note()), &first, &sum); err != nil || sum == 0 {
		t.Fatalf("the note is %q", a.Note())
	}
	if last := a.State().Seq; sum != sumUpTo(last)-sumUpTo(first) {
		t.Errorf("the sequences after %d up to %d add up to %d, and %d was noted", first, last,
			sumUpTo(last)-sumUpTo(first), sum)
	}
	done := make(map[uint64]int)
	b, err := os.ReadFile(effects)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		seq, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		done[seq]++
	}
	repeated := 0
	for seq := first + 1; seq <= a.State().Seq; seq++ {
		if repeated += done[seq] - 1; done[seq] == 0 {
			t.Errorf("seq %d was left out", seq)
		}
	}
	if repeated > lives {
		t.Errorf("%d sequences were dealt with again, with %d kills", repeated, lives)
	}
	v.catchUp(t, a, venueAccount)
	if err := a.Verify(patience(t)); err != nil {
		t.Error(err)
	}
}

// The server is killed repeatedly with orders under way. It keeps nothing, so the state is
// replaced each time. The outcome of an order under way cannot be known: its error says so, and
// the order is not sent to the next server.
func TestServerKilledForReal(t *testing.T) {
	server := startMortal()
	t.Cleanup(server.stop)
	a := open(t, server.addr(), func(o *client.AccountOptions) { o.Account = venueAccount })
	take[*client.Connected](t, a)

	var trading sync.WaitGroup
	enough := make(chan struct{})
	stop := sync.OnceFunc(func() { close(enough); _ = a.Close(); trading.Wait() })
	defer stop()
	var mu sync.Mutex
	unknown := make(map[string]bool) // under mu: ids of orders
	for range 8 {
		trading.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				_, err := a.Buy(patience(t), "SZ", "000001", 1)
				var of *client.OutcomeUnknownError
				switch {
				case errors.As(err, &of):
					mu.Lock()
					unknown[of.ClientOrderID] = true
					mu.Unlock()
				case err != nil && !errors.Is(err, client.ErrClosed):
					t.Errorf("an order reports %v", err)
					return
				}
			}
		})
	}
	ids := make(map[string]uint64) // order id to the epoch in which it was executed
	for deaths := 0; deaths < 4; {
		switch u := nextOf(t, a).(type) {
		case *client.Connected:
			if deaths++; !u.Resynced || u.Before.Epoch == u.After.Epoch {
				t.Errorf("Connected says %+v", u)
			}
		case *client.Event:
			if id, epoch := u.Trade.ClientOrderID, a.State().Epoch; ids[id] != 0 {
				t.Errorf("order %s was executed in epoch %#x and again in epoch %#x", id, ids[id], epoch)
			} else if ids[id] = epoch; u.Seq > 20 && rand.IntN(50) == 0 {
				server.restart()
			}
		}
	}
	if err := a.Verify(patience(t)); err != nil {
		t.Errorf("Verify: %v", err)
	}
	last := a.State().Epoch
	stop()
	for id := range unknown {
		if ids[id] == last {
			t.Errorf("order %s was reported as unknown, and sent again", id)
		}
	}
	t.Logf("%d orders were executed, the outcome of %d is unknown", len(ids), len(unknown))
}
