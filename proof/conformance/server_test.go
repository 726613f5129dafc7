package conformance

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that should come at once. It is generous for busy
// machines.
const patience = 2 * time.Minute

// scratch is a directory for the binary and the shared server, removed after all tests.
var scratch string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) (code int) {
	var err error
	if scratch, err = os.MkdirTemp("", "papertape-conformance-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	code = m.Run()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the shared server:", err)
			return max(code, 1)
		}
	}
	if said := tooLittle(judged.Load()); code == 0 && allTestsAsked() && said != "" {
		fmt.Fprintln(os.Stderr, said)
		return 1
	}
	return code
}

// judged counts the frames that passed the judge of any session.
var judged atomic.Int64

// judgedMin is the least number of frames judged when all tests have run. There are about 72,000.
const judgedMin = 20_000

// tooLittle says that the verdict of all tests means nothing, if so few frames were judged.
func tooLittle(frames int64) string {
	if frames >= judgedMin {
		return ""
	}
	return fmt.Sprintf("%d frames of servers were judged, by all tests: fewer than %d is too little for a verdict",
		frames, judgedMin)
}

// allTestsAsked reports whether all tests were asked for.
func allTestsAsked() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

// serverPath builds the server once and returns its path.
var serverPath = sync.OnceValues(func() (string, error) {
	// go test caches results, and watches only what the tests themselves read
	_ = os.Getenv("PAPERTAPE_DURABILITY")
	if path := os.Getenv("PAPERTAPE_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(scratch, "papertape")
	if err := touchSources("../.."); err != nil {
		return "", err
	}
	args := append(append([]string{"build"}, buildFlags...), "-o", path, "github.com/papertape/papertape/cmd/papertape")
	build := exec.Command("go", args...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return path, nil
})

// touchSources makes go test notice changes of the server's sources, which this package does not
// import. go test caches results, and watches only the files that the test itself opens.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			_, err = os.Stat(name)
		}
		return err
	})
}

// durability is the mode of the servers that the tests start, except for tests that need a certain
// one.
var durability = cmp.Or(os.Getenv("PAPERTAPE_DURABILITY"), "sync")

// quietFlags start a server whose only events are those of the tests' orders, at constant prices.
var quietFlags = []string{
	"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--durability", durability,
	"--simulator.rate", "0", "--prices", "fixed", "--log.format", "json",
}

// server is a running server process.
type server struct {
	listen string // host:port of the wire protocol
	admin  string // host:port of the HTTP side; empty if the tests did not start the server
	walks  bool   // prices move, so totals cannot be computed
	cmd    *exec.Cmd
	log    *tail         // of its stderr
	done   chan struct{} // closed when the process has ended
	ended  error         // its Wait; read after done
}

// shared is the server that most tests use. The first of them starts it.
var shared struct {
	once   sync.Once
	server *server
	err    error
}

// sharedServer returns the server that most tests use.
func sharedServer(t testing.TB) *server {
	t.Helper()
	if address := os.Getenv("PAPERTAPE_SERVER"); address != "" {
		return &server{listen: address}
	}
	shared.once.Do(func() {
		dir := filepath.Join(scratch, "shared")
		if shared.err = os.Mkdir(dir, 0o700); shared.err == nil {
			shared.server, shared.err = launch(dir, nil, quietFlags)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// start runs a server for one test, with quietFlags and then flags. At the end of the test it must
// end with exit code 0.
func start(t testing.TB, flags ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), nil, append(append([]string{}, quietFlags...), flags...))
}

// startIn runs a server with a working directory, additional environment and a complete command
// line.
func startIn(t testing.TB, dir string, env, args []string) *server {
	t.Helper()
	s, err := launch(dir, env, args)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's last lines:\n%s", s.log)
		}
	})
	return s
}

// command returns the server's binary ready to run, without this process's PAPERTAPE_ variables.
func command(dir string, env, args []string) (*exec.Cmd, error) {
	path, err := serverPath()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PAPERTAPE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd, nil
}

// launch starts a server and waits until it reports where it listens.
func launch(dir string, env, args []string) (*server, error) {
	s, ready, err := spawn(dir, env, args)
	if err != nil {
		return nil, err
	}
	select {
	case at := <-ready:
		s.listen, s.admin = at.Listen, at.Admin
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("%s ended before it listened: %v\n%s", strings.Join(args, " "), s.ended, s.log)
	case <-time.After(2 * patience):
		s.kill()
		return nil, fmt.Errorf("%s does not say where it listens\n%s", strings.Join(args, " "), s.log)
	}
}

