// Package journal is the disk edge: it makes the engine's events durable, and gives them back. It is the engine's Journal for
// durability sync and interval, on Pebble, and the only package that knows Pebble. The disk encoding of events is its own.
//
//	j, err := journal.Open(dir, journal.Options{Mode: journal.Sync, Universe: universe, Fatal: fatal})
//	eng, err := engine.New(engine.Config{Journal: j, ReadOnly: j.ReadOnly, …})
//	err = j.Recover(ctx, eng, progress)  // before anything else reaches the engine
//	go j.Run(ctx, eng)                   // checkpoints
//	… the engine calls Commit, Committed and Read …
//	err = j.Close()                      // after Run has returned and the engine has stopped
//
// # The invariant
//
// At every moment, whatever is cut off then, the disk has for each account its events 1, 2, 3, …, n without a hole, with n at
// least the last that was acknowledged (in mode Interval: that was synced), and at most the last that was committed. They are
// the account as of its last checkpoint, and the events after that in blocks.
//
// # What is kept
//
//	A account            the account as of its last checkpoint: sequence, cash, all its rows
//	H account, sequence  runs of its events up to there: history, resume
//	I account, sequence  the order ids that it remembers
//	J number             blocks: the events of all commits that went to the disk together; number and hash make a chain
//	M run, mark          epoch and mode of the last run; up to which block the checkpoints have everything
//	CLEAN, BACKUP        files beside the database: how it ended, and that it is a copy
//	UNFINISHED           that it is a copy which is not whole: nobody opens it
//
//	H 100017,1 ── H 100017,257 ── A 100017 (at event 300)
//	H 100018,1 ── A 100018 (at event 12)
//
//	(dropped: up to 70) │ J 71 ◄── J 72 ◄── J 73     on the way of an order: these alone
//	  mark: 70 and its hash, which J 71 names
//
// An account is one value, and not one per row: it is replaced whole, so that there is no row to delete, and no moment at which
// some are new and some old. Every value has a checksum, of its key too.
//
// # On the way of an order
//
// The shard encodes its events. The one committer takes what all shards have ready, makes one block of it, one Pebble batch,
// one sync, and releases them; what comes meanwhile is the next block. That is the group commit.
//
// The simpler idea was one row per event, and an index of it, in the batch of its commit: no checkpoints and no second copy.
// Measured on two cores with 96-byte events from 64 writers it costs 1.4 µs of CPU an event where a block costs 0.22, in
// batches of 256, and 2.3 against 0.58 in batches of 16: Pebble's cost is by the key. Another was to let Pebble group the
// commits of the shards itself (its commit pipeline does): then each shard's batch is a write and an entry of its own, and
// there is no order of blocks that a chain could hold together.
//
// # Checkpoints
//
// Account by account: run, rows, cash, sequence and order ids of one account are in one batch, unsynced. Last the mark, with
// the dropping of the blocks up to it in the same batch, synced. Pebble's log is in order, so that sync covers what was
// written before. Each other order is broken by some crash:
//
//   - the mark before the accounts: a crash between them loses the events of the dropped blocks;
//   - the blocks dropped before the mark: recovery finds a hole after the old mark;
//   - rows in one batch and the run in another: an account with events that its history does not have;
//   - the mark without the block's hash: the first block after it would be bound to nothing.
//
// An account whose checkpoint is newer than the mark is no harm: events are absolute, and recovery skips those that it has.
//
// # Starting
//
// Before anything is written, the lock included, Open looks at the names of what is in the directory: a journal is begun where
// there is nothing, and not among the files of others. If the run before did not say how it ended, the database is opened to be
// read first: another program's would be changed by Pebble as soon as it opened it, and what is in the log has to fit on the disk.
//
// Open decides what the end of the last run was. If the file CLEAN is there, it says with which block and mark the journal
// ended, and anything else is damage. It is removed, synced, before the first write of the run; otherwise a crash of this run
// would be held against the end of the one before. If it is not there, the end of Pebble's log may be torn: the last
// write is cut back, and that is logged. What Pebble cuts it cuts in silence, and with one flipped bit in its newest log it
// cuts what was acknowledged; so the log is read here first, and where a block behind the cut says that more had been synced
// than would be left, it is damage (see wal.go).
//
// The epoch stays as long as no number can have been given out twice. A run writes its mode before anything else, so the
// start after an Interval run that did not end cleanly knows to take a new one; so does a start from a backup, for which the
// file BACKUP is there from before the backup has its name until the new epoch is synced.
//
// # Reading
//
// Verify, Export and BackupStopped see a file system that refuses to change anything (readDisk). Its lock is one that readers
// share: a server has the same file locked for itself. The simpler idea was the server's lock, which makes the file anew, and so
// kept readers from file systems that are mounted read-only.
//
// # When it fails
//
// A write or a sync that fails is the end of the process (Options.Fatal): whether the bytes are on the disk is then not known,
// and a sync that is tried again may say yes without having done it. Damage is a *DamageError that names the place.
//
// A write that finds no room is no such failure: how much of it is on the disk is known, so the rest can be written when there is
// room. Pebble's own writes wait for that, below it (guardedDisk), the journal is read-only as long, and checkpoints are put off
// before they begin, when the disk is below its low-water mark. A commit of mode Sync does not wait: whoever ordered waits
// for it. Nor does a start, nor the end of a run.
//
// What this does not defend against: a disk that says it has synced and has not; damage of the very last write after a crash,
// which looks like a torn one; a log or manifest that is simply shorter after a crash; and somebody who writes a journal by hand.
package journal
