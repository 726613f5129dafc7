package client

import "time"

// Welcome is a server's first message on a connection.
type Welcome struct {
	UID          uint64        // of the connection; not reused while the server runs
	Protocol     uint32        // version
	Server       string        // name and version, for people
	Epoch        uint64        // of the history that the sequences belong to
	Nonce        []byte        // set if the server asks for a proof at the login
	ProofVersion uint32        // of that proof; 0 if there is none
	Heartbeat    time.Duration // 0 if the server does not say
	MaxFrame     uint32        // length of the largest frame that the server accepts after the login
	Instance     uint64        // identifies this run of the server; 0 if the server does not say
}

// LoginReply is a server's answer to a login.
type LoginReply struct {
	Account   uint64
	HeadSeq   uint64     // the account's newest sequence; 0 if there is none yet
	OldestSeq uint64     // the oldest that can be sent again; 0 if there is none
	Epoch     uint64     // of the history that the sequences belong to
	Mode      ResumeMode // the server's choice: ModeSnapshot if it could not resume
	Resynced  bool       // the server was asked to resume but could not
	Holdings  *Holdings  // nil unless Mode is ModeSnapshot
}
