package client

import "time"

// Update is what Next hands out: an [*Event], [*Connected], [*Disconnected], [*Quotes] or [*Presence].
type Update interface{ update() }

// Connected says that a connection is logged in. The events that follow came on it.
type Connected struct {
	UID      uint64        // of the connection, given by the server
	Addr     string        // as it was dialled
	Server   string        // name and version, for people
	Epoch    uint64        // of the server's history
	Instance uint64        // of the server: another after each start, also where the epoch stays; 0: the server does not tell
	HeadSeq  uint64        // the account's newest sequence at the login
	Resumed  bool          // the stream goes on after the last event: nothing was lost and nothing comes twice
	Resynced bool          // it could not go on: the state was replaced by a snapshot; Before and After say what that changed
	Missed   uint64        // Resumed: how many events follow with Replay; Resynced: how many were skipped, 0 where the epoch is new
	Attempts int           // it took, this one included
	Away     time.Duration // since the connection before ended, or since Open
	Before   *State        // Resynced: the state that was replaced
	After    *State        // the snapshot; nil where Resumed
}

// Disconnected says that a connection ended, or that an attempt to make a new one failed.
type Disconnected struct {
	Err     error         // why
	Attempt int           // 0: a connection ended; n: the nth attempt since then failed
	Retry   time.Duration // until the next attempt
}

// Quotes are prices as subscribed, by market and code: the latest of each instrument that has one since the last
// Quotes. Not every price is seen, and their place among the events means nothing.
type Quotes struct{ Quotes []Quote }

// Presence says that a session of the account (of any account where the server is configured so) came or went. The latest
// state of a session is seen, not every one. What happened while there was no connection is not told.
type Presence struct {
	Account  uint64
	UID      uint64 // of the session's connection
	Online   bool   // it came; false: it went
	Sessions uint32 // that the account has now
}

func (*Event) update()        {}
func (*Connected) update()    {}
func (*Disconnected) update() {}
func (*Quotes) update()       {}
func (*Presence) update()     {}

// Topic is something to subscribe to.
type Topic uint8

// The topics.
const (
	TopicQuotes   Topic = iota + 1 // current prices, once when subscribed, then as they change: *Quotes
	TopicPresence                  // logins and logouts: *Presence
)
