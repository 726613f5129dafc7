// Package truth checks what clients believe in the end, after everything that can come between them
// and a server.
//
// Clients of package client, with cursor files, live in processes of their own, behind proxies of
// this package. They place orders, a simulated flow fills, and an operator takes trades back.
// Meanwhile their connections are cut (also in the middle of a frame) and stalled; the clients are
// frozen, killed and started again, and so is the server. A seed determines what happens when.
//
// In the end everything comes to rest, and for each account these must hold:
//
//   - the client's state has the state hash and the sequence that the server's console gives;
//   - the client's note, which it stores together with its state, has a digest of every event in
//     order. It equals the digest of the events that a new connection reads, so over all lives of
//     the client each event counted once;
//   - a shadow.Shadow finds nothing wrong with those events, nor with the holdings.
//
// A resync, a hole or a mismatch on the way is a failure too: nothing was lost, so there is no
// reason for one.
//
//	report, err := truth.Run(ctx, truth.Config{Binary: "bin/papertape", Duration: time.Minute, Seed: 1, Data: dir})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// The client's side of it is Client, which the binary runs as `papertape torture client`.
package truth
