package journal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Summary is what Verify and Export have found.
type Summary struct {
	Accounts uint64
	Events   uint64
	Commits  uint64 // number of the newest commit
	Format   uint64
	Epoch    uint64
	Mode     Mode // of the last run
	Clean    bool // whether the last run ended cleanly
	Backup   bool // whether it is a backup from which no server has started yet
	Torn     bool // whether the end of the log is torn; the next start will truncate it
}

// archive reads a journal that no server has open, and changes nothing. It keeps the records of the
// events of all blocks in memory, as the engine does, and everything else one account at a time.
type archive struct {
	store
	head head
	sum  Summary
	tail []tailEvent // sorted by account and sequence
}

// tailEvent is an event that was read from a block.
type tailEvent struct {
	account, seq uint64
	commit       uint64
	rec          []byte
}

func openArchive(ctx context.Context, dir string, o Options) (*archive, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	disk := readOnlyFS{o.FS}
	lock, err := shareDir(disk, dir)
	if err != nil {
		return nil, err
	}
	a := &archive{store: store{disk: disk, dir: dir, lock: lock, universe: o.Universe, reads: true}}
	if err := a.open(ctx, &o); err != nil {
		return nil, errors.Join(err, a.unlock())
	}
	return a, nil
}

func (a *archive) open(ctx context.Context, o *Options) error {
	found, err := a.inspect()
	if err != nil {
		return err
	}
	if a.db, err = openPebble(a.disk, a.dir, a.lock, true, o, quietEvents()); err != nil {
		return err
	}
	if a.head, err = a.readHead(found); err != nil {
		return err
	}
	a.sum = Summary{
		Commits: a.head.last.number, Format: a.head.record.format, Epoch: a.head.record.epoch, Mode: a.head.record.mode,
		Clean: found.clean != nil, Backup: found.backup, Torn: len(found.torn) > 0,
	}
	return a.readTail(ctx)
}

// readTail verifies the chain of blocks and collects their events.
func (a *archive) readTail(ctx context.Context) error {
	var all []byte
	reached, err := a.eachBlock(a.head.mark.blockID, func(number uint64, events *decoder, count int) error {
		all = all[:0]
		for range count {
			all = events.appendRecord(all)
		}
		if err := events.End(); err != nil {
			return err
		}
		for records := bytes.Clone(all); len(records) > 0; {
			rec := records[:record.Size(records)]
			records = records[len(rec):]
			account, seq, err := record.Head(rec)
			if err != nil {
				return err
			}
			a.tail = append(a.tail, tailEvent{account, seq, number, rec})
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if reached != a.head.last {
		return a.damage(fmt.Sprintf("commit %d", reached.number),
			fmt.Errorf("there should be %d commits", a.head.last.number))
	}
	slices.SortStableFunc(a.tail, func(x, y tailEvent) int { return cmp.Compare(x.account, y.account) })
	return nil
}

// tailOf returns an account's events that are in blocks, in the order in which they were
// committed.
func (a *archive) tailOf(account uint64) []tailEvent {
	byAccount := func(e tailEvent, account uint64) int { return cmp.Compare(e.account, account) }
	from, _ := slices.BinarySearchFunc(a.tail, account, byAccount)
	to, _ := slices.BinarySearchFunc(a.tail[from:], account+1, byAccount)
	return a.tail[from : from+to]
}

// everyAccount calls f for each account of which anything is stored, in ascending order. stored
// is the account's last checkpoint; its Seq is 0 if there is none.
func (a *archive) everyAccount(ctx context.Context, f func(stored *engine.AccountState) error) (err error) {
	defer a.contain("the accounts", &err)
	it, err := a.db.NewIter(nil)
	if err != nil {
		return a.damage("the database", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	ids, err := a.iterate(keyOrderID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ids.Close()) }()
	ids.First()
	var st engine.AccountState
	for account, ok := a.nextAccount(it, 0); ok; account, ok = a.nextAccount(it, account+1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		st = engine.AccountState{Account: account, Rows: st.Rows[:0], IDs: st.IDs[:0]}
		if it.SeekGE(accountKey(account)) && bytes.Equal(it.Key(), accountKey(account)) {
			if err := a.decodeAccount(it.Key(), it.Value(), &st); err != nil {
				return err
			}
		}
		if err := errors.Join(it.Error(), a.readOrderIDs(ids, &st)); err != nil {
			return a.damage(fmt.Sprintf("account %d", account), err)
		}
		if err := f(&st); err != nil {
			return err
		}
		a.sum.Accounts++
		if account == math.MaxUint64 {
			break
		}
	}
	if err := it.Error(); err != nil {
		return a.damage("the accounts", err)
	}
	return nil
}

// nextAccount returns the lowest account number, from on, of which anything is stored.
func (a *archive) nextAccount(it *pebble.Iterator, from uint64) (account uint64, ok bool) {
	for _, what := range []byte{keyAccount, keyRun, keyOrderID} {
		if it.SeekGE(numberKey(what, from)) && it.Key()[0] == what && (!ok || numberOf(it.Key(), 0) < account) {
			account, ok = numberOf(it.Key(), 0), true
		}
	}
	byAccount := func(e tailEvent, account uint64) int { return cmp.Compare(e.account, account) }
	i, _ := slices.BinarySearchFunc(a.tail, from, byAccount)
	if i < len(a.tail) && (!ok || a.tail[i].account < account) {
		account, ok = a.tail[i].account, true
	}
	return account, ok
}

// eachEvent calls f for the events of an account up to a sequence: first those that checkpoints
// have stored as history, then those that are only in blocks. An event that is in both must be
// the same in both.
func (a *archive) eachEvent(account, stored, upTo uint64, f func(ev *positions.Event) error) error {
	tail := a.tailOf(account)
	var rec []byte
	seq, err := a.eachStoredEvent(account, upTo, func(ev *positions.Event) error {
		if len(tail) > 0 && tail[0].seq == ev.Seq {
			if rec = a.table.Append(rec[:0], ev); !bytes.Equal(rec, tail[0].rec) {
				return a.damage(fmt.Sprintf("event %d of account %d", ev.Seq, account),
					fmt.Errorf("the history has another than commit %d", tail[0].commit))
			}
			tail = tail[1:]
		}
		return f(ev)
	})
	if err == nil && (seq < min(stored, upTo) || seq > stored) {
		err = a.damage(fmt.Sprintf("the history of account %d", account),
			fmt.Errorf("it ends with event %d, and the account's checkpoint is of event %d", seq, stored))
	}
	if err != nil {
		return err
	}
	var ev positions.Event
	for ; len(tail) > 0 && seq < upTo; tail = tail[1:] {
		if seq++; tail[0].seq != seq {
			return a.damage(fmt.Sprintf("commit %d", tail[0].commit),
				fmt.Errorf("event %d of account %d is where event %d should be", tail[0].seq, account, seq))
		}
		if err := a.table.Decode(tail[0].rec, &ev); err != nil {
			return a.damage(fmt.Sprintf("commit %d", tail[0].commit), err)
		}
		if err := f(&ev); err != nil {
			return err
		}
	}
	return nil
}

// eachStoredEvent calls f for the events of an account's stored history up to a sequence, and
// returns the sequence of the last one.
func (a *archive) eachStoredEvent(account, upTo uint64, f func(ev *positions.Event) error) (seq uint64, err error) {
	r, err := a.history(account, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.it.Close()) }()
	var ev positions.Event
	for seq < upTo && r.next(&ev) {
		seq = ev.Seq
		if err := f(&ev); err != nil {
			return seq, err
		}
	}
	return seq, r.err
}
