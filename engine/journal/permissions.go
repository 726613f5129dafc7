package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// keepsNoModes lets pass that a mode could not be set: a file system may keep none. What others can do there, a start
// says.
func keepsNoModes(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// tighten takes from others what they may do with a directory and its files that are mine. What it cannot take is the
// error. A directory that others have directories in may be for them to go through, and is left as it is.
func tighten(dir string, mine func(name string) bool) (tightened bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	alone := true
	for _, e := range entries {
		switch {
		case e.Type().IsRegular():
			if mine(e.Name()) && err == nil { // what is wrong with one is wrong with all
				err = narrow(filepath.Join(dir, e.Name()), privateFile, &tightened)
			}
		case e.Name() != lostFound:
			alone = false
		}
	}
	if !alone {
		return tightened, errors.Join(err, mustBePrivate(dir))
	}
	return tightened, errors.Join(err, narrow(dir, privateDir, &tightened))
}

// narrow takes from the mode of a file all that is not in most.
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

// tighten takes from others what they may do here, and says so if there was something to read. Where that cannot be
// done it is said, and the server starts.
func (j *Journal) tighten(toRead bool) {
	if _, ok := j.disk.(privateDisk); !ok {
		return
	}
	mine := func(name string) bool { return isOurs(name) || slices.Contains(j.o.Beside, name) }
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
