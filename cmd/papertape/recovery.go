package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/schollz/progressbar/v3"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The modes of durability.
const (
	durabilitySync     = "sync"
	durabilityInterval = "interval"
	durabilityNone     = "none"
)

// keeps says, for each mode, what may be lost and when the epoch changes. docs/ledger.md says it at length.
var keeps = map[string]string{
	durabilitySync:     "every answer is on the disk before it is given; the epoch outlives stops and crashes",
	durabilityInterval: "a crash may lose what was answered since the last sync, 100ms before or less; the next start then begins a new epoch",
	durabilityNone:     "events live in memory alone; every start begins a new epoch",
}

// store is the durable journal of a server. It takes the journal's place in the engine before the journal is open: the engine
// asks it nothing until run has recovered it.
type store struct {
	dir     string
	options journal.Options
	log     zerolog.Logger

	journal atomic.Pointer[journal.Journal] // nil: not open yet

	backup sync.Mutex // held by the one backup under way, and by whoever closes the journal
	closed bool       // under backup
}

var _ engine.Journal = (*store)(nil)

// newStore returns the store of a configuration, nil where nothing is kept.
func newStore(cfg *Config, log zerolog.Logger, fatal func(error)) *store {
	if cfg.Durability == durabilityNone {
		return nil
	}
	o := journalOptions(log)
	if o.Mode = journal.Sync; cfg.Durability == durabilityInterval {
		o.Mode = journal.Interval
	}
	o.CheckpointInterval, o.LowWaterBytes, o.Fatal = cfg.CheckpointInterval, uint64(cfg.DiskFreeBytesMin), fatal
	return &store{dir: cfg.Data, options: o, log: log}
}

// journalOptions are those that do not depend on the configuration.
func journalOptions(log zerolog.Logger) journal.Options {
	return journal.Options{
		Mode: journal.Sync, Universe: market.Default(), Log: log, Fatal: func(err error) { panic(err) }, Beside: []string{openingFile},
	}
}

// Epoch, Keeps, Commit, Committed and Read are those of the journal.
func (s *store) Epoch() uint64 { return s.journal.Load().Epoch() }

func (s *store) Keeps() bool { return true }

func (s *store) Commit(events []positions.Event) error { return s.journal.Load().Commit(events) }

func (s *store) Committed() uint64 { return s.journal.Load().Committed() }

func (s *store) Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error) {
	return s.journal.Load().Read(dst, account, from, limit)
}

// readOnly says whether the disk has too little room for orders.
func (s *store) readOnly() bool {
	j := s.journal.Load()
	return j != nil && j.ReadOnly()
}

// open opens the journal and brings the engine to where the last run ended.
func (s *store) open(ctx context.Context, into journal.Recovery, progress func(done, total uint64)) error {
	j, err := journal.Open(s.dir, s.options)
	if err != nil {
		return asStoreError(err)
	}
	// What a recovery allocates it keeps: collections find nothing, and take more time than the replaying.
	collect := debug.SetGCPercent(-1)
	err = j.Recover(ctx, into, progress)
	debug.SetGCPercent(collect)
	if err != nil {
		return errors.Join(asStoreError(err), j.Close())
	}
	s.journal.Store(j)
	return nil
}

// asStoreError makes a directory that is not for this server a matter of configuration: it is in use, it is of a newer program,
// it cannot be made; so is a place where a copy cannot be written. Damage is not, nor is a disk that fails.
func asStoreError(err error) error {
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
	return configError{fmt.Errorf("%s: %w", key, err)}
}

// notForUs is what the operating system says of a directory that is the wrong one, rather than failing.
// EAGAIN is the lock's: somebody else has it.
var notForUs = []syscall.Errno{
	syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOTDIR, syscall.ENOENT, syscall.EEXIST, syscall.ENAMETOOLONG,
	syscall.ELOOP, syscall.EINVAL, syscall.EAGAIN,
}

// close ends the journal with the mark of a clean stop. A backup under way is waited for.
func (s *store) close() error {
	s.backup.Lock()
	defer s.backup.Unlock()
	s.closed = true
	if j := s.journal.Load(); j != nil {
		return j.Close()
	}
	return nil
}

