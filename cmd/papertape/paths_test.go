package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// runCommand runs papertape in the working directory, and returns its exit code and stderr.
func runCommand(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.Command("papertape", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Error(err)
		return -1, ""
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// wholeFiles are the command lines that read a whole file, named FILE.
var wholeFiles = []string{
	"serve --config FILE", "config check FILE", "config check --config FILE", "config print --config FILE",
	"config print FILE",
	"serve --admin-token-file FILE", "stats --admin-token-file FILE", "serve --simulator.script FILE",
	"torture --journal FILE",
}

// TestNoFile gives each of them something that is not a regular file, or is endless. It must be
// refused at once, with a sentence and exit code 2.
func TestNoFile(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it starts many processes, one after the other")
	}
	t.Chdir(t.TempDir())
	if err := errors.Join(syscall.Mkfifo("pipe", 0o600), os.Mkdir("directory", 0o700),
		os.Symlink("loop", "loop")); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", 300)
	var waiting sync.WaitGroup // the case of the pipe takes a while
	defer waiting.Wait()
	for file, want := range map[string]string{
		"/dev/zero": "is larger than ", "directory": "directory cannot be read: it is a directory",
		"pipe": "pipe cannot be read: it is a pipe that nobody writes to",
		"loop": "loop cannot be read: too many levels of symbolic links", long: "is 300 bytes long",
		"missing":                "no such file",
		"directory/file/" + long: "is 300 bytes long", "missing\x01": "", "/dev/full": "is larger than ",
	} {
		for _, args := range wholeFiles {
			var command []string
			for _, word := range strings.Fields(args) {
				command = append(command, strings.ReplaceAll(word, "FILE", file))
			}
			want := want
			if strings.Contains(args, "token") && strings.HasPrefix(file, "/dev/") {
				want = "may be read by others" // reported before its length
			}
			waiting.Go(func() {
				code, said := runCommand(t, command...)
				if code != exitUsage || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
					t.Errorf("%.60s of %.20q: exit %d, %.300s\nwant %s", args, file, code, said, want)
				}
			})
		}
	}
}

// TestOwnersOnly checks that a file is not accepted as a secret if anybody but its owner may read
// or write it.
func TestOwnersOnly(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it starts many processes, one after the other")
	}
	t.Chdir(t.TempDir())
	write(t, "token", "0123456789abcdef\n")
	for mode, fine := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true, 0o644: false, 0o666: false, 0o604: false, 0o640: false, 0o660: false,
		0o620: false, 0o602: false,
		0o601: false, 0o610: false, 0o777: false,
	} {
		if err := os.Chmod("token", mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range []string{"config print --admin-token-file token", "config check named.yaml",
			"healthcheck --admin 127.0.0.1:1 --admin-token-file token"} {
			write(t, "named.yaml", "admin_token_file: token\n")
			code, said := runCommand(t, strings.Fields(args)...)
			refused := code == exitUsage && strings.Contains(said, "token may be read by others") &&
				strings.Contains(said, "chmod 600 token")
			if refused == fine {
				t.Errorf("%s, mode %o: exit %d, %s", args, mode, code, said)
			}
		}
	}
}

// TestWrongPaths checks that an impossible path is a usage error whose message is about the path.
func TestWrongPaths(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("it starts many processes, one after the other")
	}
	t.Chdir(t.TempDir())
	write(t, "file", "x")
	if err := os.Symlink("loop", "loop"); err != nil {
		t.Fatal(err)
	}
	made := startServe(t, "--data", "data", "--accounts", "1")
	made.until("listening")
	made.stop()
	long := strings.Repeat("n", 300)
	deep := strings.Repeat("d/", 2100) + "d"
	for _, path := range []string{long, "file/" + long, "new/" + long, deep, "loop/x", "file/x"} {
		for args, want := range map[string]string{
			"serve --data PATH": "data: ", "verify --data PATH": "--data: ", "export --out x --data PATH": "--data: ",
			"backup --out x --data PATH":    "--data: ",
			"export --data data --out PATH": "--out: ", "backup --data data --out PATH": "--out: ",
			"config init --out PATH": "--out: ",
			"man --out PATH":         "--out: ", "serve --cpuprofile PATH": "cpuprofile: ",
			"torture kills --kills 1 --data PATH": "--data: ",
		} {
			var command []string
			for _, word := range strings.Fields(args) {
				command = append(command, strings.ReplaceAll(word, "PATH", path))
			}
			code, said := runCommand(t, command...)
			if code != exitUsage || !strings.Contains(said, want) || strings.Contains(said, openingFile) ||
				strings.Count(said, "\n") != 1 {
				t.Errorf("%s, %.20s: exit %d, %.300s", args, path, code, said)
			}
		}
	}
	if _, err := os.Lstat("new"); err == nil {
		t.Error("new was made for what could not be made in it")
	}
}
