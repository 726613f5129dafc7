package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// TestLastCheckpoint checks that a clean stop makes a last checkpoint, so that the next start
// replays nothing.
func TestLastCheckpoint(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := startInProcess(t, dir, nil)
	buyAs(t, first.at().listen, "x")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	if made := first.ledger.journal.Load().Stats().Checkpoints; made != 1 {
		t.Errorf("%d checkpoints were made, want the last one", made)
	}
	var total uint64
	j, err := journal.Open(dir, first.ledger.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Recover(t.Context(), discard{}, func(_, of uint64) { total = of }); err != nil || total != 3 {
		t.Errorf("recovered %d accounts and commits, %v; want the 3 accounts alone", total, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestReadOnly takes away the free space of the disk and returns it. Meanwhile orders are refused,
// and everything else works.
func TestReadOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 40)
	l := startInProcess(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		s.ledger.options.FreeBytes = func() (uint64, error) { return free.Load(), nil }
	})
	at := l.at()
	buyAs(t, at.listen, "before")
	readOnly := func() uint64 {
		all, err := console.NewClient(at.admin, "").Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all.Counters {
			if c.Name == "read_only" {
				return c.Value
			}
		}
		t.Fatal("there is no counter read_only")
		return 0
	}
	free.Store(uint64(l.cfg.DiskFreeBytesMin) - 1)
	eventually(t, "the server is read-only", func() bool { return readOnly() == 1 })
	c := dial(t, at.listen)
	defer c.Close() //nolint:errcheck // the test is over
	_, err := c.Order(t.Context(), client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100,
		ClientOrderID: "meanwhile"})
	var refused *client.Reject
	if !errors.As(err, &refused) || refused.Code != client.ReadOnly {
		t.Errorf("an order on a full disk: %v, want READ_ONLY", err)
	}
	if _, err := c.Holdings(t.Context()); err != nil {
		t.Errorf("holdings on a full disk: %v", err)
	}
	if h, err := c.History(t.Context(), 0, 5); err != nil || len(h.Events) == 0 {
		t.Errorf("history on a full disk: %v, %v", h, err)
	}
	if err := console.NewClient(at.admin, "").Ready(t.Context()); err != nil {
		t.Errorf("/readyz on a full disk: %v", err)
	}
	free.Store(uint64(l.cfg.DiskFreeBytesMin))
	eventually(t, "there is room again", func() bool { return readOnly() == 0 })
	if ev := buyAs(t, at.listen, "meanwhile"); ev.Replay {
		t.Error("the order that was refused had been executed")
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// TestLedgerErrors checks that an unsuitable directory is a configuration error, and a damaged one
// is not.
func TestLedgerErrors(t *testing.T) {
	inUse := errors.New("the journal in d is in use")
	for _, c := range []struct {
		err    error
		config bool
	}{
		{inUse, true},
		{fmt.Errorf("lock: %w", syscall.EAGAIN), true},
		{fmt.Errorf("make: %w", &os.PathError{Op: "mkdir", Path: "d", Err: syscall.EACCES}), true},
		{fmt.Errorf("make: %w", syscall.ENOTDIR), true},
		{fmt.Errorf("read: %w", syscall.EIO), false},
		{fmt.Errorf("write: %w", syscall.ENOSPC), false},
		{fmt.Errorf("open: %w", &journal.DamageError{Dir: "d", Where: "commit 7", Err: errors.New("it is missing")}),
			false},
		{fmt.Errorf("recover: %w", context.Canceled), false},
		{fmt.Errorf("the journal in d: commit 7: %w", &record.NewerError{What: "event 1 is of kind 4"}), true},
	} {
		err := asLedgerError(c.err)
		var config config.Error
		if errors.As(err, &config) != c.config || !errors.Is(err, c.err) {
			t.Errorf("%v became %v; a matter of configuration: want %v", c.err, err, c.config)
		}
	}
}

// discard is a target for recovery that keeps nothing.
type discard struct{}

func (discard) Load(*engine.AccountState) error { return nil }

func (discard) ShardOf(uint64) int { return 0 }

func (discard) Use(*record.Table, record.IDKey) {}

func (discard) Replay(*positions.Event, []byte) error { return nil }
