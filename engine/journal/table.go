package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/record"
)

// The table of instruments belongs to the ledger. A start adds the instruments of its universe that
// the table lacks, with the next numbers; nothing is ever taken out. What the table says of an
// instrument is what the universe said when it was added: a name that changes in the universe stays
// as it was here.

// readTable reads the instruments and the key of order ids. Format 1 has neither.
func (s *store) readTable(h *head) error {
	var err error
	if h.listings, err = s.readListings(); err != nil {
		return err
	}
	has, err := s.get(metaKey(metaIDKey), func(d *decoder) { d.idKey(&h.idKey) })
	if err != nil {
		return err
	}
	if n := uint64(len(h.listings)); n != h.record.listings {
		return s.damage(nameKey(listingKey(n)),
			fmt.Errorf("the record of the last run has %d instruments, and here are %d", h.record.listings, n))
	}
	if has != (h.record.format > format1) {
		return s.damage(nameKey(metaKey(metaIDKey)),
			fmt.Errorf("is it there: %t, in a journal of format %d", has, h.record.format))
	}
	return nil
}

// readListings reads the instruments, whose numbers must be 0, 1, 2, … without a gap.
func (s *store) readListings() (all []record.Listing, err error) {
	it, err := s.iterate(keyListing)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	type name struct{ market, code string }
	seen := make(map[name]bool)
	for it.First(); it.Valid(); it.Next() {
		var l record.Listing
		d, err := s.decode(it.Key(), it.Value())
		if err == nil {
			d.listing(&l)
			err = d.End()
		}
		switch n := uint64(len(all)); {
		case err != nil:
		case len(it.Key()) != blockKeyBytes || numberOf(it.Key(), 0) != n:
			err = fmt.Errorf("it is where instrument %d should be", n)
		case seen[name{l.Market, l.Code}]:
			err = fmt.Errorf("it is %s.%s, as another one is", l.Market, l.Code)
		}
		if err != nil {
			return nil, s.damage(nameKey(it.Key()), err)
		}
		seen[name{l.Market, l.Code}] = true
		all = append(all, l)
	}
	if err := it.Error(); err != nil {
		return nil, s.damage("the instruments", err)
	}
	return all, nil
}

// storeTable adds to b the instruments that are not stored yet, and the key of order ids if there
// was none.
func (j *Journal) storeTable(b *pebble.Batch) error {
	var err error
	var value []byte
	set := func(key []byte) {
		sealValue(key, value)
		err = errors.Join(err, b.Set(key, value, nil))
	}
	all := j.table.Listings()
	for n := j.record.listings; n < uint64(len(all)); n++ {
		value = appendListing(newValue(value), &all[n])
		set(listingKey(n))
	}
	if j.record.format != formatNumber {
		value = append(newValue(value), j.idKey[:]...)
		set(metaKey(metaIDKey))
	}
	return err
}
