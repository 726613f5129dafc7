// Package client is the Go client of the Papertape protocol. It keeps an account up to date
// over any number of connections, places orders, asks for holdings, history and prices, and
// returns the account's events in one ordered stream.
//
// The loop that a caller writes:
//
//	a, err := client.Open(ctx, "127.0.0.1:7300", client.AccountOptions{Account: 100017, Cursor: "100017.cursor"})
//	if err != nil {
//		return err // *Reject: login refused; *Goodbye: server full or stopping; or no server
//	}
//	defer a.Close()
//	show(a.State()) // the holdings, from the server or from the cursor file
//	for {
//		u, err := a.Next(ctx)
//		if err != nil {
//			return err // ctx's, ErrClosed, or an error that no reconnect cures
//		}
//		switch u := u.(type) {
//		case *client.Event: // it is in a.State() already
//			show(u)
//		case *client.Connected:
//			// u.Missed events follow; or, if u.Resynced, a snapshot replaced u.Before by u.After.
//		case *client.Disconnected: // u.Err says why; the account tries again in u.Retry
//		}
//	}
//
// Meanwhile any goroutine may call [Account.Order], [Account.Buy], [Account.Sell],
// [Account.Holdings], [Account.History], [Account.Instruments], [Account.Subscribe],
// [Account.SubscribeQuotes], [Account.Bars], [Account.Trades], [Account.Clock], [Account.Calendar],
// [Account.Ping] and [Account.Verify]. Each of these has an example.
//
// Where the server asks for keys, AccountOptions.Key is one from [ReadKey], [ParseKey] or [NewKey];
// without it Open returns [ErrKeyNeeded]. A session whose key is revoked ends with a [*Goodbye] of
// reason GoodbyeKicked, and the next login with a [*Reject] of code Unauthorized.
//
// # The types
//
// All types belong to this package, so the messages of the wire can change without a change for
// its users. An [Event] is a [Trade], a [Bust], an [Adjustment] or a [Reset], together with the rows
// ([Position]) and the [Cash] after it. Prices and amounts are [Money], an exact decimal;
// quantities are in shares; times are the server's, in UTC.
//
// A newer server may send values that this package does not know. An unknown value of an
// enumeration keeps its number and prints as RejectCode(57). An event of an unknown kind has
// none of Trade, Bust, Adjustment and Reset set; its rows and cash are applied to the state, and Next
// returns it in its place in the sequence. New fields are ignored.
//
// # The stream
//
// Next returns every event of the account once, in sequence and without a gap, over all
// connections. That includes the executions of this program's own orders (Event.Execution),
// although Order returns them too. After a reconnect the account resumes after the last event
// received. If the server cannot resume, because it has begun a new history or no longer keeps
// those events, the state is replaced by a snapshot. Connected reports that with Resynced and
// the states before and after. A gap in the sequence is never skipped: the account drops the
// connection and resumes on the next one. The heartbeat compares the server's newest sequence
// with the last one received, so that events lost at the end of the stream are noticed as well.
// A connection that is silent for three heartbeat intervals is taken for dead.
//
// Between events, Next returns [*Connected] and [*Disconnected] and, if subscribed, [*Quotes]
// and [*Presence]. A slow caller gets only the latest quote of each instrument and the latest
// presence of each session. Events are never dropped.
//
// # The state
//
// An event carries the values after it, never differences, so State applies a trade, a bust and
// an adjustment in the same way. After every resume the account compares its state with the
// server's holdings as of the same sequence, by the state hash of the protocol. A snapshot is
// checked against its own hash. A difference is reported as [Disconnected] with a
// [*StateMismatch] and cured by a snapshot; a second one in a row ends the account. Verify
// makes the comparison at any time.
//
// # Killed and started again
//
// With [AccountOptions].Cursor, a file keeps the state, its place in the stream, and a note of
// the caller's own. The file is replaced atomically and synced. After a restart the account
// continues from it.
//
//   - In the state, every event counts exactly once, whenever the program is killed.
//   - The same is true of the note, if the caller puts the outcome of each event into the note
//     and calls Save before it calls Next: state and note are stored together. From the first
//     Save on, only Save moves the cursor.
//   - Any other effect of an event (a line printed, a row written elsewhere) happens at least
//     once: events since the file was last written come again after a restart. Without notes
//     the file is written when Next is called again, because that says that the caller is done
//     with what Next returned before. Next writes it before it waits, so once for a burst, or
//     after 256 events at the latest. Close says the same as Next and writes it too.
//
// A file that is damaged, or that belongs to another account, is reported as a [*CursorError]
// and not overwritten.
//
// # Orders across a disconnect
//
// [Account.Order] gives an order a ClientOrderID if it has none. If the connection breaks while
// an order is under way, the order is sent again on the next connection. Thanks to its id the
// server executes it only once, and answers with the first execution (Event.Replay). While
// there is no connection, orders wait for one, for as long as ctx allows. An order is not sent
// again if that could execute it twice; the error is then [ErrOutcomeUnknown]. This is so after
// the server has begun a new history, since it forgets the ids with the old one: for instance
// after every start of a server with durability none.
//
// # Reading is the caller's duty
//
// At most 1,024 updates wait for Next. When that many wait, the account stops reading from the
// connection. The answers to its own requests then wait behind the events, the server limits it
// as it limits any slow reader, and a connection that ends is replaced only once there is room.
// So a caller who does not want events must still call Next, or use a Client with
// Options.DiscardEvents.
//
// # One connection
//
// A [Client] is exactly one connection: [Dial] logs in as [Options] say, and [Client.Next]
// returns its events until it ends. To continue, the caller dials again with [ModeResume] and
// the last sequence applied.
package client
