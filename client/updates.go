package client

import "time"

// Update is what Next returns: an [*Event], [*Connected], [*Disconnected], [*Quotes] or
// [*Presence].
type Update interface{ update() }

// Connected says that a connection is logged in. The events that follow came on that
// connection.
type Connected struct {
	UID      uint64 // of the connection, assigned by the server
	Addr     string // as it was dialled
	Server   string // name and version, for people
	Epoch    uint64 // of the server's history
	Instance uint64 // identifies this run of the server, even if the epoch stays; 0 if unknown
	HeadSeq  uint64 // the account's newest sequence at the login
	Resumed  bool   // the stream continues after the last event, without loss or repetition
	Resynced bool   // the stream could not continue: a snapshot replaced Before by After

	// Missed is, if Resumed, how many events follow with Replay. If Resynced, it is how many
	// events were skipped, or 0 if the epoch is new.
	Missed uint64

	Attempts int           // how many were needed, including this one
	Away     time.Duration // since the previous connection ended, or since Open
	Before   *State        // if Resynced, the state that was replaced
	After    *State        // the snapshot; nil if Resumed
}

// Disconnected says that a connection ended, or that an attempt to make a new one failed.
type Disconnected struct {
	Err     error         // why
	Attempt int           // 0 if a connection ended; n if the nth attempt since then failed
	Retry   time.Duration // until the next attempt
}

// Quotes are the prices subscribed to, ordered by market and code: the latest price of each
// instrument that has a new one since the last Quotes. Not every price is delivered, and their
// place among the events means nothing.
type Quotes struct{ Quotes []Quote }

// Presence says that a session of the account came or went; some servers are configured to
// report the sessions of all accounts. Only the latest state of a session is delivered. Changes
// while there was no connection are not reported.
type Presence struct {
	Account  uint64
	UID      uint64 // of the session's connection
	Online   bool   // true if it came, false if it went
	Sessions uint32 // how many sessions the account has now
}

func (*Event) update()        {}
func (*Connected) update()    {}
func (*Disconnected) update() {}
func (*Quotes) update()       {}
func (*Presence) update()     {}

// Topic is a kind of update to subscribe to.
type Topic uint8

// The topics.
const (
	TopicQuotes   Topic = iota + 1 // *Quotes: the current prices at once, then the changes
	TopicPresence                  // *Presence: logins and logouts
)
