package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/clientsim"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/codec"
)

// swarmServer starts a server with twenty accounts, and returns its address and a function to stop
// it.
func swarmServer(t *testing.T, listen, data, durability string) (at string, stop func()) {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Data, cfg.Durability = listen, "127.0.0.1:0", data, durability
	cfg.Accounts, cfg.Simulator.Rate = 20, 50
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan addresses, 1), make(chan error, 1)
	go func() { ended <- s.run(ctx, func(a addresses) { ready <- a }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case a := <-ready:
		return a.listen, stop
	case err := <-ended:
		ended <- nil
		t.Fatalf("the server did not start: %v", err)
		return "", stop
	}
}

// lineWriter calls hear for each line that is written. Each write must be a whole line.
type lineWriter struct{ hear func(line string) }

func (w lineWriter) Write(p []byte) (int, error) {
	w.hear(string(p))
	return len(p), nil
}

// swarmJSON is the part of a swarm's report that the tests examine.
type swarmJSON struct {
	OK     bool `json:"ok"`
	Totals struct {
		Events, Orders, Reconnects, Restarts, Resumes, Resyncs, Gaps, Wrong int
	} `json:"totals"`
	Clients []struct {
		OK         bool
		Account    uint64
		Mismatches []string
	}
}

// runSwarmCommand runs papertape swarm with ten fast clients until hear ends ctx.
func runSwarmCommand(
	ctx context.Context, t *testing.T, at string, hear func(line string), args ...string,
) (swarmJSON, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{
		"swarm", "--server", at, "--clients", "10", "--interval", "5ms-20ms", "--duration", "5m", "-o", "json",
	}, args...))
	root.SetOut(&out)
	root.SetErr(lineWriter{hear})
	failed := root.ExecuteContext(ctx)
	var report swarmJSON
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("the report is no JSON (%v), and the command ended with %v:\n%s", err, failed, out.String())
	}
	return report, failed
}

// The server is stopped and restarted during the run. If it kept its history the clients resume,
// otherwise they resync; either way all checks hold.
func TestSwarmWhoseServerIsRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	for _, durability := range []string{"sync", "none"} {
		t.Run(durability, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			// Use a separate address, so that nobody takes the port while the server is down.
			own := fmt.Sprintf("127.77.%d.%d:0", os.Getpid()>>8&0xff, os.Getpid()&0xff)
			at, stop := swarmServer(t, own, data, durability)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var restart sync.WaitGroup
			var said []string
			report, err := runSwarmCommand(ctx, t, at, func(line string) {
				said = append(said, line)
				switch {
				case strings.Contains(line, "all 10 clients are logged in"):
					restart.Go(func() {
						stop()
						swarmServer(t, at, data, durability)
					})
				case strings.Contains(line, "all 10 clients are connected"):
					cancel()
				}
			})
			restart.Wait()
			if err != nil || !report.OK {
				t.Errorf("error %v, ok %v", err, report.OK)
			}
			n := &report.Totals
			resyncs := 0
			if durability == "none" {
				resyncs = 10
			}
			if n.Reconnects < 10 || n.Restarts != 10 || n.Resyncs != resyncs || n.Resumes != n.Reconnects-resyncs ||
				n.Orders == 0 || len(report.Clients) != 10 {
				t.Errorf("%+v of %d clients, after\n%s", n, len(report.Clients), strings.Join(said, ""))
			}
		})
	}
}

// A server that gets one number wrong fails the check, and the report names the client and the
// number.
func TestSwarmAgainstALiar(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	at, _ := swarmServer(t, "127.0.0.1:0", filepath.Join(t.TempDir(), "data"), "none")
	liar := liarBefore(t, at, func(ev *papertapev1.AccountEvent) {
		if ev.GetAccount() == 100004 && len(ev.GetPositions()) > 0 {
			ev.Positions[0].Realised++
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	trading := time.AfterFunc(time.Hour, cancel)
	defer trading.Stop()
	report, err := runSwarmCommand(ctx, t, liar, func(line string) {
		if strings.Contains(line, "logged in") {
			trading.Reset(2 * time.Second) // about a hundred orders; a dozen would be enough
		}
	})
	if !errors.Is(err, errCheck) || report.OK || report.Totals.Wrong == 0 {
		t.Errorf("error %v, ok %v, %d wrong", err, report.OK, report.Totals.Wrong)
	}
	for _, c := range report.Clients {
		if c.OK != (c.Account != 100004) {
			t.Errorf("account %d: ok %v", c.Account, c.OK)
		}
		if !c.OK && !strings.Contains(c.Mismatches[0], ", position realised: expected ") {
			t.Errorf("account %d says %q", c.Account, c.Mismatches[0])
		}
	}
}

// liarBefore forwards connections to a server, and changes the events on their way to the clients.
func liarBefore(t *testing.T, to string, change func(*papertapev1.AccountEvent)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				_ = down.Close()
				continue
			}
			work.Go(func() { passBytes(down, up, func(b []byte) ([]byte, int) { return b, len(b) }) })
			work.Go(func() { passBytes(up, down, func(b []byte) ([]byte, int) { return changeEvents(b, change) }) })
		}
	})
	return l.Addr().String()
}

