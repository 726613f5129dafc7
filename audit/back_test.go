package audit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// backFrom returns the numbers of up to limit lines below before.
func backFrom(t *testing.T, l *Log, before uint64, limit int) (numbers []uint64) {
	t.Helper()
	must(t, l.Back(before, func(r *Record) bool {
		numbers = append(numbers, r.Number)
		return len(numbers) < limit
	}))
	return numbers
}

// TestBack reads a log backwards: over the files that were full, from any line on, and in memory.
func TestBack(t *testing.T) {
	const all = 700
	inFiles := openAt(t, filepath.Join(t.TempDir(), "audit.log"), Options{FileBytesMax: 1200 << 10})
	inMemory := New(Options{})
	must(t, inMemory.OpenMemory())
	t.Cleanup(func() { must(t, inMemory.Close()) })
	body := strings.Repeat("x", 4000) // so that a file takes several reads
	for _, l := range []*Log{inFiles, inMemory} {
		for range all {
			_, err := l.Write(Record{Step: Noted, Body: body})
			must(t, err)
		}
	}
	names, err := inFiles.full()
	if must(t, err); len(names) < 2 {
		t.Fatalf("the files are %v", names)
	}
	for _, before := range []uint64{0, 1, 2, 3, 290, 291, 400, 500, 599, 650, all, all + 1, all + 50} {
		from := before
		if before == 0 || before > all {
			from = all + 1
		}
		for l, oldest := range map[*Log]uint64{inFiles: 1, inMemory: 1} {
			for _, limit := range []int{1, 7, all + 1} {
				var want []uint64
				for n := from - 1; n >= oldest && len(want) < limit; n-- {
					want = append(want, n)
				}
				if got := backFrom(t, l, before, limit); !slices.Equal(got, want) {
					t.Fatalf("%d below %d: %d, from %v; want %d", limit, before, len(got), got[:min(3, len(got))],
						len(want))
				}
			}
		}
	}
}

// TestBackNothing: a log without lines has none, also where its file is not begun.
func TestBackNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openAt(t, path, Options{})
	if got := backFrom(t, l, 0, 9); got != nil {
		t.Errorf("%v", got)
	}
	fill(t, l, 1, 3)
	must(t, os.Remove(path))
	if got := backFrom(t, l, 0, 9); got != nil {
		t.Errorf("%v", got)
	}
}

// TestBackDamaged: what is no line of an audit is an error, and not left out.
func TestBackDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openAt(t, path, Options{})
	fill(t, l, 1, 9)
	text, err := os.ReadFile(path)
	must(t, err)
	at := strings.Index(string(text), `"number":4`)
	text[at] = '!'
	must(t, os.WriteFile(path, text, 0o600))
	seen := 0
	err = l.Back(0, func(*Record) bool { seen++; return true })
	if err == nil || seen != 5 || !strings.Contains(err.Error(), "papertape audit verify says more") {
		t.Errorf("%v after %d lines", err, seen)
	}
}
