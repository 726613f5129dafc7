// Package client is the Go side of the Papertape protocol: it keeps an account up to date over any number of connections,
// places orders, asks for holdings, history and prices, and hands out the account's events in one ordered stream.
//
// The loop that a caller writes:
//
//	a, err := client.Open(ctx, "127.0.0.1:7300", client.AccountOptions{Account: 100017, Cursor: "100017.cursor"})
//	if err != nil {
//		return err // *Reject: the login was refused; *Goodbye: the server is full or stopping; nobody there
//	}
//	defer a.Close()
//	show(a.State()) // the list: the server's, or as the cursor file has it
//	for {
//		u, err := a.Next(ctx)
//		if err != nil {
//			return err // ctx has ended; ErrClosed; what no reconnect cures
//		}
//		switch u := u.(type) {
//		case *client.Event: // it is in a.State() already
//			show(u)
//		case *client.Connected: // u.Missed events follow, or the state was replaced (u.Resynced: u.Before, u.After)
//		case *client.Disconnected: // u.Err says why; the account tries again in u.Retry
//		}
//	}
//
// Meanwhile any goroutine may call [Account.Order], [Account.Buy], [Account.Sell], [Account.Holdings],
// [Account.History], [Account.Instruments], [Account.Subscribe], [Account.Ping] and [Account.Verify]. The verbs have an
// example of each.
//
// # The types
//
// All types are this package's own, so the messages of the wire can change without a change for its users. An [Event]
// is a [Trade], a [Bust] or an [Adjustment], with the rows ([Position]) and the [Cash] after it. Prices and amounts
// are [Money], an exact decimal; quantities are shares; times are of the server's clock, in UTC.
//
// A newer server may send what this package does not know. A value of an enumeration keeps its number and prints as
// RejectCode(57). Of an event of a new kind none of Trade, Bust and Adjustment is set; its rows and cash are applied to
// the state, and it is handed out in its place in the sequence. Fields that are new are not seen.
//
// # The stream
//
// Next hands out every event of the account once, in sequence and without a hole, over all connections: also the executions
// of this program's own orders, each in its place (Event.Execution), though Order returns them too. The account resumes
// after the last event that came. Where the server cannot resume (it has begun a new history, or does not keep events that
// long) the state is replaced by a snapshot, and Connected says so: Resynced, with the state before and after. What is not
// the next sequence is never skipped: the connection is given up, and the next one resumes. The heartbeat compares the
// server's newest sequence with the last one that came, so that events lost at the end of the stream are noticed as
// well, and three intervals of silence end a connection that was cut without a word.
//
// Between events come [*Connected], [*Disconnected], and as subscribed [*Quotes] and [*Presence]. Of the last two, a
// caller who is slow gets the latest of each instrument and session; events are never dropped.
//
// # The state
//
// An event carries values after it, never a difference; State sets them, for a trade, a bust and an adjustment alike.
// After every resume the state is compared with the server's holdings as of the same sequence, by the state hash of
// the protocol; a snapshot is compared in itself. A difference is reported as [Disconnected] with a [*StateMismatch]
// and cured by a snapshot; a second one in a row ends the account. Verify compares at any time.
//
// # Killed and started again
//
// With [AccountOptions].Cursor the state, its place in the stream, and a note of the caller's are kept in a file,
// which is replaced whole, synced. After a restart the account goes on from it.
//
//   - In the state every event counts exactly once, whenever the program is killed.
//   - So it does in the note, if the caller puts what came of an event into the note and calls Save before it calls Next:
//     state and note are stored together. From the first Save on, the cursor moves by Save alone.
//   - Whatever else the caller does about an event (a line printed, a row written elsewhere) happens at least once: the
//     events since the file was written come again after a restart. Without notes the file is written when Next is called
//     again: that says the caller is done with what Next returned before. It is written before Next waits, so once for
//     a burst, after 256 events at the latest, and by Close, which says the same as Next.
//
// A file that is damaged, or of another account, is a [*CursorError], and not overwritten.
//
// # Orders across a disconnect
//
// [Account.Order] gives an order a ClientOrderID if it has none. An order under way when the connection breaks is
// sent again on the next one; by its id the server executes it once, and answers with the first execution
// (Event.Replay). While there is no connection, orders wait for one; ctx bounds that. Where an order was sent, and
// sending it again could execute it twice, it is not: [ErrOutcomeUnknown]. That is so after the server has begun a new
// history, since it forgets ids with it: after every start of one with durability none, for instance.
//
// # Reading is the caller's duty
//
// At most 1,024 updates wait for Next. When they do, the account stops reading from the connection: answers to its own
// requests wait behind the events, the server's cap applies to it as to any slow reader, and a connection that ends is
// made again when there is room. So who does not want events still has to call Next, or use a Client with
// Options.DiscardEvents.
//
// # One connection
//
// A [Client] is one connection and nothing more: [Dial] logs in as [Options] say, [Client.Next] returns its events
// until it ends, and the caller dials again, with [ModeResume] and the last sequence applied.
package client
