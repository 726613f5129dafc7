// Package torture kills a server with SIGKILL, again and again, and holds it to everything that it said before.
//
// The clients live here, in a process that survives. They write down every event and every answer that reaches them: what
// has arrived was acknowledged. After each kill the server is started on the same data directory, and
//
//   - must come back by itself, in the same epoch, and resume every client without a resync;
//   - one connection of each account, the witness, reads again all that was told since the last kill but one: each event must
//     be there, at its sequence, byte for byte, and nothing between them may be missing;
//   - orders that were left without an answer are sent again under their id, and so are some that had one: each is executed
//     once in all, and answered with the one execution;
//   - so are busts and corrections, which operators ask for while clients trade: those without an answer are sent again under
//     their bust id, and some that had one: each is carried out once in all, and answered with the one event;
//   - every account's holdings must be what a shadow.Shadow computes from its events;
//   - and before all that, `papertape verify` must have found nothing wrong with the directory as the kill left it.
//
// The loop a caller would write:
//
//	report, err := torture.Run(ctx, torture.Config{Binary: "bin/papertape", Kills: 200, Seed: 1})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// Run ends at the first breach and leaves the directory where it is. What is done, and when a kill is aimed, follows from
// the seed; when it strikes does not, since the server and the kernel have clocks of their own.
//
// What this cannot show: a killed process leaves the page cache behind, so a sync that is missing goes unnoticed. That is for
// the tests of engine/journal, which simulate a loss of power.
package torture
