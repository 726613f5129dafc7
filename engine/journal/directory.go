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
	// lostFound is a directory that new file systems contain.
	lostFound = "lost+found"
	// firstManifest may be left beside the lock by a first start that was interrupted.
	firstManifest = "MANIFEST-000001"
	// manifestMarker begins the name of the file that says which manifest is current. Where it
	// exists there is a database.
	manifestMarker = markerPrefix + "manifest."
)

// isOurs reports whether a file in the journal's directory is the journal's own, going by its name.
// The backup of format 1 is a directory, and no part of the journal.
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

// hasDatabase reports whether a directory with these files has a Pebble database, ours or
// another program's.
func hasDatabase(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, manifestMarker) })
}

// listDir returns the names of the files in dir. It refuses an unfinished backup, for readers
// and servers alike.
func listDir(disk vfs.FS, dir string) ([]string, error) {
	in, err := disk.Stat(dir) // first, because opening a pipe would block
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

// checkMayOpen returns why no journal can be opened or begun in dir, judging by the files in
// it. Nothing has been written there yet.
func checkMayOpen(disk vfs.FS, dir string) error {
	names, err := listDir(disk, dir)
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
		"a ledger is begun in an empty directory, or in one that is not there yet", dir, firstFew(others))
}

// checkMayRead returns why dir cannot be read as a journal.
func checkMayRead(disk vfs.FS, dir string) error {
	names, err := listDir(disk, dir)
	if err == nil && !hasDatabase(names) {
		err = fmt.Errorf("there is no journal in %s", dir)
	}
	return err
}

// isUnfinished reports whether a directory is an unfinished backup. Older versions did not
// write unfinishedFile: their unfinished backups have the name of one, a database, and neither
// the mark of a complete backup nor the lock of a server.
func isUnfinished(base string, names []string) bool {
	has := func(name string) bool { return slices.Contains(names, name) }
	return has(unfinishedFile) || has(unfinishedFile+temporarySuffix) ||
		strings.HasSuffix(base, unfinishedSuffix) && hasDatabase(names) && !has(backupFile) && !has(lockFile)
}

// firstFew lists the first three names, and how many more there are.
func firstFew(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
