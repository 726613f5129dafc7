// Package journal makes the engine's events durable, and gives them back. It implements
// engine.Journal with durability sync and interval on top of Pebble, and is the only package that
// knows Pebble. What it stores of an event is the record that the engine has made (package record).
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
// Whenever the process or the machine stops, the disk has for each account its events 1, 2, 3, …, n
// without a gap. n is at least the last event that was acknowledged (in mode Interval: that was
// synced), and at most the last one that was committed. The events are stored as the account's
// state at its last checkpoint, and the later events in blocks.
//
// # What is stored
//
//	A account            the account as of its last checkpoint: sequence, cash, all its rows
//	H account, sequence  its events up to the checkpoint, in runs: history, resume
//	I account, sequence  the order ids that it remembers
//	J number             blocks: the events of all commits that were written together; number and hash form a chain
//	T number             the instruments that records name by number: market, code, name, currency
//	M run, mark          epoch and mode of the last run; the block up to which the checkpoints have everything
//	M idkey              the key with which order ids are hashed
//	CLEAN, BACKUP        files beside the database: how the last run ended; that this is a backup
//	UNFINISHED           file that marks an incomplete backup, which nobody opens
//	format-1             directory with a backup: the ledger as the last program that wrote format 1 left it
//
//	H 100017,1 ── H 100017,257 ── A 100017 (at event 300)
//	H 100018,1 ── A 100018 (at event 12)
//
//	(dropped: up to 70) │ J 71 ◄── J 72 ◄── J 73     the only keys that an order writes
//	  mark: 70 and its hash, which J 71 names
//
// An account is one value, not one per row. It is replaced as a whole, so no row ever has to be
// deleted, and the rows are never partly old and partly new. Every value has a checksum, which also
// covers its key, and a version.
//
// # Formats
//
// What is written is format 2: values of version 2, which values.go describes. Values of version 1
// (format1.go) are read for ever, and stay as they are; nothing is rewritten. A record of version 2
// names an instrument by its number in the ledger's own table, so that the universe may change around
// it: a start adds what the table lacks, in the batch of the run record, before any event can use it.
// Version 1 names it by market and code. The hashes of order ids have 128 bits and a key of the ledger;
// those of version 1 have 64 bits and none, and are forgotten as newer ids come.
//
// The first start on a ledger of format 1 first recovers it, then makes a backup by hard links in the
// ledger's directory, and only then writes the record of the run, which says format 2 from then on.
// Until that is synced the ledger is of format 1, and the next start makes the backup anew. An older
// program reads the format in the record of the run and refuses the ledger; so that record, and the
// file CLEAN, are still written as in format 1. A program refuses a newer format, and a record of a
// kind that it does not know, with a sentence that says that a newer program wrote it.
//
// # Commits
//
// The shard brings the records of its events. A single committer takes the commits of all shards that
// are waiting, writes them as one block, in one Pebble batch with one sync, and releases their callers.
// What arrives meanwhile is the next block. This is the group commit.
//
// A simpler idea was rejected: one row per event, and an index entry, in the batch of its commit.
// It needs no checkpoints and no second copy. But measured on two cores, with 96-byte events from
// 64 writers, it costs 1.4 µs of CPU per event where a block costs 0.22, in batches of 256, and 2.3
// against 0.58 in batches of 16, because Pebble's cost is per key. Another idea was to let Pebble
// group the commits of the shards, as its commit pipeline does. Then each shard's batch is a write
// and a log entry of its own, and there is no order of blocks that a chain could hold together.
//
// # Checkpoints
//
// A checkpoint goes account by account: the events, rows, cash, sequence and order ids of an
// account are in one batch, which is not synced. Last comes the mark, and in the same batch the
// blocks up to it are dropped; this batch is synced. Pebble's log is sequential, so that sync covers
// everything before it. Any other order is broken by some crash:
//
//   - the mark before the accounts: a crash in between loses the events of the dropped blocks;
//   - the blocks dropped before the mark: recovery finds a gap after the old mark;
//   - rows in one batch and events in another: an account has events that its history lacks;
//   - the mark without the block's hash: the first block after it would be linked to nothing.
//
// An account may have a newer checkpoint than the mark. That is harmless: events are absolute, and
// recovery skips those that the account has already.
//
// # Starting
//
// Before it writes anything, even the lock, Open looks at the names of the files in the directory:
// it does not begin a journal among other people's files. If the last run did not record its end,
// the database is first opened for reading only, for two reasons: Pebble changes even another
// program's database as soon as it opens it, and there must be room on the disk for the events in
// the log.
//
// Open then decides how the last run ended. If the file CLEAN exists, it says with which block and
// mark the journal ended, and any difference is damage. CLEAN is removed, and that is synced, before
// the first write of the new run; otherwise a crash of this run would be compared with the end of
// the last one. If CLEAN does not exist, the end of Pebble's log may be torn: the last write is cut
// off, and that is logged. Pebble cuts without a word, and after one flipped bit in its newest log
// it cuts what was acknowledged. So the log is read here first; if a block behind the cut says that
// more had been synced than would be left, it is damage (see wal.go).
//
// The epoch stays as long as no sequence can have been given out twice. A run records its mode
// before it writes anything else, so the start after an Interval run that did not end cleanly knows
// that it needs a new epoch. So does a start from a backup: the file BACKUP exists from before the
// backup gets its name until the new epoch is synced.
//
// # Reading
//
// Verify, Export and BackupStopped use a file system that refuses all changes (readOnlyFS). They
// share a lock with each other, and a server takes the same lock for itself. The simpler idea was to
// take the server's lock. But that creates its file, so journals on read-only file systems could
// not be read.
//
// # Failures
//
// A write or sync that fails ends the process (Options.Fatal): whether the data is on the disk is
// then unknown, and a second sync may succeed without having written it. Damage is reported as a
// *DamageError that names the place.
//
// A full disk is different: it is known how much of the write is on the disk, so the rest can be
// written when there is room. Below Pebble, guardedFS makes its writes wait for that; the journal is
// read-only meanwhile. While the disk is below its low-water mark, checkpoints are put off. A commit
// of mode Sync does not wait for room, because the client waits for the commit. Nor does a start, or
// the end of a run.
//
// The journal does not protect against a disk that says it has synced when it has not; damage of
// the very last write before a crash, which looks like a torn write; a log or manifest that is
// merely shorter after a crash; and somebody who forges a journal.
package journal