// passBytes forwards data, as transformed by pass, until either side has closed. Then it closes
// both.
func passBytes(from, to net.Conn, pass func([]byte) (out []byte, used int)) {
	defer from.Close() //nolint:errcheck // either side has closed
	defer to.Close()   //nolint:errcheck // likewise
	var waiting []byte
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		waiting = append(waiting, chunk[:n]...)
		out, used := pass(waiting)
		if _, failed := to.Write(out); failed != nil || err != nil {
			return
		}
		waiting = waiting[used:]
	}
}

// changeEvents changes the events in the complete frames of b.
func changeEvents(b []byte, change func(*papertapev1.AccountEvent)) (out []byte, used int) {
	for {
		f, n, err := codec.Cut(b[used:], codec.LimitToClient)
		if n == 0 || err != nil {
			return out, used
		}
		ev := new(papertapev1.AccountEvent)
		if (f.Type == codec.TypeEvent || f.Type == codec.TypeExecution) && codec.Unmarshal(f.Payload, ev) == nil {
			change(ev)
			out = codec.Append(out, f.Type, f.Flags, f.ID, ev)
		} else {
			out = append(out, b[used:used+n]...)
		}
		used += n
	}
}

// Without a terminal, progress is printed as lines, and not too often.
func TestSwarmScreenWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	s := newSwarmScreen(&out, false, time.Hour)
	s.line("all 3 clients are logged in")
	p := clientsim.Progress{Phase: clientsim.PhaseTrade, Clients: 3, Online: 2, Elapsed: time.Minute,
		Duration: time.Hour, Events: 70, Wrong: 1}
	for range 100 {
		s.progress(p)
	}
	s.lineAt = s.lineAt.Add(-time.Hour / swarmLines)
	for range 100 {
		s.progress(p)
	}
	s.end()
	want := "swarm: all 3 clients are logged in\nswarm: 60 of 3600 s, 2 of 3 connected, 70 events, 1 wrong\n"
	if out.String() != want {
		t.Errorf("it shows %q, want %q", out.String(), want)
	}
}

// On a terminal there is a bar, above which lines are printed.
func TestSwarmScreenOnATerminal(t *testing.T) {
	var out bytes.Buffer
	s := newSwarmScreen(&out, true, 10*time.Second)
	s.progress(clientsim.Progress{Phase: clientsim.PhaseLogin, Clients: 3, Online: 1})
	s.line("all 3 clients are logged in")
	s.progress(clientsim.Progress{Phase: clientsim.PhaseTrade, Clients: 3, Online: 3, Elapsed: 5 * time.Second,
		Duration: 10 * time.Second})
	s.progress(clientsim.Progress{Phase: clientsim.PhaseCompare, Clients: 3, Online: 3, Compared: 2,
		Elapsed: 10 * time.Second, Duration: 10 * time.Second})
	s.end()
	text := out.String()
	for _, want := range []string{"1 of 3 are logged in", "\rswarm: all 3 clients are logged in\n",
		"5 of 10 s, 3 of 3 connected", " 50% |", "2 of 3 have compared"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if rest := text[strings.LastIndex(text, "\r")+1:]; strings.TrimSpace(rest) != "" {
		t.Errorf("%q is left at the end", rest)
	}
}

// The flags determine the configuration of the swarm.
func TestSwarmFlags(t *testing.T) {
	t.Setenv(partitionVariable, "2/3")
	for line, want := range map[string]string{
		"":                "10 clients from 100011, trader 1s-2s buy=40,sell=40,query=20, 1m0s, seed 1",
		"--partition 3/3": "10 clients from 100021, trader 1s-2s buy=40,sell=40,query=20, 1m0s, seed 1",
		"--first-account 7 --duration 3s --seed 9": "10 clients from 17, trader 1s-2s buy=40,sell=40,query=20, 3s, " +
			"seed 9",
		"--profile quick --mix query=1": "10 clients from 100011, quick 100ms-300ms " +
			"buy=0,sell=0,query=1, 1m0s, seed 1",
		"--profile watcher --interval 1s": "10 clients from 100011, watcher 1s buy=0,sell=0,query=100, " +
			"1m0s, seed 1",
	} {
		var f swarmFlags
		flags := pflag.NewFlagSet("swarm", pflag.ContinueOnError)
		f.register(flags)
		if err := flags.Parse(append([]string{"--clients", "10"}, strings.Fields(line)...)); err != nil {
			t.Fatal(err)
		}
		cfg, err := f.config(flags)
		got := fmt.Sprintf("%d clients from %d, %s %s %s, %s, seed %d", cfg.Clients, cfg.FirstAccount,
			cfg.Profile.Name, cfg.Profile.Think,
			cfg.Profile.Mix, cfg.Duration, cfg.Seed)
		if err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", line, got, err, want)
		}
	}
}
