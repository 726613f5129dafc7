package main

import (
	"context"
	"fmt"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// books gives the console access to the accounts once they are recovered.
type books struct{ *server }

var (
	_ console.Books    = books{}
	_ console.Busts    = books{}
	_ console.Bookings = books{}
)

func (b books) notReady() error {
	if b.recovered.Load() {
		return nil
	}
	return fmt.Errorf("%w: %w", console.ErrNotReady, b.ready())
}

// These call the engine's methods of the same names.
func (b books) Holdings(ctx context.Context, account uint64) (positions.Holdings, error) {
	if err := b.notReady(); err != nil {
		return positions.Holdings{}, err
	}
	return b.engine.Holdings(ctx, account)
}

func (b books) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	if err := b.notReady(); err != nil {
		return nil, 0, err
	}
	return b.engine.History(ctx, account, before, limit)
}

func (b books) Accounts(ctx context.Context, after uint64, limit int) ([]engine.AccountInfo, int, error) {
	if err := b.notReady(); err != nil {
		return nil, 0, err
	}
	return b.engine.Accounts(ctx, after, limit)
}

func (b books) Account(ctx context.Context, number uint64) (engine.AccountInfo, error) {
	if err := b.notReady(); err != nil {
		return engine.AccountInfo{}, err
	}
	return b.engine.Account(ctx, number)
}

func (b books) FindAccounts(ctx context.Context, q engine.AccountSearch) ([]engine.AccountInfo, int, error) {
	if err := b.notReady(); err != nil {
		return nil, 0, err
	}
	return b.engine.FindAccounts(ctx, q)
}

func (b books) Holders(ctx context.Context, id market.ID, limit int) (engine.Held, error) {
	if err := b.notReady(); err != nil {
		return engine.Held{}, err
	}
	return b.engine.Holders(ctx, id, limit)
}

func (b books) Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error {
	if err := b.notReady(); err != nil {
		return err
	}
	return b.engine.Walk(ctx, account, from, see)
}

func (b books) PreviewBust(ctx context.Context, r *positions.BustRequest) (engine.BustPreview, error) {
	if err := b.notReady(); err != nil {
		return engine.BustPreview{}, err
	}
	return b.engine.PreviewBust(ctx, r)
}

func (b books) Bust(ctx context.Context, r *positions.BustRequest) (positions.Event, bool, error) {
	if err := b.notReady(); err != nil {
		return positions.Event{}, false, err
	}
	b.interfere("an operator")
	return b.engine.Bust(ctx, r)
}

func (b books) OpenAccount(ctx context.Context, number uint64, a positions.Adjustment) (positions.Event, error) {
	if err := b.notReady(); err != nil {
		return positions.Event{}, err
	}
	b.interfere("an operator")
	return b.engine.OpenAccount(ctx, number, a)
}

func (b books) Book(ctx context.Context, r *positions.BookingRequest) (positions.Event, bool, error) {
	if err := b.notReady(); err != nil {
		return positions.Event{}, false, err
	}
	b.interfere("an operator")
	return b.engine.Book(ctx, r)
}

func (b books) OpeningCash(ctx context.Context, account uint64) (int64, error) {
	if err := b.notReady(); err != nil {
		return 0, err
	}
	return b.engine.OpeningCash(ctx, account)
}
