package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleTapes are the tapes in docs/tapes, and the flags that make them.
var sampleTapes = map[string]string{
	"cn-bars.csv.gz":   "--universe cn --kind bars --date 2026-03-02 --seed 1",
	"us-trades.csv.gz": "--universe us --kind trades --date 2026-03-02 --seed 1",
}

// TestSampleTapes checks that the tapes in docs are those that are made today, and that every
// line of them is good. Compressors may change, so what is compared is what they compressed.
func TestSampleTapes(t *testing.T) {
	found, err := filepath.Glob("../../docs/tapes/*.csv.gz")
	if err != nil || len(found) != len(sampleTapes) {
		t.Errorf("docs/tapes has %v, %v", found, err)
	}
	for name, flags := range sampleTapes {
		path := filepath.Join("../../docs/tapes", name)
		var made, said bytes.Buffer
		args := append([]string{"tape", "generate"}, strings.Fields(flags)...)
		if code := Main(args, &made, &said); code != 0 {
			t.Fatalf("%v: exit %d, %s", args, code, &said)
		}
		if !bytes.Equal(unzipped(t, path), made.Bytes()) {
			t.Errorf("%s is no longer what papertape %s makes", name, strings.Join(args, " "))
		}
		universe := strings.Fields(flags)[1]
		if code := Main([]string{"tape", "check", path, "--universe", universe}, io.Discard, &said); code != 0 {
			t.Errorf("%s: exit %d, %s", name, code, &said)
		}
	}
}

func unzipped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
