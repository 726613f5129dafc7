package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/bars"
	"github.com/papertape/papertape/positions"
)

// durabilityText says for each durability mode what can be lost and when the epoch changes.
// docs/ledger.md has the details.
var durabilityText = map[string]string{
	config.DurabilitySync: "every answer is on the disk before it is given; the epoch outlives stops and crashes",
	config.DurabilityInterval: "a crash may lose what was answered since the last sync, 100ms before or less; " +
		"the next start then begins a new epoch",
	config.DurabilityNone: "events live in memory alone; every start begins a new epoch",
}

// ledger is the durable journal of a server. The engine gets it as its journal before the journal
// is open, and does not use it until openLedger has recovered it.
type ledger struct {
	dir     string
	options journal.Options
	log     zerolog.Logger

	journal atomic.Pointer[journal.Journal] // nil until opened

	backup sync.Mutex // held during a backup, and while closing the journal
	closed bool       // guarded by backup
}

var _ engine.Journal = (*ledger)(nil)

// newLedger returns the ledger for a configuration, or nil if durability is none.
func newLedger(cfg *config.Config, log zerolog.Logger, fatal func(error)) *ledger {
	if cfg.Durability == config.DurabilityNone {
		return nil
	}
	o := journalOptions(log)
	if o.Mode = journal.Sync; cfg.Durability == config.DurabilityInterval {
		o.Mode = journal.Interval
	}
	o.CheckpointInterval, o.LowWaterBytes, o.Fatal = cfg.CheckpointInterval, uint64(cfg.DiskFreeBytesMin), fatal
	return &ledger{dir: cfg.Data, options: o, log: log}
}

// journalOptions returns the options that do not depend on the configuration.
func journalOptions(log zerolog.Logger) journal.Options {
	return journal.Options{
		Mode: journal.Sync, Universe: market.Default(), Log: log, Fatal: func(err error) { panic(err) },
		Beside: []string{openingFile, walkFile}, BesideDirs: []string{bars.Dir},
	}
}

// Epoch, Keeps, Commit, Committed and Read implement engine.Journal.
func (l *ledger) Epoch() uint64 { return l.journal.Load().Epoch() }

func (l *ledger) Keeps() bool { return true }

func (l *ledger) Commit(records []byte, count int) error {
	return l.journal.Load().Commit(records, count)
}

func (l *ledger) Committed() uint64 { return l.journal.Load().Committed() }

func (l *ledger) Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error) {
	return l.journal.Load().Read(dst, account, from, limit)
}

// readOnly reports whether the disk is too full to accept orders.
func (l *ledger) readOnly() bool {
	j := l.journal.Load()
	return j != nil && j.ReadOnly()
}

// open opens the journal and restores the engine's state from it.
// When the directory is locked it calls locked.
func (l *ledger) open(
	ctx context.Context, into journal.Recovery, locked func() error, progress func(done, total uint64),
) error {
	j, err := journal.Open(l.dir, l.options)
	if err != nil {
		return asLedgerError(err)
	}
	if err := locked(); err != nil {
		return errors.Join(err, j.Close())
	}
	// Recovery keeps everything that it allocates. Garbage collections would free nothing, and take
	// longer than the replay itself.
	collect := debug.SetGCPercent(-1)
	err = j.Recover(ctx, into, progress)
	debug.SetGCPercent(collect)
	if err != nil {
		return errors.Join(asLedgerError(err), j.Close())
	}
	l.journal.Store(j)
	return nil
}

// asLedgerError turns an error into a configuration error if the directory is unsuitable: it is in
// use, it was written by a newer program, or it cannot be created. The same applies to a place to
// which no copy can be written. Damage and disk failures are not configuration errors.
func asLedgerError(err error) error {
	var damage *journal.DamageError
	var target *journal.TargetError
	var errno syscall.Errno
	key := "data"
	if errors.As(err, &target) {
		key = "--out"
	}
	switch {
	case errors.As(err, &damage), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &errno) && !slices.Contains(usageErrnos, errno):
		return err
	}
	return config.Errorf("%s: %w", key, err)
}

// usageErrnos are the operating system errors that mean that the wrong directory was named, and not
// that something failed. EAGAIN means that another process holds the lock.
var usageErrnos = []syscall.Errno{
	syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOTDIR, syscall.ENOENT, syscall.EEXIST, syscall.ENAMETOOLONG,
	syscall.ELOOP, syscall.EINVAL, syscall.EAGAIN,
}

// close closes the journal and marks the stop as clean. It waits for a backup in progress.
func (l *ledger) close() error {
	l.backup.Lock()
	defer l.backup.Unlock()
	l.closed = true
	if j := l.journal.Load(); j != nil {
		return j.Close()
	}
	return nil
}

// openLedger recovers the ledger, opens the accounts of a first start, and starts the checkpoints.
// When it returns without an error, the console may read the books. Call closeLedger in any case,
// once nobody submits requests any more.
func (s *server) openLedger(ctx context.Context) (closeLedger func() error, err error) {
	if s.ledger == nil {
		if err := s.openAccess(); err != nil {
			return s.closeMemory, err
		}
		if err := s.openBars(); err != nil {
			return s.closeMemory, err
		}
		s.recovered.Store(true)
		return s.closeMemory, s.openAccounts(ctx)
	}
	s.setUnready(console.StateRecovering, "recovering: opening the journal")
	progress := newRecoveryProgress(s)
	err = s.ledger.open(ctx, s.engine, s.locked, progress.show)
	progress.end()
	if err != nil {
		return s.closeMemory, err
	}
	message := "recovered"
	if !s.openingFound && s.ledger.Committed() == 0 {
		message = "a new ledger was begun"
	}
	s.log.Info().Str("data", s.cfg.Data).Str("epoch", fmt.Sprintf("%016x", s.ledger.Epoch())).
		Uint64("commits", s.ledger.Committed()).Dur("took_ms", time.Since(progress.began)).Msg(message)
	if err := s.skipTape(ctx); err != nil {
		return s.closeMemory, errors.Join(err, s.ledger.close())
	}
	s.recovered.Store(true)
	stopCheckpoints := s.checkpoint(ctx)
	closeLedger = func() error {
		stopCheckpoints()
		s.engine.Stop()
		return errors.Join(s.closeAccess(), s.ledger.close())
	}
	if err := s.checkHeld(ctx); err != nil {
		return closeLedger, err
	}
	s.setUnready(console.StateOpening, "opening accounts")
	return closeLedger, s.openAccounts(ctx)
}

// locked opens what else is in the data directory, which is this server's from now on.
func (s *server) locked() error { return errors.Join(s.openAccess(), s.openBars()) }

func (s *server) closeMemory() error {
	s.engine.Stop()
	return s.closeAccess()
}

// checkpoint starts the goroutine that makes checkpoints. The returned function stops it and makes
// a last one.
func (s *server) checkpoint(ctx context.Context) (stop func()) {
	j, of := s.ledger.journal.Load(), s.checkpointer()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		if err := j.Run(work, of); err != nil {
			s.fatal(fmt.Errorf("checkpoints: %w", err))
		}
	})
	return func() {
		cancel()
		running.Wait()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
		defer cancel()
		switch err := j.Checkpoint(limit, of); {
		case err == nil, limit.Err() != nil: // without it nothing is lost: the next start replays more
		case errors.Is(err, journal.ErrNoRoom):
			s.log.Warn().Err(err).
				Msg("there is no last checkpoint: what was committed is safe, and the next start will replay it")
		default:
			s.fatal(fmt.Errorf("the last checkpoint: %w", err))
		}
	}
}