// backUp writes a copy of the running server's ledger into a new directory, and returns its size.
func (s *store) backUp(out string) (int64, error) {
	if !s.backup.TryLock() {
		return 0, console.Conflict("another backup is under way")
	}
	defer s.backup.Unlock()
	j := s.journal.Load()
	switch {
	case s.closed:
		return 0, fmt.Errorf("%w: the server is stopping", console.ErrNotReady)
	case j == nil:
		return 0, fmt.Errorf("%w: it is still recovering", console.ErrNotReady)
	}
	if err := newDirectory(s.dir, out); err != nil {
		return 0, console.Conflict(err.Error())
	}
	var target *journal.TargetError
	if err := j.Backup(out); errors.As(err, &target) {
		return 0, console.Conflict(err.Error())
	} else if err != nil {
		return 0, err
	}
	return directoryBytes(out)
}

// newDirectory says what keeps out from becoming a copy of the data directory.
func newDirectory(data, out string) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s exists, and a backup is written over nothing; name a directory that does not exist", out)
	}
	parent := filepath.Dir(out)
	switch in, err := os.Stat(parent); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s to put the backup into: %w", parent, err)
	case err != nil:
		return fmt.Errorf("no backup can be put into %s: %w", parent, err)
	case !in.IsDir():
		return fmt.Errorf("%s is not a directory, so no backup can be put into it", parent)
	}
	if err := mustBeOutside(data, out); err != nil {
		return err
	}
	return tryPlace(out)
}

// mustBeOutside refuses to write into the data directory. Of what leads to out only the beginning need be there.
func mustBeOutside(data, out string) error {
	whole, err := realPath(data)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(out); ; dir = filepath.Dir(dir) {
		inside, err := realPath(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			continue
		case err != nil:
			return err
		case inside == whole || strings.HasPrefix(inside, whole+string(filepath.Separator)):
			return fmt.Errorf("%s is inside the data directory %s; put it elsewhere, best on another disk", out, data)
		}
		return nil
	}
}

// tryPlace says what keeps a backup from being begun at a place: it is made under another name until it is whole. What
// fails later is the ledger's failure or the disk's, and not that of whoever named the place.
func tryPlace(out string) error {
	unfinished := journal.Unfinished(out)
	switch err := os.Mkdir(unfinished, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is left over from a backup that was cut off, or another one is writing it; remove it, "+
			"or name another directory", unfinished)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("the name of the backup is too long for its disk; write a shorter one: %w", err)
	case err != nil:
		return fmt.Errorf("no backup can be made there: %w", err)
	}
	return os.Remove(unfinished)
}

func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// directoryBytes is how long the files of a directory are together.
func directoryBytes(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		in, err := d.Info()
		if err == nil {
			sum += in.Size()
		}
		return err
	})
	return sum, err
}

const (
	recoveryShownEvery = 50 * time.Millisecond
	recoveryLogEvery   = 5 * time.Second
)

// recovery shows how far a recovery has come: /readyz, and a bar on a terminal or lines in the log. One goroutine has it.
type recovery struct {
	server      *server
	bar         *progressbar.ProgressBar // nil: no terminal
	began       time.Time
	shown, said time.Time
}

func newRecovery(s *server) *recovery {
	r := &recovery{server: s, began: time.Now(), said: time.Now()}
	if s.terminal != nil {
		r.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(s.terminal), progressbar.OptionSetDescription("recovering"),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount())
	}
	return r
}

// progress takes how many accounts and commits have been read, of how many. It is called for each of them.
func (r *recovery) progress(done, total uint64) {
	now := time.Now()
	if now.Sub(r.shown) < recoveryShownEvery {
		return
	}
	r.shown = now
	text := fmt.Sprintf("recovering: %d%% (%d of %d accounts and commits)", 100*done/max(total, 1), done, total)
	r.server.setUnready(text)
	if r.bar != nil {
		r.bar.ChangeMax64(int64(total))
		_ = r.bar.Set64(int64(done))
		return
	}
	if now.Sub(r.said) >= recoveryLogEvery {
		r.said = now
		r.server.log.Info().Uint64("done", done).Uint64("total", total).Msg(text)
	}
}

