// Package clientsim is simulated users on top of package client, who believe nothing that the server says: each keeps a
// shadow.Shadow of its account, which is computed from the trades with an arithmetic of its own, and compares it with
// every event, list and page of history that comes.
//
// A program that has a server runs the ten clients of the mission against it:
//
//	report, err := clientsim.Mission(ctx, clientsim.MissionConfig{Addr: "127.0.0.1:7300"})
//	if err != nil {
//		return err // an ErrCannotRun: nobody there, or too few accounts
//	}
//	report.Render(os.Stdout)
//	if !report.OK() {
//		os.Exit(99)
//	}
//
// The server plays its part, the fills that nobody ordered, from MissionScript; the clients need no administrative
// access. Fills that come in addition, from a simulated flow, disturb nothing.
//
// Swarm is a crowd of clients in the same way: as many as asked for, each of which thinks, buys, sells and asks as its
// Profile says.
//
// # What is right and what is wrong
//
// Connections may break, and a client then comes back and resumes; what it missed follows, is checked like all else, and is
// counted. A server that has begun a new history (another epoch, as after a restart without a durable journal) cannot be
// resumed from: the shadow then begins anew with the server's snapshot, and that is counted and said. A mission client
// begins what it was doing anew, too, from what its account is then.
//
// Wrong are: a sequence left out or repeated; REPLAY where it should not be, or the other way round; an event, a list or its
// state hash that is not what the trades come to, or, where one was taken back or corrected, those that stand; an event that is
// not the same to the last byte when it comes again; an order executed otherwise than ordered, or refused though the shadow says
// that it was good; a login that resumes elsewhere, or begins anew in the same history; an answer that never comes.
//
// # How a client works
//
// It has one goroutine, beside those of the client library, which takes the updates of its account also while a request of
// its own is under way: when the answer is there, all that came before it has been applied to the shadow. A list is thereby
// compared as of exactly its own sequence, and a refusal with what was held between the order and the answer.
package clientsim
