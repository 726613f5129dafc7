package client

import "time"

// Welcome is a server's first message on a connection.
type Welcome struct {
	UID       uint64        // of the connection; never given out again while the server runs
	Protocol  uint32        // version
	Server    string        // name and version, for people
	Epoch     uint64        // of the history that sequences belong to
	Nonce     []byte        // where the server asks for a proof at the login
	Heartbeat time.Duration // 0: the server does not say
	MaxFrame  uint32        // length of the largest frame that the server takes after the login
	Instance  uint64        // of this run of the server: another after each start; 0: the server does not tell
}

// LoginReply is a server's answer to a login.
type LoginReply struct {
	Account   uint64
	HeadSeq   uint64     // the account's newest sequence; 0: none yet
	OldestSeq uint64     // the oldest that can be sent again; 0: none
	Epoch     uint64     // of the history that they belong to
	Mode      ResumeMode // what the server does: ModeSnapshot where it could not resume
	Resynced  bool       // it was asked to resume, and could not
	Holdings  *Holdings  // with ModeSnapshot, else nil
}
