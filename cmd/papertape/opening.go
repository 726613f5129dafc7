package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// openingFile is the file in the data directory that records the accounts with which a ledger was
// opened.
const openingFile = "OPENING"

// openingBytesMax is larger than the file ever gets.
const openingBytesMax = 4096

// openingRecord is the content of openingFile: the number of accounts and the seed of the first
// start. From then on they override the configuration. The record is durable before the first
// account is opened. Every start opens the accounts that are missing, because an earlier start was
// interrupted or, with durability interval, because a crash lost them.
type openingRecord struct {
	Accounts int    `json:"accounts"`
	Seed     uint64 `json:"seed"`
}

// accounts returns the accounts of the record.
func (o *openingRecord) accounts(u *market.Universe) simulator.Accounts {
	return simulator.Accounts{Count: o.Accounts, Seed: o.Seed, Universe: u}
}

// readOpening reads the record of a data directory. found is false if there is none.
func readOpening(dir string) (o openingRecord, found bool, err error) {
	if _, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return o, false, asLedgerError(err)
	}
	path := filepath.Join(dir, openingFile)
	text, err := userfile.Read(path, openingBytesMax)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		// If the path is not a directory, the journal reports that more precisely.
		return o, false, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return o, false, asLedgerError(err)
	}
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err == nil && (o.Accounts < 1 || o.Accounts > accountsMax) {
		err = fmt.Errorf("%d accounts", o.Accounts)
	}
	if err != nil {
		return o, false, fmt.Errorf("%s, which says what accounts this ledger was opened with, cannot be read: %w; "+
			"restore it or the directory from a backup",
			path, err)
	}
	return o, true, nil
}

// write makes the record durable. A crash leaves either the old record or the new one.
func (o *openingRecord) write(dir string) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return replaceSynced(filepath.Join(dir, openingFile), append(text, '\n'))
}

// replaceSynced makes the content of a file durable. A crash leaves either the old content or the new one.
func replaceSynced(path string, text []byte) error {
	if err := writeSynced(path+".new", text); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// writeSynced writes and syncs a file that only its owner may access, whatever the umask.
func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = f.Chmod(0o600); errors.Is(err, fs.ErrPermission) { // a file system without modes
		err = nil
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openAccounts opens the accounts of a first start. On later starts it opens the missing ones.
func (s *server) openAccounts(ctx context.Context) error {
	switch {
	case s.ledger == nil:
	case s.openingFound:
		if s.opening.Accounts != s.cfg.Accounts && s.cfg.Source("accounts") != config.SourceDefault {
			s.log.Warn().Int("accounts", s.opening.Accounts).Int("configured", s.cfg.Accounts).
				Msg("accounts are opened on the first start only: this ledger keeps those that it was opened with")
		}
	case s.ledger.Committed() > 0:
		s.log.Warn().Str("file", filepath.Join(s.cfg.Data, openingFile)).
			Msg("the record of what accounts this ledger was opened with is gone; none are opened")
		return nil
	default:
		if err := s.opening.write(s.cfg.Data); err != nil {
			return fmt.Errorf("open accounts: %w", err)
		}
	}
	if err := s.opening.accounts(s.universe).Open(ctx, s.engine); err != nil {
		return fmt.Errorf("open accounts: %w", err)
	}
	return nil
}
