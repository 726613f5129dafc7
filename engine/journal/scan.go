package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
)

// eachAccount calls f for the checkpoint of each account, in ascending order. The state is
// reused for the next account.
func (s *store) eachAccount(f func(*engine.AccountState) error) (err error) {
	defer s.contain("the accounts", &err)
	accounts, err := s.iterate(keyAccount)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, accounts.Close()) }()
	ids, err := s.iterate(keyOrderID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ids.Close()) }()
	ids.First()
	var st engine.AccountState
	for accounts.First(); accounts.Valid(); accounts.Next() {
		if err := s.decodeAccount(accounts.Key(), accounts.Value(), &st); err != nil {
			return err
		}
		if err := s.readOrderIDs(ids, &st); err != nil {
			return err
		}
		if err := f(&st); err != nil {
			return s.damageUnlessCanceled(fmt.Sprintf("account %d", st.Account), err)
		}
	}
	if err := accounts.Error(); err != nil {
		return s.damage("the accounts", err)
	}
	if ids.Valid() {
		return s.damage(nameKey(ids.Key()), errNoAccount)
	}
	return nil
}

func (s *store) decodeAccount(key, value []byte, st *engine.AccountState) error {
	d, err := s.decode(key, value)
	if err == nil && len(key) != blockKeyBytes {
		err = errors.New("it is no account")
	}
	if err == nil {
		st.Account = numberOf(key, 0)
		d.account(st)
		err = d.End()
	}
	if err != nil {
		return s.damage(nameKey(key), err)
	}
	return nil
}

var errNoAccount = errors.New("there is no such account")

// orderIDsMax is the most order ids that an account remembers.
const orderIDsMax = 4096

// readOrderIDs reads the order ids of st.Account from the iterator, which is at the first of
// them, or past it if there are none.
func (s *store) readOrderIDs(it *pebble.Iterator, st *engine.AccountState) error {
	st.IDs = st.IDs[:0]
	for ; it.Valid(); it.Next() {
		key := it.Key()
		if numberOf(key, 0) > st.Account {
			return nil
		}
		d, err := s.decode(key, it.Value())
		r := engine.OrderIDRecord{Seq: numberOf(key, 1)}
		if err == nil {
			d.orderID(&r)
			err = d.End()
		}
		switch {
		case err != nil:
		case numberOf(key, 0) < st.Account || st.Seq == 0:
			err = errNoAccount
		case r.Seq > st.Seq:
			err = fmt.Errorf("the account is at event %d", st.Seq)
		case len(st.IDs) == orderIDsMax:
			err = fmt.Errorf("the account has more than %d of them", orderIDsMax)
		}
		if err != nil {
			return s.damage(nameKey(key), err)
		}
		st.IDs = append(st.IDs, r)
	}
	if err := it.Error(); err != nil {
		return s.damage("the order ids", err)
	}
	return nil
}

// eachBlock calls f for each block after the given one, in order, with a decoder positioned at
// its events. It returns the last block that it reached.
func (s *store) eachBlock(after blockID, f func(number uint64, events *decoder, count int) error) (
	reached blockID, err error,
) {
	defer s.contain("the commits", &err)
	it, err := s.iterateRange(blockKey(after.number+1), []byte{keyBlock + 1})
	if err != nil {
		return after, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	reached = after
	for it.First(); it.Valid(); it.Next() {
		number, value := numberOf(it.Key(), 0), it.Value()
		if number != reached.number+1 {
			return reached, s.damage(fmt.Sprintf("commit %d", reached.number+1),
				fmt.Errorf("it is missing; the next one is %d", number))
		}
		d, err := s.decode(it.Key(), value)
		if err != nil {
			return reached, s.damage(nameKey(it.Key()), err)
		}
		head := d.block()
		if d.Err == nil && head.before != reached.hash {
			d.Err = fmt.Errorf("it follows another commit %d than the one there is", reached.number)
		}
		if d.Err != nil {
			return reached, s.damage(nameKey(it.Key()), d.Err)
		}
		if err := f(number, &d, int(head.count)); err != nil {
			return reached, s.damageUnlessCanceled(nameKey(it.Key()), err)
		}
		reached = blockID{number, blockHash(number, value)}
	}
	if err := it.Error(); err != nil {
		return reached, s.damage(fmt.Sprintf("commit %d", reached.number+1), err)
	}
	return reached, nil
}
