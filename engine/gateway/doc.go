// Package gateway is the network edge, and the only place that imports gnet. Event loops cut and decode frames and hand
// requests to the engine; the engine's drainers append answers and pushes to the sessions' outboxes; the loops write them.
//
//	gw := gateway.New(gateway.Config{…})
//	eng, err := engine.New(engine.Config{Outlet: gw, …})
//	err = gw.Serve(ctx, eng, func(addr string) { log("listening on", addr) })   // until ctx ends, then drains
//
// # Out
//
// A drainer appends a frame to the outbox of a session under the session's mutex and notes the session as dirty. At the end
// of its step it hands each loop the sessions that became dirty and rings the loop, once. The loop swaps each outbox out and
// writes it with one system call. What the socket does not take waits in gnet's outbound buffer; it counts against the
// session's bound together with the outbox.
//
// gnet's AsyncWrite was rejected: it costs a write and three allocations a message, and its queue has no bound (ADR 0002).
// The ring goes through EventLoop.Execute and not through Conn.Wake, which is lost silently if its connection has closed.
// The loop clears its rung flag before it swaps the dirty list: what is added after the swap rings again.
//
// # Deadlines
//
// gnet has none. Each loop has a timing wheel in which every session of the loop stands once, at the earliest of its
// deadlines as they were when it was put there. Traffic only stores the time; when the slot comes up the deadlines are
// computed again. One ticker for all loops turns the wheels, slowly; a loop that has a backlog or sessions that are ending turns its
// own more often.
//
// # Many
//
// What is done for every session of a loop, quotes, presence and pings, is done a millisecond at a time, with reads and
// answers between. Presence is kept once for all subscribers, the latest state of each account in the order of change;
// of a subscriber only the version is kept that it has been told.
//
// # Ends
//
// GOODBYE is the last frame: after it the outbox takes nothing more. It comes when every request that was taken has been
// answered, a stall timeout later at most; what the client sends meanwhile is thrown away. Once it is written the
// sending half is shut down, and input is thrown away until the client closes or a second has passed; closing at once
// would reset the connection under the GOODBYE if there was unread input. Only a client that does not read is cut at
// once.
//
// To gnet a client that shuts down its sending half is gone. Where answers are due to it, OnClose duplicates the
// descriptor before gnet closes it, and the loop writes to that by itself until everything is answered (ADR 0013). It
// stays a session of its loop, and counts as a connection.
package gateway
