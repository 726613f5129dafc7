package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpeningRecord checks that a record can be written again, and that garbage is not accepted as
// one.
func TestOpeningRecord(t *testing.T) {
	dir := t.TempDir()
	if _, found, err := readOpening(dir); found || err != nil {
		t.Errorf("of no record: %v, %v", found, err)
	}
	for _, want := range []openingRecord{{Accounts: 3, Seed: 7}, {Accounts: accountsMax, Seed: 1<<64 - 1}} {
		if err := want.write(dir); err != nil {
			t.Fatal(err)
		}
		if got, found, err := readOpening(dir); got != want || !found || err != nil {
			t.Errorf("read %+v, %v, %v; want %+v", got, found, err, want)
		}
	}
	for _, text := range []string{
		"", "{", `{"accounts":0,"seed":1}`, `{"accounts":1000001}`, `{"accounts":"3"}`, `{"accounts":3,"accounts":4}`,
		`{"Accounts":3,"seed":1}`, `{"accounts":3e0}`,
		`{"accounts":3,"seed":1}{"accounts":4}`,
	} {
		write(t, filepath.Join(dir, openingFile), text)
		if _, found, err := readOpening(dir); found || err == nil {
			t.Errorf("%q: %v, %v", text, found, err)
		}
	}
}

// TestModes checks that the files beside the ledger are accessible to their owner only, whatever
// the umask.
func TestModes(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	dir := t.TempDir()
	if err := (&openingRecord{Accounts: 1, Seed: 1}).write(dir); err != nil {
		t.Fatal(err)
	}
	in, err := os.Stat(filepath.Join(dir, openingFile))
	if err != nil || in.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", in.Mode(), err)
	}
}
