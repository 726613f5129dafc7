package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// keepsNoModes ignores that a mode could not be set, because some file systems keep none. A
// start logs what others can do there.
func keepsNoModes(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// tighten takes away what others may do with a directory and those of its files for which mine
// is true. It returns an error for what it could not take away. If the directory contains directories
// that are not mine, their owners may need to pass through it, so its mode stays.
func tighten(dir string, mine func(name string) bool) (tightened bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	alone := true
	for _, e := range entries {
		switch {
		case e.Type().IsRegular():
			if mine(e.Name()) && err == nil { // if one file fails, all others would too
				err = narrow(filepath.Join(dir, e.Name()), privateFile, &tightened)
			}
		case e.Name() != lostFound && !isFormatOneDir(e.Name()) && !mine(e.Name()):
			alone = false
		}
	}
	if !alone {
		return tightened, errors.Join(err, mustBePrivate(dir))
	}
	return tightened, errors.Join(err, narrow(dir, privateDir, &tightened))
}

// narrow removes from a file's mode all bits that are not in most.
func narrow(path string, most os.FileMode, narrowed *bool) error {
	in, err := os.Stat(path)
	if err != nil || in.Mode().Perm()&^most == 0 {
		return err
	}
	if err := os.Chmod(path, in.Mode()&^(os.ModePerm&^most)); err != nil {
		return err
	}
	*narrowed = true
	return nil
}

var errNotAlone = errors.New("there are other directories in it, so its mode is left as it is: " +
	"best is a directory for the ledger alone")

func mustBePrivate(dir string) error {
	in, err := os.Stat(dir)
	if err == nil && in.Mode().Perm()&^privateDir != 0 {
		err = errNotAlone
	}
	return err
}

// tighten takes away what others may do with the journal's files, and logs it if there was
// something to read. If that fails, it logs a warning and the server starts all the same.
func (j *Journal) tighten(toRead bool) {
	if _, ok := j.disk.(privateFS); !ok {
		return
	}
	mine := func(name string) bool {
		return isOurs(name) || slices.Contains(j.o.Beside, name) || slices.Contains(j.o.BesideDirs, name)
	}
	tightened, err := tighten(j.dir, mine)
	log := j.o.Log.With().Str("dir", j.dir).Logger()
	if err != nil {
		log.Warn().Err(err).
			Msg("others on this machine may read the ledger: its directory should be 0700, and its files 0600")
	}
	if tightened && toRead {
		log.Info().Msg("others on this machine could read the ledger, and cannot any more: " +
			"its directory is 0700 now, and its files 0600")
	}
}
