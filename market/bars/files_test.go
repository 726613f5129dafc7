package bars

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/market"
)

var update = flag.Bool("update", false, "write the golden files anew")

// written returns a directory with the bars of two instruments, and the bars of the first.
func written(t *testing.T) (u *market.Universe, dir string, want []market.Bar) {
	t.Helper()
	u, dir = universe(t, 2), filepath.Join(t.TempDir(), Dir)
	s := open(t, u, dir, 1<<20)
	for n := range int64(5) {
		s.Observe(nil, nil, []market.Update{at(0, epoch+n*60e9, 10_0000+100*n, 100*n), at(1, epoch+n*30e9, 7, 1)})
		if n == 2 {
			s.writeFinished()
		}
	}
	stop(s)
	want, _ = s.Bars(0, MinuteSeconds, 0, 0, 0)
	return u, dir, want
}

// TestGolden: files stay as they are.
func TestGolden(t *testing.T) {
	_, dir, _ := written(t)
	for p := range periods {
		got, err := os.ReadFile(filepath.Join(dir, fileName(p, 1)))
		if err != nil {
			t.Fatal(err)
		}
		text := hex.Dump(got)
		golden := filepath.Join("testdata", periodNames[p]+".hex")
		if *update {
			if err := os.WriteFile(golden, []byte(text), 0o644); err != nil { //nolint:gosec // a test's data
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || text != string(want) {
			t.Errorf("%s has changed (%v):\n%s", fileName(p, 1), err, text)
		}
	}
}

// TestPrivate: the directory and its files are for their owner alone, and a second start goes on with them.
func TestPrivate(t *testing.T) {
	u, dir, want := written(t)
	s := open(t, u, dir, 1<<20)
	s.Observe(nil, nil, []market.Update{at(0, epoch+600e9, 1, 1), at(0, epoch+660e9, 1, 1)})
	stop(s)
	got, _ := open(t, u, dir, 1<<20).Bars(0, MinuteSeconds, 0, 0, 0)
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("%v, want %v first", got, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v; want one file of each period", entries, err)
	}
	for _, e := range entries {
		if in, err := e.Info(); err != nil || in.Mode().Perm() != privateFile {
			t.Errorf("%s: %v, %v", e.Name(), in.Mode(), err)
		}
	}
	if in, err := os.Stat(dir); err != nil || in.Mode().Perm() != privateDir {
		t.Errorf("%s: %v, %v", dir, in.Mode(), err)
	}
}

// TestDamaged: a file that is cut off, or has a wrong byte, is read up to there, said in the log, and gone
// on with.
func TestDamaged(t *testing.T) {
	u, dir, want := written(t)
	path := filepath.Join(dir, fileName(minutes, 1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 7 {
		flipped := slices.Clone(whole)
		flipped[n] ^= 0x10
		for name, damaged := range map[string][]byte{"cut off": whole[:n], "flipped": flipped} {
			if err := os.WriteFile(path, damaged, privateFile); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s, err := New(Config{Universe: u, Hours: evening{}, Dir: dir, Log: zerolog.New(&log)})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := s.Bars(0, MinuteSeconds, 0, 0, 0)
			if len(got) >= len(want) && name == "flipped" || !slices.Equal(got, want[:len(got)]) {
				t.Errorf("byte %d %s: %v, want the beginning of %v", n, name, got, want)
			}
			if name == "flipped" && !strings.Contains(log.String(), "damaged") {
				t.Errorf("byte %d %s: the log says %s", n, name, &log)
			}
			s.Observe(nil, nil, []market.Update{at(0, epoch+600e9, 1, 1)})
			stop(s)
			log.Reset()
			s, err = New(Config{Universe: u, Hours: evening{}, Dir: dir, Log: zerolog.New(&log)})
			if err != nil || log.Len() > 0 {
				t.Errorf("byte %d %s: after a restart %v, the log says %s", n, name, err, &log)
			}
			again, _ := s.Bars(0, MinuteSeconds, 0, 0, 0)
			if len(again) != len(got)+1 || !slices.Equal(again[:len(got)], got) {
				t.Errorf("byte %d %s: after a restart %v, want one more than %v", n, name, again, got)
			}
			for _, e := range others(t, dir) {
				_ = os.Remove(filepath.Join(dir, e)) // the next case begins with the first file alone
			}
		}
	}
}

// others returns the files of minutes but the first.
func others(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != fileName(minutes, 1) {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestAnotherUniverse: bars go by market and code. What is not traded any more is left out, and comes back.
func TestAnotherUniverse(t *testing.T) {
	u, dir, _ := written(t)
	one := *u.At(1)
	smaller, err := market.NewUniverse([]market.Instrument{one})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, smaller, dir, 0)
	if got, _ := s.Bars(0, MinuteSeconds, 0, 0, 0); len(got) != 3 || got[0].Close != 7 {
		t.Errorf("of %s: %v", &one, got)
	}
	s.Observe(nil, nil, []market.Update{at(0, epoch+600e9, 1, 1)})
	stop(s)
	s = open(t, u, dir, 1<<20)
	first, _ := s.Bars(0, MinuteSeconds, 0, 0, 0)
	second, _ := s.Bars(1, MinuteSeconds, 0, 0, 0)
	if len(first) != 5 || len(second) != 4 {
		t.Errorf("%d and %d bars, want 5 and 4", len(first), len(second))
	}
}

// TestFilesBound: the oldest files go, those of minutes first.
func TestFilesBound(t *testing.T) {
	u, dir := universe(t, 4), t.TempDir()
	s := open(t, u, dir, leastBytes(4))
	for n := range int64(100_000) {
		id := market.ID(n % 4) //nolint:gosec // small
		s.Observe(nil, nil, []market.Update{at(id, epoch+n*30e9, 1+n*7919%9973, n%997)})
		if n%1000 == 0 {
			s.writeFinished()
		}
	}
	stop(s)
	var all int64
	for _, name := range others(t, dir) {
		in, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all += in.Size()
	}
	if all > leastBytes(4) || all < leastBytes(4)/2 {
		t.Errorf("the files have %d bytes, of %d", all, leastBytes(4))
	}
	s = open(t, u, dir, leastBytes(4))
	if got := everything(s, 0, DaySeconds); len(got) < 34 {
		t.Errorf("%d days are kept", len(got))
	}
}

// TestDiskRefuses: bars that cannot be written are kept, and written later.
func TestDiskRefuses(t *testing.T) {
	u, dir := universe(t, 1), filepath.Join(t.TempDir(), Dir)
	var log bytes.Buffer
	s, err := New(Config{Universe: u, Hours: evening{}, Dir: dir, Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	for n := range int64(2000) {
		s.Observe(nil, nil, []market.Update{at(0, epoch+n*60e9, 1+n, 1)})
		if n%100 == 0 {
			s.writeFinished()
		}
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("it is said %d times: %s", n, &log)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	stop(s)
	got := everything(open(t, u, dir, 1<<20), 0, MinuteSeconds)
	if !slices.Equal(got, everything(s, 0, MinuteSeconds)) {
		t.Errorf("%d bars after a restart", len(got))
	}
}

// TestNoDirectory: a directory that cannot be made is no error.
func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, privateFile); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := New(Config{Universe: universe(t, 1), Dir: path, Log: zerolog.New(&log)})
	if err != nil || !strings.Contains(log.String(), "cannot be kept over a restart") {
		t.Fatalf("%v; %s", err, &log)
	}
	s.Observe(nil, nil, []market.Update{at(0, epoch, 5, 5)})
	stop(s)
}

// FuzzFile: whatever is in a file, what comes of it is possible, and what is whole can be read again.
func FuzzFile(f *testing.F) {
	row1 := newRow(28_333_333, &market.Update{Last: 10_0000, Size: 100})
	entries := append([]byte{0, finished, 1}, appendRow(nil, new(row), &row1)...)
	entries = append(entries, append([]byte{1, underWay, 8, 1}, appendRow(nil, new(row), &row1)...)...)
	whole := appendBlock(appendBlock([]byte(magic), []byte("\x05SH.AA\x05SH.AB")), entries)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	known := map[string]int{"SH.AA": 0, "SH.AB": 1}
	u := universe(f, 2)
	f.Fuzz(func(t *testing.T, text []byte) {
		s := open(t, u, "", leastBytes(2))
		var seen []entry
		_, good, _ := readFile(bytes.NewReader(text), known, func(e *entry) {
			if !e.row.valid() || e.id < 0 || e.id > 1 {
				t.Fatalf("%+v", e)
			}
			seen = append(seen, *e)
			s.restore(e, minutes)
		})
		for id := range market.ID(2) {
			s.settle(id, 0)
			s.Bars(id, MinuteSeconds, math.MinInt64, 0, 0)
		}
		if good == 0 {
			return
		}
		var again []entry
		_, _, err := readFile(bytes.NewReader(text[:good]), known, func(e *entry) { again = append(again, *e) })
		if err != nil || len(again) > len(seen) || !slices.Equal(again, seen[:len(again)]) {
			t.Fatalf("the whole part: %v; %v, was %v", err, again, seen)
		}
	})
}
