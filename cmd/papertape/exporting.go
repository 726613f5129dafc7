package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/positions"
)

// checkExport returns an error unless the histories can be written to cfg.Export when the server stops. Other
// directories are made then, under another name until they are complete.
func checkExport(cfg *config.Config) error {
	if cfg.Export == "" {
		return nil
	}
	entries, err := os.ReadDir(cfg.Export)
	switch {
	case err == nil && len(entries) > 0:
		err = fmt.Errorf("%s has something in it and is left as it is; "+
			"name a directory that is empty, or does not exist", cfg.Export)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err == nil && cfg.Durability != config.DurabilityNone {
		if err = mustBeOutside(cfg.Data, cfg.Export); errors.Is(err, fs.ErrNotExist) { // there is no data directory yet
			err = nil
		}
	}
	if err == nil {
		err = checkBackupPlace(cfg.Export)
	}
	if err != nil {
		return usageError{fmt.Errorf("--export: %w", err)}
	}
	return nil
}

// export writes the history of each account into cfg.Export, if that is set: all of them, or none.
func (s *server) export(ctx context.Context) (err error) {
	if s.cfg.Export == "" {
		return nil
	}
	dir := filepath.Clean(s.cfg.Export)
	unfinished := journal.Unfinished(dir)
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("--export: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("--export: %w", errors.Join(err, os.RemoveAll(unfinished)))
		}
	}()
	accounts, err := s.exportTo(ctx, unfinished)
	if err != nil {
		return err
	}
	if err := syncDirectory(unfinished); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it was empty
		return err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return err
	}
	s.log.Info().Str("directory", dir).Int("accounts", accounts).Msg("the histories are written")
	return syncDirectory(filepath.Dir(dir))
}

const exportPage = 1000 // accounts that are listed at a time

// exportTo writes the histories into a directory, and returns how many there were.
func (s *server) exportTo(ctx context.Context, dir string) (accounts int, err error) {
	for after := uint64(0); ; {
		page, _, err := s.engine.Accounts(ctx, after, exportPage)
		if err != nil || len(page) == 0 {
			return accounts, err
		}
		for i := range page {
			after = page[i].Number
			if err := s.exportAccount(ctx, dir, after); err != nil {
				return accounts, err
			}
			accounts++
		}
	}
}

func (s *server) exportAccount(ctx context.Context, dir string, account uint64) error {
	return journal.WriteText(dir, account, s.universe, func(write func(*positions.Event) error) error {
		var failure error
		err := s.engine.Walk(ctx, account, 1, func(ev *positions.Event) {
			if failure == nil {
				failure = write(ev)
			}
		})
		return errors.Join(err, failure)
	})
}

// explainFull says what to do about a history that does not fit the memory.
func explainFull(err error) error {
	if errors.Is(err, engine.ErrHistoryFull) {
		return fmt.Errorf("%w: without a ledger --export keeps every event in memory; "+
			"write a larger history_memory_bytes_max, or durability: sync", err)
	}
	return err
}
