package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// Recovery is what a journal is recovered into: *engine.Engine. What it is given is its own only until it returns. Accounts are
// loaded one after the other; then events are replayed, those of one shard in order, those of different shards at once.
type Recovery interface {
	Load(*engine.AccountState) error
	ShardOf(account uint64) int
	Replay(*positions.Event) error
}

// Recover gives everything to into, the accounts as of their checkpoints first and then the events since the mark, and makes
// the journal ready for Commit. progress, which may be nil, is called after each account and block; total is an estimate
// until done has reached it. It is called once, before anything but Epoch. Where it fails nothing was written.
func (j *Journal) Recover(ctx context.Context, into Recovery, progress func(done, total uint64)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state != opened {
		return errors.New("the journal was recovered already, or is closed")
	}
	blocks := j.start.number - j.mark.number
	p := recoveryProgress{total: j.mark.accounts + blocks, report: progress}
	err := j.eachAccount(func(st *engine.AccountState) error {
		p.step(blocks)
		if err := ctx.Err(); err != nil {
			return err
		}
		return into.Load(st)
	})
	if err != nil {
		return err
	}
	p.total = p.done + blocks
	r := j.replayInto(into, runtime.GOMAXPROCS(0))
	reached, err := j.eachBlock(j.mark.place, func(number uint64, events *decoder, count int) error {
		p.step(0)
		return errors.Join(r.read(number, events, count), ctx.Err())
	})
	if earlier := r.end(); earlier != nil {
		return earlier
	}
	if err != nil {
		return err
	}
	if reached != j.start {
		return j.damage(fmt.Sprintf("commit %d", reached.number), fmt.Errorf("there should be %d commits", j.start.number))
	}
	if err := j.recoveredWell(); err != nil {
		return err
	}
	if err := j.begin(); err != nil {
		return fmt.Errorf("the journal in %s cannot be written: %w", j.dir, err)
	}
	j.startWork()
	return nil
}

// startWork starts the goroutines that Close ends.
func (j *Journal) startWork() {
	j.newest = j.start
	j.committed.Store(j.start.number)
	j.synced.Store(j.start.number)
	j.state = running
	j.serving.Store(true)
	j.watchOnce(false)
	j.workers.Add(2)
	go j.commitBlocks()
	go j.watch()
	if j.o.Mode == Interval {
		j.workers.Add(1)
		go j.syncBlocks()
	}
}

type recoveryProgress struct {
	done, total uint64
	report      func(done, total uint64)
}

// step counts one more, of which there are at least left to come.
func (p *recoveryProgress) step(left uint64) {
	p.done++
	p.total = max(p.total, p.done+left)
	if p.report != nil {
		p.report(p.done, p.total)
	}
}

// eachAccount gives out the accounts as of their checkpoints, by number. What is given is used again for the next.
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
		if err := s.account(accounts.Key(), accounts.Value(), &st); err != nil {
			return err
		}
		if err := s.orderIDs(ids, &st); err != nil {
			return err
		}
		if err := f(&st); err != nil {
			return s.place(fmt.Sprintf("account %d", st.Account), err)
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

func (s *store) account(key, value []byte, st *engine.AccountState) error {
	body, err := openValue(key, value)
	if err == nil && len(key) != blockKeyBytes {
		err = errors.New("it is no account")
	}
	if err == nil {
		st.Account = numberOf(key, 0)
		d := decoder{l: s.l, b: body}
		d.account(st)
		err = d.end()
	}
	if err != nil {
		return s.damage(nameKey(key), err)
	}
	return nil
}

var errNoAccount = errors.New("there is no such account")

// orderIDsMax is how many order ids of an account there can be.
const orderIDsMax = 4096

// orderIDs reads those of st.Account off it, which is at the first of them or behind.
func (s *store) orderIDs(it *pebble.Iterator, st *engine.AccountState) error {
	st.IDs = st.IDs[:0]
	for ; it.Valid(); it.Next() {
		key := it.Key()
		if numberOf(key, 0) > st.Account {
			return nil
		}
		body, err := openValue(key, it.Value())
		r := engine.OrderIDRecord{Seq: numberOf(key, 1)}
		if err == nil {
			d := decoder{b: body}
			d.orderID(&r)
			err = d.end()
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

// eachBlock gives out the blocks after a place, in order, each with a decoder at its events, and returns the place reached.
func (s *store) eachBlock(after place, f func(number uint64, events *decoder, count int) error) (reached place, err error) {
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
			return reached, s.damage(fmt.Sprintf("commit %d", reached.number+1), fmt.Errorf("it is missing; the next one is %d", number))
		}
		body, err := openValue(it.Key(), value)
		if err != nil {
			return reached, s.damage(nameKey(it.Key()), err)
		}
		d := decoder{l: s.l, b: body}
		head := d.block()
		if d.err == nil && head.before != reached.hash {
			d.err = fmt.Errorf("it follows another commit %d than the one there is", reached.number)
		}
		if d.err != nil {
			return reached, s.damage(nameKey(it.Key()), d.err)
		}
		if err := f(number, &d, int(head.count)); err != nil {
			return reached, s.place(nameKey(it.Key()), err)
		}
		reached = place{number, blockHash(number, value)}
	}
	if err := it.Error(); err != nil {
		return reached, s.damage(fmt.Sprintf("commit %d", reached.number+1), err)
	}
	return reached, nil
}

// place says where something was wrong with what was read. That somebody has given up is not.
func (s *store) place(where string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.damage(where, err)
}
