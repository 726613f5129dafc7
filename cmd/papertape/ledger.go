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
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// keeps says, for each mode, what may be lost and when the epoch changes. docs/ledger.md says it at length.
var keeps = map[string]string{
	config.DurabilitySync: "every answer is on the disk before it is given; the epoch outlives stops and crashes",
	config.DurabilityInterval: "a crash may lose what was answered since the last sync, 100ms before or less; " +
		"the next start then begins a new epoch",
	config.DurabilityNone: "events live in memory alone; every start begins a new epoch",
}

// ledger is what a server keeps: its durable journal. It takes the journal's place in the engine before the journal is
// open: the engine asks it nothing until run has recovered it.
type ledger struct {
	dir     string
	options journal.Options
	log     zerolog.Logger

	journal atomic.Pointer[journal.Journal] // nil: not open yet

	backup sync.Mutex // held by the one backup under way, and by whoever closes the journal
	closed bool       // under backup
}

var _ engine.Journal = (*ledger)(nil)

// newLedger returns the ledger of a configuration, nil where nothing is kept.
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

// journalOptions are those that do not depend on the configuration.
func journalOptions(log zerolog.Logger) journal.Options {
	return journal.Options{
		Mode: journal.Sync, Universe: market.Default(), Log: log, Fatal: func(err error) { panic(err) },
		Beside: []string{openingFile},
	}
}

// Epoch, Keeps, Commit, Committed and Read are those of the journal.
func (l *ledger) Epoch() uint64 { return l.journal.Load().Epoch() }

func (l *ledger) Keeps() bool { return true }

func (l *ledger) Commit(events []positions.Event) error { return l.journal.Load().Commit(events) }

func (l *ledger) Committed() uint64 { return l.journal.Load().Committed() }

func (l *ledger) Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error) {
	return l.journal.Load().Read(dst, account, from, limit)
}

// readOnly says whether the disk has too little room for orders.
func (l *ledger) readOnly() bool {
	j := l.journal.Load()
	return j != nil && j.ReadOnly()
}

// open opens the journal and brings the engine to where the last run ended.
func (l *ledger) open(ctx context.Context, into journal.Recovery, progress func(done, total uint64)) error {
	j, err := journal.Open(l.dir, l.options)
	if err != nil {
		return asLedgerError(err)
	}
	// What a recovery allocates it keeps: collections find nothing, and take more time than the replaying.
	collect := debug.SetGCPercent(-1)
	err = j.Recover(ctx, into, progress)
	debug.SetGCPercent(collect)
	if err != nil {
		return errors.Join(asLedgerError(err), j.Close())
	}
	l.journal.Store(j)
	return nil
}

// asLedgerError makes a directory that is not for this server a matter of configuration: it is in use, it is of a
// newer program, it cannot be made; so is a place where a copy cannot be written. Damage is not, nor is a disk that
// fails.
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
	case errors.As(err, &errno) && !slices.Contains(notForUs, errno):
		return err
	}
	return config.Errorf("%s: %w", key, err)
}

// notForUs is what the operating system says of a directory that is the wrong one, rather than failing.
// EAGAIN is the lock's: somebody else has it.
var notForUs = []syscall.Errno{
	syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOTDIR, syscall.ENOENT, syscall.EEXIST, syscall.ENAMETOOLONG,
	syscall.ELOOP, syscall.EINVAL, syscall.EAGAIN,
}

// close ends the journal with the mark of a clean stop. A backup under way is waited for.
func (l *ledger) close() error {
	l.backup.Lock()
	defer l.backup.Unlock()
	l.closed = true
	if j := l.journal.Load(); j != nil {
		return j.Close()
	}
	return nil
}

// openLedger recovers the ledger, opens the accounts of a first start, and starts the checkpoints. When it returns
// without an error the books are open to the console. closeLedger is to be called in any case, when nobody submits
// any more.
func (s *server) openLedger(ctx context.Context) (closeLedger func() error, err error) {
	if s.ledger == nil {
		s.recovered.Store(true)
		return s.closeMemory, s.openAccounts(ctx)
	}
	s.setUnready("recovering: opening the journal")
	progress := newRecoveryProgress(s)
	err = s.ledger.open(ctx, s.engine, progress.show)
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
	s.recovered.Store(true)
	stopCheckpoints := s.checkpoint(ctx)
	closeLedger = func() error {
		stopCheckpoints()
		s.engine.Stop()
		return s.ledger.close()
	}
	s.setUnready("opening accounts")
	return closeLedger, s.openAccounts(ctx)
}

func (s *server) closeMemory() error {
	s.engine.Stop()
	return nil
}

// checkpoint starts the goroutine that makes checkpoints, and returns what ends it, after a last one.
func (s *server) checkpoint(ctx context.Context) (stop func()) {
	j := s.ledger.journal.Load()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		if err := j.Run(work, s.engine); err != nil {
			s.fatal(fmt.Errorf("checkpoints: %w", err))
		}
	})
	return func() {
		cancel()
		running.Wait()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
		defer cancel()
		switch err := j.Checkpoint(limit, s.engine); {
		case err == nil, limit.Err() != nil: // nothing is lost where it is not made: the next start replays more
		case errors.Is(err, journal.ErrNoRoom):
			s.log.Warn().Err(err).
				Msg("there is no last checkpoint: what was committed is safe, and the next start will replay it")
		default:
			s.fatal(fmt.Errorf("the last checkpoint: %w", err))
		}
	}
}
