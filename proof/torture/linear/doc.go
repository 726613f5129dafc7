// Package linear checks that a real server is linearizable, even if it is killed meanwhile. Its
// answers must be the same as if one ledger carried out one call after the other, each at some
// moment between the call and its answer.
//
// For each of several accounts, some connections and an operator make calls at the same time:
// orders (some of them again under their id), holdings, busts, corrections, bookings of cash and
// resets. The calls, their answers and their times are the history of the account. Calls that were
// in progress when the server was killed stay open: they may have been carried out at any time since, or never. The
// order must also explain what the account's own history says about them in the end. Porcupine
// (github.com/anishathalye/porcupine) then searches for an order of the calls in which a model
// gives the same answers. The model is a list of trades that is folded anew for every answer; it
// shares no code with the server's books.
//
//	report, err := linear.Run(ctx, linear.Config{
//		Binary: "bin/papertape", Histories: 100, Seed: 1, Progress: os.Stderr,
//	})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// A history has about a hundred calls, so that the search ends. A search that does not end in time
// counts as a failure.
package linear
