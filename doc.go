// Package papertape is the root of a paper-trading server. The server holds the positions of many accounts, executes
// and simulates trades on them, and pushes every fill, and every bust of a fill, to long-lived client connections
// without gaps or repeats. This package has no code; its comment is a one-page overview.
//
// codec handles frames, engine processes requests on an ants pool between the network edge (gnet) and the disk edge
// (Pebble), and positions holds the books. The packages are:
//
//	api/papertape/v1    the wire contract: papertape.proto and the Go code generated from it
//	codec               network bytes <-> values: splits frames, decodes and encodes messages; pure functions
//	market              what is traded, and at which price: instruments, the seeded price walk
//	positions           who holds what: a pure state machine; no I/O, no clock, no goroutine
//	engine              the core: shards of accounts, drained on an ants pool; decides, commits, applies, answers
//	engine/gateway      the network edge: sessions, outboxes, limits; the only place that imports gnet
//	engine/simulator    simulated fills: the seeded flow of simulated trades, and scenario scripts
//	client              the Go SDK: login, orders, an ordered event stream that survives reconnects
//	clientsim           simulated users on top of client, whose shadow positions check the server
//	console             the admin side: HTTP API, health, profiles
//	cmd/papertape       flags, configuration, wiring; nothing else
//
// An order arrives at the gateway, which has codec decode it and submits the value to the engine. The engine puts it
// into the inbox of the account's shard. A worker drains the shard: it lets the book decide, commits the batch, applies
// it, and publishes the events through its Outlet. That is the gateway again: each event is encoded once, appended to
// the outbox of every session of the account, and written by the event loop that owns the session.
//
// Encoded bytes exist only at the two edges; between them travel positions.Order and positions.Event. The table in
// architecture_test.go says which package may import which, and the test fails if the code disagrees with it.
// docs/architecture.md has the details, docs/protocol.md is for authors of clients in other languages, and docs/adr
// records the decisions and the rejected alternatives.
package papertape
