package journal

import (
	"errors"
	"fmt"

	"github.com/papertape/papertape/record"
)

// head says where a journal stands.
type head struct {
	record   runRecord
	mark     markRecord
	last     blockID          // the newest block
	listings []record.Listing // the stored instruments, by number
	idKey    record.IDKey     // zero in format 1
}

// readHead reads the records, the table of instruments and the newest block, and compares them with
// what the last run wrote down when it ended. After it, events can be read.
func (s *store) readHead(f *inspection) (h head, err error) {
	defer s.contain("the database", &err)
	has, err := s.get(metaKey(metaRun), func(d *decoder) { d.runRecord(&h.record) })
	if err != nil {
		return h, err
	}
	if !has {
		s.instruments = newInstruments(nil, s.universe)
		return h, s.mustBeEmpty(f)
	}
	if h.record.format > formatNumber {
		return h, fmt.Errorf("the journal in %s is of format %d, "+
			"and this papertape knows the formats up to %d: use a newer papertape",
			s.dir, h.record.format, formatNumber)
	}
	if err := s.readTable(&h); err != nil {
		return h, err
	}
	if s.reads { // whatever the universe: what the ledger has can be read
		if s.universe, err = record.Archive(h.listings, s.universe); err != nil {
			return h, s.damage("the instruments", err)
		}
	}
	s.instruments = newInstruments(h.listings, s.universe)
	if _, err = s.get(metaKey(metaMark), func(d *decoder) { d.markRecord(&h.mark) }); err != nil {
		return h, err
	}
	if h.last, err = s.lastBlock(h.mark.blockID); err != nil {
		return h, err
	}
	if c := f.clean; c != nil && (c.last != h.last || c.markNumber != h.mark.number || c.epoch != h.record.epoch) {
		return h, s.damage(fmt.Sprintf("the end, commit %d", h.last.number), fmt.Errorf(
			"the last run ended cleanly with commit %d (hash %016x) and checkpoint %d, "+
				"and here are commit %d (%016x) and checkpoint %d",
			c.last.number, c.last.hash, c.markNumber, h.last.number, h.last.hash, h.mark.number))
	}
	return h, nil
}

// mustBeEmpty is for a database without the record of a run: the process ended while it was
// being created, so there must be nothing in it.
func (s *store) mustBeEmpty(f *inspection) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return s.damage("the database", err)
	}
	some := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return s.damage("the database", err)
	}
	if some || f.clean != nil || f.backup {
		return s.damage("the record of the last run", errors.New("it is missing, or the database is another program's"))
	}
	return nil
}

// lastBlock returns the newest block, or the mark if there is no block.
func (s *store) lastBlock(mark blockID) (last blockID, err error) {
	it, err := s.iterate(keyBlock)
	if err != nil {
		return last, err
	}
	last = mark
	if it.Last() {
		number, value := numberOf(it.Key(), 0), it.Value()
		if _, _, err := openValue(it.Key(), value); err != nil {
			return last, errors.Join(s.damage(nameKey(it.Key()), err), it.Close())
		}
		last = blockID{number, blockHash(number, value)}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return last, s.damage("the commits", err)
	}
	if last.number < mark.number {
		return last, s.damage(fmt.Sprintf("commit %d", last.number),
			fmt.Errorf("it should be gone since checkpoint %d", mark.number))
	}
	return last, nil
}
