// Package torture kills a server with SIGKILL, again and again, and checks that it keeps everything
// that it acknowledged before.
//
// The clients live in this process, which survives. They record every event and every answer that
// reaches them: what has arrived was acknowledged. After each kill the server is started on the
// same data directory, and these must hold:
//
//   - it comes back by itself, in the same epoch, and resumes every client without a resync;
//   - one connection of each account, the witness, reads again all events that clients received
//     since the last kill but one: each is there, at its sequence, byte for byte, and none between
//     them is missing;
//   - orders that were left without an answer are sent again under their id, and so are some that
//     had one: each is executed exactly once, and answered with that execution;
//   - so are busts and corrections, which operators request while clients trade: those without an
//     answer, and some that had one, are sent again under their bust id; each is carried out
//     exactly once, and answered with that event;
//   - every account's holdings are what a shadow.Shadow computes from its events;
//   - and before all that, `papertape verify` finds nothing wrong with the directory as the kill
//     left it.
//
// A caller writes:
//
//	report, err := torture.Run(ctx, torture.Config{Binary: "bin/papertape", Kills: 200, Seed: 1})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// Run ends at the first breach and leaves the directory where it is. The seed determines what is
// done and when a kill is aimed, but not when it strikes, since the server and the kernel have
// clocks of their own.
//
// What this cannot show: a killed process leaves the page cache behind, so a missing sync goes
// unnoticed. The tests of engine/journal cover that by simulating a loss of power.
package torture
