package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func someState(account uint64) *State {
	return &State{
		Account: account, Epoch: 1 << 63, Seq: 42, Cash: Cash{Balance: -5, FeesPaid: 6, Realised: 7},
		TotalMarketValue: 8,
		Positions: []Position{
			{Market: "SH", Code: "600519", Name: "贵州茅台", Quantity: 100, Sellable: 50, Price: 1, MarketValue: 2,
				Cost: 3, Realised: -4, RowVersion: 41},
			{Market: "SZ", Code: "000001", Name: "平安银行", Quantity: 1},
		},
	}
}

func encoded(t testing.TB, c *cursor) []byte {
	t.Helper()
	b, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameState(a, b *State) bool {
	return a.Epoch == b.Epoch && reflect.DeepEqual(a.holdings(), b.holdings())
}

// A file written by an earlier version of this package can be read, and today's version would
// write the same bytes.
func TestCursorFileOfVersion1(t *testing.T) {
	written, err := os.ReadFile("testdata/cursor-v1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCursor(written)
	if err != nil {
		t.Fatal(err)
	}
	if !sameState(c.state, someState(7)) || string(c.note) != "42 trades" {
		t.Errorf("the file was read as %+v, %q", c.state, c.note)
	}
	if again := encoded(t, c); !bytes.Equal(again, written) {
		t.Errorf("written again it is\n%x\nit was\n%x", again, written)
	}
}

func TestCursorIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	if c, err := loadCursor(path, 7); c != nil || err != nil {
		t.Errorf("where there is no file: %v, %v", c, err)
	}
	for _, note := range [][]byte{nil, []byte("mine"), bytes.Repeat([]byte{0}, NoteBytesMax)} {
		saved := &cursor{state: someState(7), note: note}
		if err := saved.save(path); err != nil {
			t.Fatal(err)
		}
		c, err := loadCursor(path, 7)
		if err != nil || !sameState(c.state, saved.state) || !bytes.Equal(c.note, note) {
			t.Errorf("with a note of %d bytes: %+v, %v", len(note), c, err)
		}
	}
	if err := (&cursor{state: someState(7), note: make([]byte, NoteBytesMax+1)}).save(path); err == nil {
		t.Error("a note that is too large was saved")
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(files) != 1 {
		t.Errorf("left in the directory: %v", files)
	}
}

// What a kill leaves of the new file beside the cursor does not matter: it is overwritten.
func TestCursorIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	first := &cursor{state: someState(7), note: []byte("first")}
	if err := first.save(path); err != nil {
		t.Fatal(err)
	}
	second := encoded(t, &cursor{state: someState(7), note: []byte("second")})
	for n := range len(second) {
		if err := os.WriteFile(path+cursorSuffix, second[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := loadCursor(path, 7); err != nil || string(c.note) != "first" {
			t.Fatalf("with %d bytes of the next file: %+v, %v", n, c, err)
		}
	}
	before, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close() //nolint:errcheck // only read
	if err := (&cursor{state: someState(7), note: []byte("third")}).save(path); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(before); err != nil || !bytes.Equal(b, encoded(t, first)) {
		t.Errorf("the file was overwritten, and not replaced: %q, %v", b, err)
	}
	if c, err := loadCursor(path, 7); err != nil || string(c.note) != "third" {
		t.Errorf("%+v, %v", c, err)
	}
}

// A flipped bit, or a byte too few or too many, gives an error that names the file, and no
// state.
func TestDamagedCursor(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	good := encoded(t, &cursor{state: someState(7), note: []byte("note")})
	path := filepath.Join(t.TempDir(), "cursor")
	refused := func(what string, b []byte, account uint64, says string) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadCursor(path, account)
		var bad *CursorError
		if c != nil || !errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %+v, %v: expected an error that says %q", what, c, err, says)
		}
	}
	for bit := range 8 * len(good) {
		b := bytes.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		refused("a bit changed", b, 7, "it is ")
	}
	for n := range len(good) {
		refused("too short", good[:n], 7, "it is ")
	}
	refused("too long", append(bytes.Clone(good), 0), 7, "checksum")
	refused("another account", good, 8, "it is of account 7: expected account 8")
	refused("something else", bytes.Repeat([]byte("text\n"), 100), 7, "not a cursor file")

	// The checksum is correct but the content makes no sense.
	resum := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return binary.BigEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], castagnoli))
	}
	refused("later version", resum(func(b []byte) { b[9] = 2 }), 7, "version 2")
	refused("state too long", resum(func(b []byte) { b[18] = 0xff }), 7, "lengths")
	refused("note too long", resum(func(b []byte) { b[len(b)-4-len("note")-1]++ }), 7, "lengths")
	refused("note too short", resum(func(b []byte) { b[len(b)-4-len("note")-1]-- }), 7, "lengths")
	refused("state does not parse", resum(func(b []byte) { b[22] = 0xff }), 7, "does not parse")
	refused("hash does not fit", resum(func(b []byte) { b[23]++ }), 7, "hash") // of another account
}

func FuzzParseCursor(f *testing.F) {
	f.Add(encoded(f, &cursor{state: someState(7), note: []byte("note")}), true)
	f.Add(encoded(f, &cursor{state: &State{Account: 1}}), true)
	f.Add([]byte(cursorMagic), false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum && len(b) >= 4 { // else nearly everything would be refused
			b = binary.BigEndian.AppendUint32(bytes.Clone(b[:len(b)-4]), crc32.Checksum(b[:len(b)-4], castagnoli))
		}
		c, err := parseCursor(b)
		if err != nil {
			return
		}
		again, err := c.encode()
		if err != nil {
			t.Skip("larger than a cursor of ours")
		}
		same, err := parseCursor(again)
		if err != nil || !sameState(c.state, same.state) || !bytes.Equal(c.note, same.note) {
			t.Errorf("%+v was written, and %+v read, %v", c, same, err)
		}
	})
}

// TestNoCursorFile: a path that is not a regular file is refused at once, and neither waited
// for nor read without end.
func TestNoCursorFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", t.TempDir()} {
		if c, err := loadCursor(path, 7); c != nil || err == nil ||
			!strings.Contains(err.Error(), path+" is not a file; name one that a client has written") {
			t.Errorf("%s: %v, %v", path, c, err)
		}
	}
}
