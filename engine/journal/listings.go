package journal

import (
	"errors"

	"github.com/papertape/papertape/record"
)

// Listings returns the instruments of the journal in dir, which no server may have open, by number. It
// changes nothing. Where there is no journal there are none. A server needs them to make its universe,
// before it opens the journal with that.
func Listings(dir string, o Options) (all []record.Listing, err error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	names, err := listDir(o.FS, dir)
	if err != nil || !hasDatabase(names) {
		return nil, err
	}
	disk := readOnlyFS{o.FS}
	lock, err := shareDir(disk, dir)
	if err != nil {
		return nil, err
	}
	s := store{disk: disk, dir: dir, lock: lock, universe: o.Universe}
	defer func() { err = errors.Join(err, s.unlock()) }()
	err = s.withReadOnlyDB(func(as *store) error {
		all, err = as.readListings()
		return err
	})
	return all, err
}