// spawn runs the binary. ready receives the addresses on which it listens.
func spawn(dir string, env, args []string) (s *server, ready chan listening, err error) {
	cmd, err := command(dir, env, args)
	if err != nil {
		return nil, nil, err
	}
	s = &server{cmd: cmd, log: new(tail), done: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ready = make(chan listening, 1)
	go s.follow(stderr, ready)
	return s, ready, nil
}

// kill ends the process at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// follow copies the server's stderr to its log, reports the line that says where it listens, and
// closes done when the process has ended.
func (s *server) follow(stderr io.Reader, ready chan<- listening) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = s.log.Write(line)
		if at, ok := parseListening(line); ok {
			select {
			case ready <- at:
			default:
			}
		}
		if err != nil {
			break
		}
	}
	s.ended = s.cmd.Wait()
	close(s.done)
}

// stop asks the server to stop and waits for it. It returns an error if the server did not end
// cleanly.
func (s *server) stop() error {
	select {
	case <-s.done:
		if s.ended == nil {
			return nil
		}
		return fmt.Errorf("the server ended by itself: %w\n%s", s.ended, s.log)
	default:
	}
	if err := s.signal(); err != nil {
		return err
	}
	return s.wait()
}

// signal sends SIGTERM to the server.
func (s *server) signal() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

// wait waits for a server that was asked to stop. Its exit code must be 0.
func (s *server) wait() error {
	select {
	case <-s.done:
	case <-time.After(2 * patience):
		s.kill()
		return fmt.Errorf("the server was still running %v after SIGTERM\n%s", 2*patience, s.log)
	}
	if s.ended != nil {
		return fmt.Errorf("after SIGTERM the server ended with %w, want exit code 0\n%s", s.ended, s.log)
	}
	return nil
}

// outcome is the result of a command that ended by itself.
type outcome struct {
	code   int
	stderr string
}

// refusal runs the binary with args that must make it end by itself.
func refusal(t *testing.T, dir string, env []string, args ...string) outcome {
	t.Helper()
	s, ready, err := spawn(dir, env, args)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
		return outcome{s.cmd.ProcessState.ExitCode(), s.log.String()}
	case <-ready:
		s.kill()
		t.Fatalf("%s was started, want it refused\n%s", strings.Join(args, " "), s.log)
	case <-time.After(2 * patience):
		s.kill()
		t.Fatalf("%s was neither started nor refused within %v\n%s", strings.Join(args, " "), 2*patience, s.log)
	}
	return outcome{}
}

// listening is the log line in which a server reports that it is ready, and where.
type listening struct {
	Message string `json:"message"`
	Listen  string `json:"listen"`
	Admin   string `json:"admin"`
}

// parseListening parses a log line, and reports whether it is that line.
func parseListening(line []byte) (listening, bool) {
	var l listening
	if err := json.Unmarshal(line, &l); err != nil || l.Message != "listening" || l.Listen == "" {
		return listening{}, false
	}
	return l, true
}

// tail keeps the last bytes of a server's output.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 16 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, p...)
	if over := len(l.kept) - tailBytes; over > 0 {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}

// testPart is a part of a test that runs on a goroutine of its own. A failure ends the part, and the
// test reports it.
type testPart struct {
	testing.TB
	failure string
}

func (s *testPart) Helper() {}

func (s *testPart) FailNow() { panic("strands fail by Fatalf") }

func (s *testPart) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprintln(args...)) }

func (s *testPart) Fatalf(format string, args ...any) {
	s.failure = fmt.Sprintf(format, args...)
	panic(s)
}

// run runs one part and keeps its failure.
func (s *testPart) run(part func(testing.TB)) {
	defer func() {
		if r := recover(); r != nil && r != any(s) {
			panic(r)
		}
	}()
	part(s)
}

// together runs the parts concurrently, waits for all of them, and fails the test if one failed. A
// part may use only sessions that session.on gave to it.
func together(t testing.TB, parts ...func(t testing.TB)) {
	t.Helper()
	strands := make([]*testPart, len(parts))
	var running sync.WaitGroup
	for i, part := range parts {
		strands[i] = &testPart{TB: t}
		running.Add(1)
		go func() {
			defer running.Done()
			strands[i].run(part)
		}()
	}
	running.Wait()
	for i, s := range strands {
		if s.failure != "" {
			t.Errorf("part %d: %s", i+1, s.failure)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
