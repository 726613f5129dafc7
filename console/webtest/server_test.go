package webtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// binary is the real program, which TestMain builds.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "papertape-webtest-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "papertape")
	build := exec.Command("go", "build", "-o", binary, "./cmd/papertape")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the server cannot be built: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// server is a real server, in a process of its own.
type server struct {
	t             *testing.T
	dir           string // its data
	args          []string
	listen, admin string // the same after each start
	cmd           *exec.Cmd
	ended         chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// newServer starts one, with flags besides the addresses and the directory.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: filepath.Join(t.TempDir(), "data"), args: args, listen: "127.0.0.1:0", admin: "127.0.0.1:0"}
	s.start()
	t.Cleanup(func() {
		s.signal(syscall.SIGKILL)
		if t.Failed() {
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Logf("the server said\n%s", s.log.String())
		}
	})
	return s
}

// start starts the server, and waits until it listens.
func (s *server) start() {
	s.t.Helper()
	all := append([]string{"serve", "--listen", s.listen, "--admin", s.admin, "--data", filepath.Base(s.dir),
		"--log.format", "json"}, s.args...)
	s.cmd = exec.Command(binary, all...)
	s.cmd.Dir = filepath.Dir(s.dir) // so that no page, and no picture, has the path of this machine
	out, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	listening := make(chan bool, 1)
	s.ended = make(chan struct{})
	go s.read(out, s.cmd, s.ended, listening)
	select {
	case <-listening:
	case <-s.ended:
		s.t.Fatalf("the server does not start: %s", s.log.String())
	case <-time.After(patience):
		s.t.Fatal("the server does not listen")
	}
}

// read keeps what a server logs, until it has ended.
func (s *server) read(out io.Reader, cmd *exec.Cmd, ended chan struct{}, listening chan<- bool) {
	defer close(ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var line struct{ Message, Listen, Admin string }
		_ = json.Unmarshal(lines.Bytes(), &line)
		s.mu.Lock()
		s.log.Write(append(lines.Bytes(), '\n'))
		if line.Message == "listening" {
			s.listen, s.admin = line.Listen, line.Admin
			listening <- true
		}
		s.mu.Unlock()
	}
	_ = cmd.Wait()
}

// signal sends a signal, and waits until the server has ended.
func (s *server) signal(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(sig)
	<-s.ended
}

func (s *server) base() string { return "http://" + s.admin }

// run runs a command against the server, and returns what it prints.
func (s *server) run(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(binary, append(args, "--admin", s.admin)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("papertape %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// token is that of its operator.
func (s *server) token() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "admin.token"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// ask returns what the API answers.
func (s *server) ask(path string) map[string]any {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is read
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return v
}

// terminal is a client at its terminal: the program papertape client, whose output is read.
type terminal struct {
	t     *testing.T
	stdin io.WriteCloser
	ended chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func (s *server) terminal(account string) *terminal {
	s.t.Helper()
	c := &terminal{t: s.t, ended: make(chan struct{})}
	cmd := exec.Command(binary, "client", "--server", s.listen, "--account", account, "--lang", "en")
	cmd.Stdout, cmd.Stderr = c, c
	var err error
	if c.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait()
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-c.ended
	})
	return c
}

// Write implements io.Writer for what the program prints.
func (c *terminal) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *terminal) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func (c *terminal) types(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// leaves ends the terminal, and waits until it has ended.
func (c *terminal) leaves() {
	c.t.Helper()
	c.types("quit")
	<-c.ended
}

// shows waits until the terminal shows a text.
func (c *terminal) shows(text string) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for !strings.Contains(c.said(), text) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the terminal never shows %q:\n%s", text, c.said())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// deaf is a connection that stops reading when it is told to.
type deaf struct {
	net.Conn
	once sync.Once
	stop chan struct{}
	gone chan struct{}
}

func (d *deaf) Read(p []byte) (int, error) {
	select {
	case <-d.stop:
		<-d.gone
		return 0, net.ErrClosed
	default:
		return d.Conn.Read(p)
	}
}

// dial is a client.Options.Dial, for one connection.
func (d *deaf) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		return nil, err
	}
	d.Conn = conn
	return d, nil
}

func (d *deaf) Close() error {
	d.once.Do(func() { close(d.gone) })
	return d.Conn.Close()
}

// stall logs a client in to an account, which then takes nothing any more, and trades beside it until as many bytes
// wait for it.
func (s *server) stall(account string, bytes float64) {
	s.t.Helper()
	d := &deaf{stop: make(chan struct{}), gone: make(chan struct{})}
	number, err := strconv.ParseUint(account, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(s.t.Context(), s.listen, client.Options{Account: number, DiscardEvents: true, Dial: d.dial})
	if err != nil {
		s.t.Fatal(err)
	}
	close(d.stop)
	s.t.Cleanup(func() {
		_ = d.Close()
		_ = c.Close()
	})
	beside, err := client.Dial(s.t.Context(), s.listen, client.Options{Account: number, DiscardEvents: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer beside.Close() //nolint:errcheck // nothing of it is used any more
	for s.waiting(account) < bytes {
		for range 10 {
			if _, err := beside.Buy(s.t.Context(), "SZ", "000001", 100); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// waiting returns how many bytes wait for the sessions of an account.
func (s *server) waiting(account string) (bytes float64) {
	s.t.Helper()
	for _, one := range s.ask("/api/v1/sessions?account=" + account)["sessions"].([]any) {
		bytes += one.(map[string]any)["waiting_bytes"].(float64)
	}
	return bytes
}
