// Package clientsim simulates users on top of package client. They trust nothing that the
// server says: each keeps a shadow.Shadow of its account, which computes the account from the
// trades with its own arithmetic, and compares it with every event, list and page of history
// that comes.
//
// A program that has a server runs the ten clients of the mission against it:
//
//	report, err := clientsim.Mission(ctx, clientsim.MissionConfig{Addr: "127.0.0.1:7300"})
//	if err != nil {
//		return err // an ErrCannotRun: no server, or too few accounts
//	}
//	report.Render(os.Stdout)
//	if !report.OK() {
//		os.Exit(99)
//	}
//
// The server's part, the fills that nobody ordered, comes from MissionScript; the clients need
// no administrative access. Additional fills, from a simulated flow, disturb nothing.
//
// Swarm runs a crowd of clients in the same way: as many as asked for, each of which thinks,
// buys, sells and queries as its Profile says.
//
// # What is right and what is wrong
//
// Connections may break. A client then comes back and resumes; the events that it missed
// follow, are checked like all others, and are counted. A server that has begun a new history
// (another epoch, as after a restart without a durable journal) cannot be resumed from. The
// shadow then starts anew from the server's snapshot, which is counted and reported. A mission
// client also begins its current task anew, from what its account is then.
//
// These are wrong: a sequence left out or repeated; REPLAY where it should not be, or missing
// where it should be; an event, a list or a state hash that does not follow from the trades
// that stand, after those taken back or corrected; an event that is not identical to the last
// byte when it comes again; an order executed differently from what was ordered, or refused
// although the shadow says that it was good; a login that resumes elsewhere, or begins anew in
// the same history; an answer that never comes.
//
// # How a client works
//
// A client has one goroutine besides those of the client library. It takes the updates of its
// account even while one of its requests is under way: when the answer arrives, everything
// before it has been applied to the shadow. So a list is compared as of exactly its own
// sequence, and a refusal with what was held between the order and the answer.
package clientsim
