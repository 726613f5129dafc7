package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openAt opens a log, which is closed at the end of the test.
func openAt(t *testing.T, path string, o Options) *Log {
	t.Helper()
	l := New(o)
	must(t, l.Open(path))
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// fill writes lines numbered from to to.
func fill(t *testing.T, l *Log, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		got, err := l.Write(Record{Step: Asked, Method: "PUT", Path: "/" + strconv.Itoa(n), Body: `{"rate":1}`})
		if err != nil || got != uint64(n) {
			t.Fatalf("line %d is numbered %d, %v", n, got, err)
		}
	}
}

// TestWrite checks what is in a file: the lines, in a chain, for its owner alone.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	at := time.Date(2026, 11, 30, 12, 0, 0, 5, time.FixedZone("CST", 8*60*60))
	l := openAt(t, path, Options{Clock: func() time.Time { return at }})
	fill(t, l, 1, 1)
	_, hash := l.Head()
	_, err := l.Write(Record{
		Step: Done, Asked: 1, Key: "PK7", Name: "desk\n", Remote: "uid 0", Status: 409, TookMS: 1.5,
	})
	must(t, err)
	text, err := os.ReadFile(path)
	must(t, err)
	want := `{"time":"2026-11-30T04:00:00.000000005Z","number":1,"step":"asked","method":"PUT","path":"/1",` +
		`"body":"{\"rate\":1}","previous":"` + nothing + `"}` + "\n" +
		`{"time":"2026-11-30T04:00:00.000000005Z","number":2,"step":"done","asked":1,"key":"PK7","name":"desk\n",` +
		`"remote":"uid 0","status":409,"took_ms":1.5,"previous":"` + hash + `"}` + "\n"
	if string(text) != want {
		t.Errorf("the file has\n%s\nwant\n%s", text, want)
	}
	if in, err := os.Stat(path); err != nil || in.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", in.Mode(), err)
	}
	if r, err := Verify(hash, path); err != nil || r.Lines != 2 || r.Found != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := New(Options{}).Open(path); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("opened twice: %v", err)
	}
}

// TestClipped: what strangers send makes no line longer than Verify reads.
func TestClipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openAt(t, path, Options{})
	for _, text := range []string{"\x00", "<", "\xff", "\u2028", `"`, "𝄞"} {
		long := strings.Repeat(text, 100_000)
		_, err := l.Write(Record{
			Step: Refused, What: long, Key: long, Name: long, Remote: long, OnBehalfOf: long, Method: long, Path: long,
			Body: long, Code: long, Detail: long,
		})
		must(t, err)
	}
	if r, err := Verify("", path); err != nil || r.Lines != 6 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTampered: any line but the last that is cut out, changed, repeated or moved is found, and so is
// one that was inserted; the end is found by its hash alone.
func TestTampered(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l := openAt(t, path, Options{})
	const lines = 12
	fill(t, l, 1, lines)
	_, head := l.Head()
	text, err := os.ReadFile(path)
	must(t, err)
	all := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	all[lines-1] += "\n"
	if len(all) != lines {
		t.Fatalf("%d lines", len(all))
	}
	check := func(what string, head string, found bool, changed ...string) {
		t.Helper()
		other := filepath.Join(dir, "changed")
		must(t, os.WriteFile(other, []byte(strings.Join(changed, "")), 0o600))
		_, err := Verify(head, other)
		if found != (err != nil) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("as it was", head, false, all...)
	for n := range lines {
		last := n == lines-1
		name := fmt.Sprintf("line %d", n+1)
		without := append(append([]string{}, all[:n]...), all[n+1:]...)
		check(name+" cut out", "", !last && n > 0, without...)
		check(name+" cut out, with the head", head, last || n > 0, without...)
		for _, c := range [][2]string{
			{`"PUT"`, `"GET"`}, {`{"time"`, `{"time" `}, {`"asked"`, `"done"`}, {"\n", " \n"},
			{`"number":`, `"Number":`},
		} {
			changed := append([]string{}, all...)
			if changed[n] = strings.Replace(all[n], c[0], c[1], 1); changed[n] == all[n] {
				t.Fatalf("%s has no %s", name, c[0])
			}
			check(name+" changed", "", !last, changed...)
			check(name+" changed, with the head", head, true, changed...)
		}
		twice := append(append(append([]string{}, all[:n]...), all[n]), all[n:]...)
		check(name+" twice", "", true, twice...)
		if !last {
			moved := append([]string{}, all...)
			moved[n], moved[n+1] = moved[n+1], moved[n]
			check(name+" after the next", "", true, moved...)
		}
	}
	check("nothing", "", false)
	check("no audit", "", true, "hello\n")
	check("an empty line", "", true, append([]string{"\n"}, all...)...)
	var broken *BrokenError
	if _, err := Verify("", filepath.Join(dir, "changed")); !errors.As(err, &broken) || broken.Line != 1 {
		t.Errorf("it is said to be at %+v", broken)
	}
}

// TestRotation: full files are put away, and form one chain with the last.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit[1].log")
	l := New(Options{FileBytesMax: 1000})
	must(t, l.Open(path))
	fill(t, l, 1, 20)
	must(t, l.Close())
	files := filesOf(t, path)
	if len(files) < 4 {
		t.Fatalf("files %q", files)
	}
	for _, name := range files {
		if in, err := os.Stat(name); err != nil || in.Size() > 1000 || in.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes, mode %v, %v", name, in.Size(), in.Mode(), err)
		}
	}
	r, err := Verify("", files...)
	if err != nil || r.Lines != 20 || r.Last != 20 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Verify("", append([]string{files[0]}, files[2:]...)...); err == nil {
		t.Error("a whole file was left out, and nobody noticed")
	}
	if r, err := Verify("", files[1:]...); err != nil || r.First == 1 {
		t.Errorf("without the first file, as after a clean-up: %+v, %v", r, err)
	}
	// As after a crash between the rename and the next file.
	must(t, os.Rename(path, fmt.Sprintf("%s.%d", path, r.Last)))
	again := openAt(t, path, Options{FileBytesMax: 1000})
	fill(t, again, 21, 22)
	if r, err := Verify("", filesOf(t, path)...); err != nil || r.Lines != 22 {
		t.Errorf("after a crash at a rotation: %+v, %v", r, err)
	}
}

