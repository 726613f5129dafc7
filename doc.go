// Package papertape is the root of a paper-trading server: it holds the positions of many accounts, executes and
// simulates trades on them, and pushes every fill, and every fill taken back, to long-lived client connections, without
// a gap and without a repeat. There is no code here; this is the house in one page.
//
// codec frames, engine runs requests on ants between its network edge (gnet) and its disk edge (Pebble), positions
// holds the books. That is the whole idea; the rest is where to find what:
//
//	api/papertape/v1    the wire contract: papertape.proto and the Go code generated from it
//	codec               network bytes <-> values: cuts frames, decodes and encodes messages; pure functions
//	market              what is traded, and at what price: instruments, the seeded price walk
//	positions           who holds what: a pure state machine; no I/O, no clock, no goroutine
//	engine              the core: shards of accounts, drained on an ants pool; decides, commits, applies, answers
//	engine/gateway      the network edge: sessions, outboxes, limits; the only place that imports gnet
//	engine/simulator    fills nobody ordered: the seeded flow of simulated trades, and scenario scripts
//	client              the Go SDK: login, orders, an ordered event stream that survives reconnects
//	clientsim           simulated users on top of client, with shadow positions that check the server
//	console             the admin side: HTTP API, health, profiles
//	cmd/papertape       flags, configuration, wiring; nothing else
//
// An order comes in through the gateway, which has codec turn bytes into a value and hands that to the engine. The
// engine puts it into the inbox of the account's shard; a worker drains the shard, has the book decide, commits the
// batch, applies it, and publishes the events through its Outlet, which is the gateway again: encoded once, appended to
// the outbox of every session of the account, written by the event loop that owns the session.
//
// Bytes live at the two edges only; between them travel positions.Order and positions.Event. Who may import whom is a
// table in architecture_test.go, which fails when the table and the code disagree. docs/architecture.md tells the same
// at length, docs/protocol.md is for whoever writes a client in another language, docs/adr has the choices and what was
// rejected.
package papertape
