package fnv1a

import (
	"encoding/binary"
	"hash/fnv"
	"testing"
)

// TestHash compares the hash with that of the standard library.
func TestHash(t *testing.T) {
	for _, text := range []string{"", "a", "foobar", "\x00\xff", "600519"} {
		for _, number := range []uint64{0, 1, 0x0123456789abcdef, 1<<64 - 1} {
			want := fnv.New64a()
			want.Write(append([]byte(text), 0))
			want.Write(binary.BigEndian.AppendUint64(nil, number))
			want.Write([]byte{7})
			if got := New.Text(text).Number(number).Byte(7); uint64(got) != want.Sum64() {
				t.Errorf("%q, %#x: %#x, want %#x", text, number, uint64(got), want.Sum64())
			}
			if New.Text(text) != New.TextBytes([]byte(text)) {
				t.Errorf("%q has another hash as bytes", text)
			}
		}
	}
}

// TestHashes: adjacent fields do not run into one another.
func TestHashes(t *testing.T) {
	pair := func(a, b string) Hash { return New.Text(a).Text(b) }
	if pair("SH", "600001") == pair("SH6", "00001") ||
		pair("", "ab") == pair("ab", "") || pair("a", "") == pair("", "a") {
		t.Error("two texts hash as one")
	}
	// The FNV-1a hash of the bytes 61 00. It is on disk and must not change.
	if got := New.Text("a"); got != 0x089be207b544f1e4 {
		t.Errorf("FNV-1a is %#x", got)
	}
	if got := New.Number('a' << 56); got != New.Text("a").Text("").Text("").Text("").Text("").Text("").Text("") {
		t.Errorf("a number is not hashed as its bytes, the largest first: %#x", got)
	}
}
