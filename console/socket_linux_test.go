package console

import (
	"bufio"
	"context"
	"errors"
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

	"github.com/papertape/papertape/audit"
)

// serveSocket serves the fixture's console by its socket too.
func (f *fixture) serveSocket(t *testing.T) (address string) {
	t.Helper()
	address = strings.TrimPrefix(f.url, "http://")
	ln, err := ListenSocket(address)
	if err != nil {
		t.Fatal(err)
	}
	server := f.server
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.ServeSocket(ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		_ = server.Shutdown(context.Background())
		serving.Wait()
	})
	return address
}

// newReadersFixture makes a console where everybody may read, and nobody has a token.
func newReadersFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	return newFixtureWith(t, func(c *Config) {
		if c.Anonymous, c.BackupDir = Watch, ""; change != nil {
			change(c)
		}
	})
}

// TestSocketName: all spellings of an address have one name, and other addresses have another.
func TestSocketName(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:7301": "127.0.0.1:7301", "localhost:7301": "127.0.0.1:7301", "0.0.0.0:7301": "127.0.0.1:7301",
		"[::]:7301": "127.0.0.1:7301", ":7301": "127.0.0.1:7301", "[::ffff:127.0.0.1]:7301": "127.0.0.1:7301",
		"127.0.0.2:7301": "127.0.0.2:7301", "[::1]:7301": "[::1]:7301", "127.0.0.1:7302": "127.0.0.1:7302",
		"10.0.0.7:1": "10.0.0.7:1",
		"desk:7301":  "", "127.0.0.1": "", "127.0.0.1:0": "", "127.0.0.1:x": "", "127.0.0.1:65536": "", "": "",
	} {
		name, ok := socketName(address)
		if ok != (want != "") || ok && name != "papertape-admin-"+want {
			t.Errorf("%q: %q, %t; want %q", address, name, ok, want)
		}
	}
}

// TestSocket: a command of the same user changes things without a token, and backs up to anywhere. By HTTP the
// same user may not.
func TestSocket(t *testing.T) {
	kept := audit.New(audit.Options{})
	if err := kept.OpenMemory(); err != nil {
		t.Fatal(err)
	}
	f := newReadersFixture(t, func(c *Config) { c.Audit = kept })
	address := f.serveSocket(t)
	c := NewClient(address, "")
	if s, err := c.SetRate(t.Context(), 5); err != nil || s.Rate != 5 {
		t.Errorf("by the socket: %+v, %v", s, err)
	}
	if _, err := c.Backup(t.Context(), "/somewhere/else"); err != nil {
		t.Errorf("backup by the socket: %v", err)
	}
	byName := strings.Replace(address, "127.0.0.1", "localhost", 1)
	if _, err := NewClient(byName, "").SetRate(t.Context(), 6); err != nil {
		t.Errorf("by localhost: %v", err)
	}
	me := "uid " + strconv.Itoa(os.Geteuid())
	for _, line := range kept.Memory() {
		if line.Remote != me || line.Key != socketKey || line.Name != "operator" {
			t.Errorf("the audit has %+v", line)
		}
	}
	byHTTP := Dial(ClientConfig{Address: address, NoLocal: true})
	var answered *Error
	if _, err := byHTTP.SetRate(t.Context(), 7); !errors.As(err, &answered) || answered.Status != 401 ||
		!strings.Contains(answered.Text, "PUT /api/v1/simulator needs a key or token of role operate") {
		t.Errorf("by HTTP: %v", err)
	}
	if _, err := byHTTP.Accounts(t.Context(), 0, 0); err != nil {
		t.Errorf("reading by HTTP: %v", err)
	}
	// Whatever name is asked for by the socket, no page can have sent it.
	conn, ok := dialLocal(t.Context(), address)
	if !ok {
		t.Fatal("there is no socket")
	}
	defer conn.Close() //nolint:errcheck // it was read
	if got := statusOn(t, conn, "PUT /api/v1/log HTTP/1.1\r\nHost: evil.example\r\n"+
		"Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"level\":\"debug\"}"); got != 200 {
		t.Errorf("under another name: %d", got)
	}
}

