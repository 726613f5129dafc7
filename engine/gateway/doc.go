// Package gateway is the network edge, and the only package that imports gnet. Event loops cut and decode frames and
// submit requests to the engine. The engine's drainers append answers and pushes to the sessions' outboxes, and the
// loops write those to the sockets.
//
//	gw := gateway.New(gateway.Config{…})
//	eng, err := engine.New(engine.Config{Outlet: gw, …})
//	err = gw.Serve(ctx, eng, func(addr string) { log("listening on", addr) })   // until ctx ends, then drains
//
// # Goroutines
//
// Each loop is one goroutine. It owns its sessions and all their data, apart from the outboxes. gnet calls the handler
// on the loop of the connection; everything else reaches a loop as a task, through EventLoop.Execute. With the build
// tag ownercheck every way into a loop panics on another goroutine.
//
// # Writing
//
// A drainer appends a frame to a session's outbox under the session's mutex, and notes the session as dirty. At the end
// of its step it hands each loop the sessions that became dirty, and rings the loop once. The loop takes each outbox
// and writes it with one system call. Bytes that the socket does not accept wait in gnet's outbound buffer, and count
// against the session's bound together with the outbox.
//
// gnet's AsyncWrite was rejected: it costs a system call and three allocations per message, and its queue has no bound
// (ADR 0002). Loops are rung through EventLoop.Execute because Conn.Wake is silently lost when its connection has
// closed. The loop clears its rung flag before it takes the dirty list, so that a later addition rings again.
//
// # TLS and PROXY headers
//
// A session that needs either has a front (front.go), which stands between its socket and its frames. Ciphertext that
// came is given to package memtls, and what that has decrypted to the cutter of frames. A write encrypts the whole
// outbox into the loop's scratch. Nothing is written while crypto/tls is at work: a write that fails would close the
// session under it (ADR 0016). A plain session pays one comparison with nil for each read and write.
//
// # Deadlines
//
// gnet has none. Each loop has a timing wheel. Every session of the loop is in it once, at the deadline that was its
// earliest when it was put there. Traffic only stores the time; when the session's slot comes up, its deadlines are
// computed again. One slow ticker turns the wheels of all loops. A loop that has a backlog, or sessions that are
// ending, turns its own wheel more often.
//
// # Work for many sessions
//
// What a loop does for all its sessions (quotes, presence, pings) it does for a millisecond at a time, with reads and
// answers in between. Presence is kept once for all subscribers, as the latest state of each account in the order of
// change. For each subscriber only the version up to which it is informed is kept.
//
// # Keys
//
// Where keys are asked for, LOGIN is checked on the loop before the engine sees it, in a few
// microseconds. The nonce of a connection is a MAC of its uid, so none is kept. A session points to
// its key: after a reload each loop judges its sessions, and a key's end is one more deadline. Refused
// logins are limited by address, never by key.
//
// # Endings
//
// GOODBYE is the last frame: after it nothing can be added to the outbox. It is sent when every accepted request has
// been answered, or after the stall timeout. Input that arrives meanwhile is discarded. Then the sending half is shut
// down, and input is discarded until the client closes or a second has passed: closing at once, with unread input,
// would reset the connection, and GOODBYE could be lost. Only a client that does not read is cut at once.
//
// gnet treats a client that shuts down its sending half as gone. If answers are due to it, OnClose duplicates the
// descriptor before gnet closes it, and the loop writes to the duplicate by itself until everything is answered (ADR
// 0013). The session stays with its loop, and counts as a connection.
package gateway
