package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// Verify reads everything in the journal in dir, which no server may have open, and changes
// nothing. It returns the first thing that is wrong: a checksum, a link of the chain, a hole in
// a sequence, an event that does not follow from those before it, a checkpoint that does not
// follow from its events, or an order id. It reads account by account, and the history of an
// account once more for each of its busts.
func Verify(ctx context.Context, dir string, o Options) (sum Summary, err error) {
	a, err := openArchive(ctx, dir, o)
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, a.unlock()) }()
	if err := a.checkFiles(); err != nil {
		return a.sum, err
	}
	if err := a.checkKeys(); err != nil {
		return a.sum, err
	}
	err = a.everyAccount(ctx, func(stored *engine.AccountState) error { return a.verify(ctx, stored, a.universe) })
	return a.sum, err
}

// verify folds the history of one account and compares its checkpoint with the result.
func (a *archive) verify(ctx context.Context, stored *engine.AccountState, u *market.Universe) error {
	account := stored.Account
	f := newFold(u, &a.head.idKey, account, func(upTo uint64, f func(*positions.Event) error) error {
		return a.eachEvent(account, stored.Seq, upTo, f)
	})
	err := a.eachEvent(account, stored.Seq, math.MaxUint64, func(ev *positions.Event) error {
		if ev.Seq%checkContextEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		a.sum.Events++
		if err := f.add(ev); err != nil {
			return a.contradiction(err)
		}
		if ev.Seq == stored.Seq {
			return a.contradiction(f.checkCheckpoint(stored))
		}
		return nil
	})
	if err == nil && f.seq == 0 {
		err = a.damage(fmt.Sprintf("account %d", account), errors.New("there is something of it, and no event"))
	}
	return err
}

// checkFiles has Pebble read all of its tables completely, including data that nothing else
// reads.
func (a *archive) checkFiles() (err error) {
	defer a.contain("the database", &err)
	if err := a.db.CheckLevels(nil); err != nil {
		return a.damage("the database", err)
	}
	return nil
}

// checkContextEvery is the number of events of an account between two looks at the context.
const checkContextEvery = 1 << 14

// contradiction is an error in the content of a journal whose checksums are right.
func (a *archive) contradiction(err error) error {
	var already *DamageError
	if err == nil || errors.As(err, &already) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the journal in %s: %w", a.dir, err)
}

const keyKinds = string(keyAccount) + string(keyRun) + string(keyOrderID) + string(keyBlock) + string(keyMeta) +
	string(keyListing)

// checkKeys looks for keys of an unknown kind.
func (a *archive) checkKeys() (err error) {
	defer a.contain("the keys", &err)
	it, err := a.db.NewIter(nil)
	if err != nil {
		return a.damage("the database", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for valid := it.First(); valid; {
		if key := it.Key(); len(key) == 0 || !strings.Contains(keyKinds, string(key[:1])) {
			return a.damage(nameKey(key), errors.New("nothing is kept under such a key"))
		}
		valid = it.SeekGE([]byte{it.Key()[0] + 1})
	}
	if err := it.Error(); err != nil {
		return a.damage("the keys", err)
	}
	return nil
}
