package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// lostFound is what a new file system comes with.
	lostFound = "lost+found"
	// firstManifest is what a first start that was cut off may have left beside its lock.
	firstManifest = "MANIFEST-000001"
	// manifestMarker is what the file begins with whose name says which manifest counts: with it there is a database.
	manifestMarker = markerPrefix + "manifest."
)

// isOurs says whether a file in the directory of a journal is the journal's own, by its name.
func isOurs(name string) bool {
	name = strings.TrimSuffix(name, temporarySuffix)
	switch name {
	case cleanFile, backupFile, unfinishedFile, lockFile:
		return true
	}
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "temporary.", markerPrefix} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	number, kind, _ := strings.Cut(name, ".")
	return number != "" && strings.Trim(number, "0123456789") == "" &&
		slices.Contains([]string{"log", "sst", "blob"}, kind)
}

// hasDatabase says whether a directory with these files in it has a database, ours or another program's.
func hasDatabase(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, manifestMarker) })
}

// look is what the files in dir are called. A backup that has not come to its end is refused, whoever asks.
func look(disk vfs.FS, dir string) ([]string, error) {
	in, err := disk.Stat(dir) // a pipe would not even open
	var names []string
	if err == nil && in.IsDir() {
		names, err = disk.List(dir)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no journal in %s: %w", dir, err)
	case err != nil:
		return nil, fmt.Errorf("the journal in %s cannot be read: %w", dir, err)
	case !in.IsDir():
		return nil, fmt.Errorf("there is no journal in %s: %w", dir, syscall.ENOTDIR)
	case isUnfinished(disk.PathBase(dir), names):
		return nil, fmt.Errorf("%s is a backup that was not finished, so a part of the ledger is missing: "+
			"remove it, and make another", dir)
	}
	return names, nil
}

// mayOpen says why no journal can be opened in dir, or begun, going by what is in it: nothing has been written there
// yet.
func mayOpen(disk vfs.FS, dir string) error {
	names, err := look(disk, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || hasDatabase(names) {
		return err
	}
	others := slices.DeleteFunc(names, func(name string) bool {
		return name == lostFound || name == lockFile || name == firstManifest
	})
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	return fmt.Errorf("%s has other files (%s) and no ledger: "+
		"a ledger is begun in an empty directory, or in one that is not there yet", dir, someOf(others))
}

// mayRead says why dir cannot be read as a journal.
func mayRead(disk vfs.FS, dir string) error {
	names, err := look(disk, dir)
	if err == nil && !hasDatabase(names) {
		err = fmt.Errorf("there is no journal in %s", dir)
	}
	return err
}

// isUnfinished says whether a directory is a backup that has not come to its end. Those of versions that did not mark
// them have only their name, and neither the mark of a whole one nor the lock of a server.
func isUnfinished(base string, names []string) bool {
	has := func(name string) bool { return slices.Contains(names, name) }
	return has(unfinishedFile) || has(unfinishedFile+temporarySuffix) ||
		strings.HasSuffix(base, unfinishedSuffix) && hasDatabase(names) && !has(backupFile) && !has(lockFile)
}

// someOf names the first few.
func someOf(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
