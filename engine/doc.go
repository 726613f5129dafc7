// Package engine is the server's core: it routes requests to shards, decides them, makes the events durable, and only then
// answers and pushes. It never sees a socket or a byte of wire format: requests come in as values, answers leave through
// an Outlet, events become durable through a Journal.
//
// # The loop
//
//	gw := gateway.New(…)                        // any Outlet
//	j, err := journal.Open(…)                   // or engine.NewMemoryJournal()
//	eng, err := engine.New(engine.Config{Outlet: gw, Journal: j, …})
//	err = j.Recover(ctx, eng, progress)         // a journal that keeps: eng.Load for each account, eng.Replay for each event
//	go j.Run(ctx, eng)                          // eng.Checkpoint and eng.Checkpointed, now and then; Open may wait for one
//	err = eng.Open(ctx, accounts, opening)      // the simulator's Accounts.Open for one
//	…
//	n := eng.Submit(account, requests)          // from an event loop: never blocks; requests[n:] were refused for fullness
//	eng.Login(session, login)                   // control lane: never refused
//	…
//	err = eng.Drain(ctx)                        // everything taken is finished, durable and answered
//	…                                           // a last checkpoint: the next start has nothing to replay
//	eng.Stop()                                  // nothing touches the journal any more
//
// # A shard
//
// Accounts are spread over shards by number. A shard has a mailbox (a bounded inbox of requests and a control lane) and at
// most one drainer at a time, which runs on the ants pool. Whoever puts something into the mailbox of a shard that is not
// armed arms it and submits the drain; the drainer disarms it, under the same mutex, only when it finds the mailbox empty.
// So a request is never left behind, requests of one shard are served first in first out, and the book, the live sessions
// and the memory tail of a shard need no locks: the drainer owns them.
//
// # A step
//
// The drainer works in steps of at most stepRequestsMax requests:
//
//  1. decide: each order is decided and applied to the book; queries copy what they need at their place. What one item
//     or one request causes is an action: a span of the step's events, or an answer;
//  2. commit: the events of the step become durable, together;
//  3. publish: in the order of step 1, events go to the memory tail and to the live sessions, replies to whom they belong,
//     logins join the live list; sessions that are catching up get their next piece last. A checkpoint then has its slice.
//
// Nothing leaves before the commit returned, answers to queries included, so nobody outside ever sees what a crash could
// take back. The simpler idea, to answer each order when it is decided and to sync later, was rejected for that reason;
// to commit each order by itself costs a sync per order instead of one per step.
//
// A panic while deciding is answered as an internal error and leaves the book untouched. A panic anywhere else in a step,
// and a failed commit, end the process through Config.Fatal: memory and journal might no longer agree, and no answer
// would be honest.
//
// # A new operation
//
// What does not go through the inbox is an item of the control lane: a value with two methods, for its part of step 1 and
// of step 3. One file has all of an operation: what it is asked with, its items, and what they do (login.go, catchup.go,
// history.go, bust.go, checkpoint.go, …). Nothing else knows of it. What the process itself asks waits as a question.
//
// # Who may touch what
//
// The fields of a shard say who owns them. Built with the tag ownercheck, as for `make race`, what touches those of the
// drainer checks that it runs on the drainer, and panics if not: package owner.
//
// # What is in memory, and what is not
//
// A journal that keeps has an event twice: at once in a commit, from where only recovery reads it, and after a checkpoint in
// its account's history, from where Read does. In between it is in the memory tail and nowhere else to be read, so there it is
// pinned. Once a checkpoint is durable the tail is a cache. Config.UncheckpointedBytesMax bounds what is pinned, and so what
// there is to replay: when it is reached, orders are refused as busy until a checkpoint has been made.
package engine