// end takes the bar away.
func (r *recovery) end() {
	if r.bar != nil {
		_ = r.bar.Exit()
		_ = r.bar.Clear()
	}
}

// openStore recovers the ledger, opens the accounts of a first start, and starts the checkpoints. When it returns without an
// error the books are open to the console. closeStore is to be called in any case, when nobody submits any more.
func (s *server) openStore(ctx context.Context) (closeStore func() error, err error) {
	if s.store == nil {
		s.recovered.Store(true)
		return s.closeMemory, s.openAccounts(ctx)
	}
	s.setUnready("recovering: opening the journal")
	r := newRecovery(s)
	err = s.store.open(ctx, s.engine, r.progress)
	r.end()
	if err != nil {
		return s.closeMemory, err
	}
	message := "recovered"
	if !s.openingFound && s.store.Committed() == 0 {
		message = "a new ledger was begun"
	}
	s.log.Info().Str("data", s.cfg.Data).Str("epoch", fmt.Sprintf("%016x", s.store.Epoch())).Uint64("commits", s.store.Committed()).
		Dur("took_ms", time.Since(r.began)).Msg(message)
	s.recovered.Store(true)
	stopCheckpoints := s.checkpoint(ctx)
	closeStore = func() error {
		stopCheckpoints()
		s.engine.Stop()
		return s.store.close()
	}
	s.setUnready("opening accounts")
	return closeStore, s.openAccounts(ctx)
}

func (s *server) closeMemory() error {
	s.engine.Stop()
	return nil
}

// checkpoint starts the goroutine that makes checkpoints, and returns what ends it, after a last one.
func (s *server) checkpoint(ctx context.Context) (stop func()) {
	j := s.store.journal.Load()
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
			s.log.Warn().Err(err).Msg("there is no last checkpoint: what was committed is safe, and the next start will replay it")
		default:
			s.fatal(fmt.Errorf("the last checkpoint: %w", err))
		}
	}
}

// openAccounts opens the accounts of a first start, and what a later one finds missing of them.
func (s *server) openAccounts(ctx context.Context) error {
	switch {
	case s.store == nil:
	case s.openingFound:
		if s.opening.Accounts != s.cfg.Accounts && s.cfg.Source("accounts") != "default" {
			s.log.Warn().Int("accounts", s.opening.Accounts).Int("configured", s.cfg.Accounts).
				Msg("accounts are opened on the first start only: this ledger keeps those that it was opened with")
		}
	case s.store.Committed() > 0:
		s.log.Warn().Str("file", filepath.Join(s.cfg.Data, openingFile)).Msg("the record of what accounts this ledger was opened with is gone; none are opened")
		return nil
	default:
		if err := s.opening.write(s.cfg.Data); err != nil {
			return fmt.Errorf("open accounts: %w", err)
		}
	}
	if err := s.opening.of(market.Default()).Open(ctx, s.engine); err != nil {
		return fmt.Errorf("open accounts: %w", err)
	}
	return nil
}

// books are the accounts, for the console: not before they are recovered.
type books struct{ *server }

var (
	_ console.Books = books{}
	_ console.Busts = books{}
)

func (b books) notReady() error {
	if b.recovered.Load() {
		return nil
	}
	return fmt.Errorf("%w: %w", console.ErrNotReady, b.ready())
}

// Holdings, History, Accounts, Walk and Bust are those of the engine.
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

func (b books) Accounts(ctx context.Context, after uint64, limit int) ([]engine.AccountInfo, error) {
	if err := b.notReady(); err != nil {
		return nil, err
	}
	return b.engine.Accounts(ctx, after, limit)
}

func (b books) Walk(ctx context.Context, account, from uint64, see func(*positions.Event)) error {
	if err := b.notReady(); err != nil {
		return err
	}
	return b.engine.Walk(ctx, account, from, see)
}

func (b books) Bust(ctx context.Context, r *positions.BustRequest) (positions.Event, bool, error) {
	if err := b.notReady(); err != nil {
		return positions.Event{}, false, err
	}
	return b.engine.Bust(ctx, r)
}
