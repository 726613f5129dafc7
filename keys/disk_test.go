package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSecretFile says who may own a file of secrets, and who may read it.
func TestSecretFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode        fs.FileMode
		owner, user uint32
		want        string // in the error; empty: none
	}{
		{0o600, 7, 7, ""}, {0o400, 7, 7, ""}, {0o700, 7, 7, ""}, {0o600, 0, 7, ""}, {0o640, 0, 7, ""}, {0o440, 0, 7,
			""},
		{0o640, 0, 0, ""}, {0o600, 8, 7, "belongs to user 8"}, {0o600, 7, 0, "belongs to user 7"},
		{0o640, 7, 7, "its mode is 0640"}, {0o440, 7, 7, "0440"}, {0o644, 0, 7, "0644"}, {0o660, 0, 7, "0660"},
		{0o444, 0, 7, "0444"}, {0o604, 7, 7, "0604"}, {0o610, 7, 7, "0610"}, {0o601, 7, 7, "0601"}, {0o620, 0, 0,
			"0620"},
	} {
		err := secretFile(c.mode, c.owner, c.user)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("mode %o of user %d, for user %d: %v, want %q", c.mode, c.owner, c.user, err, c.want)
		}
	}
}

func writeKeys(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	if f, err := Load(writeKeys(t, exampleFile, 0o400)); err != nil || len(f.Keys()) != 4 {
		t.Errorf("%v", err)
	}
	path := writeKeys(t, exampleFile, 0o604)
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(),
		path+" cannot be read: others than its owner") {
		t.Errorf("a file that everybody may read: %v", err)
	}
	path = writeKeys(t, firstLine+"\nx\n", 0o600)
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":2: a key has an id") {
		t.Errorf("a wrong line: %v", err)
	}
	if _, err := Load(path + "-"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(pipe); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
}

// TestOthersFile: root edits a service's file, which then still belongs to the service; a server does not read it.
func TestOthersFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := writeKeys(t, exampleFile, 0o600)
	if err := os.Chown(path, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "belongs to user 1234") {
		t.Errorf("the server reads it: %v", err)
	}
	if err := Edit(path, func(f *File) error { return f.Remove("PKX4C2RZ81M0QAVT") }); err != nil {
		t.Fatal(err)
	}
	checkOwner(t, path, 1234, 2345, 0o600)
	if f, err := Inspect(path); err != nil || len(f.Keys()) != 3 {
		t.Errorf("it was not edited: %v", err)
	}
	if err := errors.Join(os.Chown(path, 0, 2345), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	if err := Edit(path, func(f *File) error { return f.Remove("PKDESK0OPERATOR1") }); err != nil {
		t.Fatal(err)
	}
	checkOwner(t, path, 0, 2345, 0o640)
}

func checkOwner(t *testing.T, path string, user, group uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	is := info.Sys().(*syscall.Stat_t)
	if is.Uid != user || is.Gid != group || info.Mode().Perm() != mode {
		t.Errorf("it belongs to %d:%d, mode %o; want %d:%d, mode %o", is.Uid, is.Gid, info.Mode(), user, group, mode)
	}
}

// TestEditMakes: the file is made if it is not there, a link to it stays one, and nothing else is left in the
// directory.
func TestEditMakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "keys"), filepath.Join(dir, "link")
	if err := os.Symlink("keys", link); err != nil {
		t.Fatal(err)
	}
	k := Key{ID: "a", Role: Read, Accounts: Accounts{all: true}, Name: "n"}
	if err := Edit(path, func(f *File) error { return f.Add(&k) }); err != nil {
		t.Fatal(err)
	}
	k.ID = "b"
	if err := Edit(link, func(f *File) error { return f.Add(&k) }); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := Edit(link, func(*File) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	checkOwner(t, path, uint32(os.Geteuid()), uint32(os.Getegid()), 0o600)
	if f, err := Load(link); err != nil || len(f.Keys()) != 2 {
		t.Errorf("%v", err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("in the directory are %v, %v", left, err)
	}
}

// TestEditTogether: what many editors add at the same time, to a file that is not there, is all there,
// and a reader never finds a part of a file.
func TestEditTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	const editors, each = 8, 5
	done := make(chan struct{})
	var reading, editing sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a reader: %v", err)
				return
			}
		}
	})
	for i := range editors {
		editing.Go(func() {
			for j := range each {
				k := Key{ID: fmt.Sprintf("k%d-%d", i, j), Role: Read, Accounts: Accounts{all: true}, Name: "n"}
				if err := Edit(path, func(f *File) error { return f.Add(&k) }); err != nil {
					t.Errorf("editor %d: %v", i, err)
				}
			}
		})
	}
	editing.Wait()
	close(done)
	reading.Wait()
	if f, err := Load(path); err != nil || len(f.Keys()) != editors*each {
		t.Errorf("%v", err)
	}
}

// TestReload: it tells what became of each key, and after a wrong file everything is as it was.
func TestReload(t *testing.T) {
	t.Parallel()
	line := func(id string, verifier byte, rest string) string {
		return fmt.Sprintf("%s hmac:%v %s name=n", id, Verifier{verifier}, rest)
	}
	write := func(path string, lines ...string) {
		text := firstLine + "\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := writeKeys(t, "", 0o600)
	const was = "trade 1-9"
	write(path, line("gone", 1, was), line("other", 2, was), line("expired", 3, was), line("role", 4, was),
		line("accounts", 5, was), line("from", 6, was), line("same", 7, was), line("more", 8, "read 1-9"),
		line("later", 9, was))
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	before := *s.keys.Load()
	now, soon := time.Now(), time.Now().Add(time.Hour)
	write(path, line("other", 99, was), line("expired", 3, was+" expires=2020-01-01"), line("role", 4, "read 1-9"),
		line("accounts", 5, "trade 1-8"), line("from", 6, was+" from=10.0.0.0/8"), line("same", 7, was),
		line("more", 8, "trade 1-20"), line("later", 9, was+" expires="+formatTime(soon)), line("new", 10, was))
	c, err := s.Reload()
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []*Key) string {
		ids := make(map[string]bool)
		for _, k := range list {
			ids[k.ID] = true
		}
		return fmt.Sprint(ids)
	}
	got := fmt.Sprintln(c.Keys, names(c.Added), names(c.Gone), names(c.Expired), names(c.Less))
	const want = "9 map[new:true] map[gone:true other:true] map[expired:true] map[accounts:true from:true role:true]\n"
	if got != want {
		t.Errorf("it says %s\nwant %s", got, want)
	}
	for id, fate := range map[string]Fate{
		"gone": Revoked, "other": Revoked, "expired": RanOut, "role": GrantsLess, "accounts": GrantsLess,
		"from": GrantsLess, "same": Stands, "more": Stands, "later": Stands,
	} {
		if k, got := s.Still(before[id], now); got != fate || k != (*s.keys.Load())[id] && fate != Revoked {
			t.Errorf("%s: fate %d, want %d", id, got, fate)
		}
	}
	if _, fate := s.Still(before["later"], soon.Add(time.Second)); fate != RanOut {
		t.Errorf("an hour later its fate is %d", fate)
	}
	write(path, "wrong")
	if _, err := s.Reload(); err == nil || len(*s.keys.Load()) != 9 {
		t.Errorf("after a wrong file there are %d keys: %v", len(*s.keys.Load()), err)
	}
}
