// Package engine is the server's core. It routes requests to shards, decides them, makes the
// resulting events durable, and only then answers and pushes. It never sees a socket or a byte of
// the wire format: requests come in as values, answers leave through an Outlet, and events become
// durable through a Journal.
//
// # The loop
//
//	gw := gateway.New(…)                   // any Outlet
//	j, err := journal.Open(…)              // or engine.NewMemoryJournal()
//	eng, err := engine.New(engine.Config{Outlet: gw, Journal: j, …})
//	err = j.Recover(ctx, eng, progress)    // a journal that keeps: eng.Load per account, eng.Replay per event
//	go j.Run(ctx, eng)                     // eng.Checkpoint and eng.Checkpointed now and then; Open may wait for one
//	err = eng.Open(ctx, accounts, opening) // for example the simulator's Accounts.Open
//	…
//	n := eng.Submit(account, requests)     // from an event loop: never blocks; a full inbox refused requests[n:]
//	eng.Login(session, login)              // through the control lane: never refused
//	…
//	err = eng.Drain(ctx)                   // every accepted request is decided, durable and answered
//	…                                      // a last checkpoint: the next start has nothing to replay
//	eng.Stop()                             // nothing touches the journal any more
//
// # A shard
//
// Accounts are spread over shards by number. A shard has a mailbox (a bounded inbox of requests,
// and a control lane) and at most one drainer at a time, which runs on the ants pool. Whoever puts
// something into the mailbox of a shard that is not armed arms the shard and submits a drain. The
// drainer disarms it, under the same mutex, only when it finds the mailbox empty. So no request is
// left behind, the requests of a shard are served first in, first out, and the book, the live
// sessions and the memory tail of a shard need no locks: the drainer owns them.
//
// # A step
//
// The drainer works in steps of at most stepRequestsMax requests:
//
//  1. decide: each order is decided and applied to the book; queries copy the state they need at their
//     place in the order. An action is what one item or one request causes: a span of the step's events,
//     or an answer;
//  2. commit: the events of the step become durable, together;
//  3. publish: in the order of pass 1, events go to the memory tail and to the live sessions, replies go to
//     their sessions, and logins join the live list. Sessions that are catching up get their next piece
//     last. Then a checkpoint gets its slice.
//
// Nothing leaves before the commit has returned, not even answers to queries, so nobody outside
// ever sees anything that a crash could undo. That rules out the simpler design of answering each
// order when it is decided and syncing later. Committing each order separately would cost a sync
// per order instead of one per step.
//
// A panic while deciding is answered as an internal error and leaves the book untouched. A panic
// anywhere else in a step, or a failed commit, ends the process through Config.Fatal: memory and
// journal might disagree, so no answer could be trusted.
//
// # A new operation
//
// An operation that does not go through the inbox is an item of the control lane: a value with two
// methods, for its part in pass 1 and in pass 3. Each operation has a file of its own, with its
// API, its items, and what they do (login.go, catchup.go, history.go, bust.go, checkpoint.go, …).
// No other code knows about it. Queries of the process itself are questions (question.go).
//
// # Ownership
//
// The fields of a shard say who owns them. In a build with the tag ownercheck, as in `make race`, code
// that touches the drainer's fields checks that it runs on the drainer, and panics if it does not: see
// package owner.
//
// # Memory and journal
//
// A journal that keeps events has each of them twice: first in a commit, which only recovery reads,
// and after a checkpoint in the account's history, which Read returns. In between, an event can
// only be read from the memory tail, so it is pinned there. Once a checkpoint is durable the tail
// is only a cache. Config.UncheckpointedBytesMax bounds the pinned events, and so the events to
// replay. When it is reached, orders are refused as busy until a checkpoint has been made.
package engine