// filesOf returns the files of an audit, oldest first.
func filesOf(t *testing.T, path string) []string {
	t.Helper()
	full, err := filepath.Glob(escapeGlob(path) + ".*")
	must(t, err)
	byNumber := make(map[int]string)
	var last int
	for _, name := range full {
		n, err := strconv.Atoi(strings.TrimPrefix(name, path+"."))
		must(t, err)
		byNumber[n], last = name, max(last, n)
	}
	var files []string
	for n := range last + 1 {
		if name, ok := byNumber[n]; ok {
			files = append(files, name)
		}
	}
	if _, err := os.Stat(path); err == nil {
		files = append(files, path)
	}
	return files
}

// TestMended: wherever a crash cuts a file off, the next start goes on with what is complete, and
// says so.
func TestMended(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	l := openAt(t, whole, Options{})
	fill(t, l, 1, 2)
	text, err := os.ReadFile(whole)
	must(t, err)
	first := strings.IndexByte(string(text), '\n') + 1
	for cut := range len(text) {
		path := filepath.Join(dir, "cut")
		must(t, os.WriteFile(path, text[:cut], 0o600))
		complete, torn := 0, cut
		if cut >= first {
			complete, torn = 1, cut-first
		}
		if r, err := Verify("", path); err != nil || r.Lines != uint64(complete) || r.TornBytes != torn {
			t.Fatalf("cut at %d: %+v, %v", cut, r, err)
		}
		again := New(Options{})
		must(t, again.Open(path))
		if torn > 0 {
			complete++
		}
		fill(t, again, complete+1, complete+2)
		must(t, again.Close())
		r, err := Verify("", path)
		mended, _ := os.ReadFile(path)
		if err != nil || r.Lines != uint64(complete+2) || r.TornBytes != 0 ||
			strings.Contains(string(mended), fmt.Sprintf(`"what":"mended","detail":"%d bytes`, torn)) != (torn > 0) {
			t.Fatalf("cut at %d, and mended: %+v, %v\n%s", cut, r, err, mended)
		}
	}
	// What is complete and no line is not mended: somebody has written it.
	path := filepath.Join(dir, "other")
	must(t, os.WriteFile(path, []byte("hello\n"), 0o600))
	if err := New(Options{}).Open(path); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Errorf("another file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "hello\n" {
		t.Errorf("it has %q now", text)
	}
}

// fullDisk is a file on a disk that is full at times.
type fullDisk struct {
	*os.File
	full  *bool
	parts int // so many bytes still fit
}

func (f fullDisk) Write(p []byte) (int, error) {
	if *f.full {
		n, _ := f.File.Write(p[:min(f.parts, len(p))])
		return n, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// TestFullDisk: a line for which there is no room is refused and leaves nothing, and the next goes on
// in the chain.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	full := false
	l := New(Options{})
	l.create = func(path string) (file, error) {
		f, err := createFile(path)
		if err != nil {
			return nil, err
		}
		return fullDisk{File: f.(*os.File), full: &full, parts: 17}, nil
	}
	must(t, l.Open(path))
	fill(t, l, 1, 3)
	full = true
	for range 3 {
		if n, err := l.Write(Record{Step: Asked}); n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("on a full disk: %d, %v", n, err)
		}
	}
	if r, err := Verify("", path); err != nil || r.Lines != 3 || r.TornBytes != 0 {
		t.Errorf("on a full disk: %+v, %v", r, err)
	}
	full = false
	fill(t, l, 4, 5)
	must(t, l.Close())
	if r, err := Verify("", path); err != nil || r.Lines != 5 {
		t.Errorf("when there is room again: %+v, %v", r, err)
	}
}

// TestPending: before Open, what is asked is refused, and refusals wait; after Close nothing is taken.
func TestPending(t *testing.T) {
	l := New(Options{})
	if _, err := l.Write(Record{Step: Asked}); !errors.Is(err, ErrNotOpen) {
		t.Errorf("a change before Open: %v", err)
	}
	for range pendingMax + 10 {
		if _, err := l.Write(Record{Step: Refused, Path: "/x"}); err != nil {
			t.Error(err)
		}
	}
	must(t, l.OpenMemory())
	if n, _ := l.Head(); n != pendingMax || l.Memory()[0].Path != "/x" {
		t.Errorf("%d lines, want %d", n, pendingMax)
	}
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Write(Record{Step: Refused}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestConcurrent: lines that are written at the same time form one chain.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openAt(t, path, Options{FileBytesMax: 3000})
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for range 10 {
				if _, err := l.Write(Record{Step: Asked, Path: "/x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	if r, err := Verify("", filesOf(t, path)...); err != nil || r.Lines != 80 {
		t.Errorf("%+v, %v", r, err)
	}
}
