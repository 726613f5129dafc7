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

// Verify reads all of the journal in dir, which no server may have open, and changes nothing. The first thing in it that cannot
// be is the error: a checksum, a link of the chain, a hole in a sequence, an event that does not follow from those before it,
// a checkpoint that does not follow from its events, an order id. It reads account by account, and the history of an account
// once more for each of its busts.
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
	err = a.each(ctx, func(stored *engine.AccountState) error { return a.verify(ctx, stored, o.Universe) })
	return a.sum, err
}

// verify folds the history of one account, and holds its checkpoint against that.
func (a *archive) verify(ctx context.Context, stored *engine.AccountState, u *market.Universe) error {
	account := stored.Account
	f := newFold(u, account, func(upTo uint64, f func(*positions.Event) error) error {
		return a.story(account, stored.Seq, upTo, f)
	})
	err := a.story(account, stored.Seq, math.MaxUint64, func(ev *positions.Event) error {
		if ev.Seq%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		a.sum.Events++
		if err := f.add(ev); err != nil {
			return a.breach(err)
		}
		if ev.Seq == stored.Seq {
			return a.breach(f.agrees(stored))
		}
		return nil
	})
	if err == nil && f.seq == 0 {
		err = a.damage(fmt.Sprintf("account %d", account), errors.New("there is something of it, and no event"))
	}
	return err
}

// checkFiles has Pebble read all of its tables, with what nobody will read again.
func (a *archive) checkFiles() (err error) {
	defer a.contain("the database", &err)
	if err := a.db.CheckLevels(nil); err != nil {
		return a.damage("the database", err)
	}
	return nil
}

// checkEvery is after how many events of an account somebody who has given up is noticed.
const checkEvery = 1 << 14

// breach is what is wrong with the content, where all checksums hold.
func (a *archive) breach(err error) error {
	var already *DamageError
	if err == nil || errors.As(err, &already) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the journal in %s: %w", a.dir, err)
}

const keyKinds = string(keyAccount) + string(keyRun) + string(keyOrderID) + string(keyBlock) + string(keyMeta)

// checkKeys looks for keys that nothing reads.
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