// statusOn writes a request to a connection, and returns the status of the answer.
func statusOn(t *testing.T, conn net.Conn, request string) int {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// TestIsOurs: root and the same user may act for a server. The user that the kernel says instead of one that it
// cannot name is nobody's, even a server's that runs under that number.
func TestIsOurs(t *testing.T) {
	for _, c := range []struct {
		theirs, mine int
		want         bool
	}{
		{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 0, false}, {1001, 1000, false}, {0, nobodyUID, true},
		{nobodyUID, nobodyUID, false}, {nobodyUID, 1000, false}, {-1, 1000, false},
	} {
		if got := isOurs(c.theirs, c.mine); got != c.want {
			t.Errorf("%d for %d: %t", c.theirs, c.mine, got)
		}
	}
}

// childEnv has a process of this test say what it is to do, as a user of its own.
const childEnv = "PAPERTAPE_TEST_CHILD"

// child is a process of another user.
type child struct {
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// say returns the child's next line after "said: ".
func (c *child) say(t *testing.T) string {
	t.Helper()
	for c.lines.Scan() {
		if said, ok := strings.CutPrefix(c.lines.Text(), "said: "); ok {
			return said
		}
	}
	t.Fatalf("the child says nothing: %v", c.lines.Err())
	return ""
}

// runChild runs what TestChild does, as a user.
func runChild(t *testing.T, uid int, does string) *child {
	t.Helper()
	dir, err := os.MkdirTemp("", "papertape-child-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "test") // where it is built, others may not go
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		//nolint:gosec // for others to run
		err = errors.Join(os.WriteFile(program, text, 0o755), os.Chmod(dir, 0o755), os.Chmod(program, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestChild$")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), childEnv+"="+does)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		rest, _ := io.ReadAll(stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child of user %d: %v\n%s", uid, err, rest)
		}
	})
	return &child{stdin, bufio.NewScanner(stdout)}
}

// TestChild is what the processes of other users do: they serve, ask, or take the name of a socket.
func TestChild(t *testing.T) {
	does, address, _ := strings.Cut(os.Getenv(childEnv), " ")
	say := func(format string, args ...any) { fmt.Printf("said: "+format+"\n", args...) }
	switch does {
	case "":
		t.Skip("it is for the processes of TestOtherUsers")
	case "serve":
		say("%s", newReadersFixture(t, nil).serveSocket(t))
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "ask":
		say("%s", whatItMay(t, address))
	case "squat":
		ln, err := ListenSocket(address)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() //nolint:errcheck // nobody is to connect
		say("listening")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// whatItMay tries what this process may do at a console: as a command, and by the socket whoever listens.
func whatItMay(t *testing.T, address string) string {
	t.Helper()
	did := "command: changes"
	if _, err := NewClient(address, "").SetRate(t.Context(), 5); err != nil {
		var answered *Error
		if !errors.As(err, &answered) || answered.Status != 401 {
			return fmt.Sprintf("command: %v", err)
		}
		did = "command: reads"
	}
	if _, err := NewClient(address, "").Accounts(t.Context(), 0, 0); err != nil {
		return fmt.Sprintf("command: %v", err)
	}
	name, _ := socketName(address)
	conn, err := dialSocket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read
	status := statusOn(t, conn, "DELETE /api/v1/sessions/99 HTTP/1.1\r\nHost: x\r\n\r\n")
	return fmt.Sprintf("%s, socket: %d", did, status)
}

// TestOtherUsers: root and the server's own user are operators by its socket, another user is not, whoever runs the
// server. A command tells nothing to a socket of another user.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run processes of other users")
	}
	const service, person = 12345, 12346
	f := newReadersFixture(t, nil)
	addresses := map[int]string{0: f.serveSocket(t), service: runChild(t, service, "serve").say(t)}
	for server, address := range addresses {
		for _, user := range []int{0, service, person} {
			want := "command: reads, socket: 401"
			if user == 0 || user == server {
				want = "command: changes, socket: 404"
			}
			var got string
			if user == 0 {
				got = whatItMay(t, address)
			} else {
				got = runChild(t, user, "ask "+address).say(t)
			}
			if got != want {
				t.Errorf("user %d at the server of user %d: %s, want %s", user, server, got, want)
			}
		}
	}
	// Somebody takes the name of the socket of a server that has none.
	lone := newReadersFixture(t, nil)
	address := strings.TrimPrefix(lone.url, "http://")
	runChild(t, person, "squat "+address).say(t)
	if conn, ok := dialLocal(t.Context(), address); ok {
		_ = conn.Close()
		t.Error("root takes a stranger's socket for the server's")
	}
	if _, err := NewClient(address, "").Accounts(t.Context(), 0, 0); err != nil {
		t.Errorf("beside a stranger's socket: %v", err)
	}
}
