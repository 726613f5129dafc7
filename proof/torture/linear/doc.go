// Package linear judges whether a real server, killed in between, is linearizable: whether all that its clients were answered is
// what one ledger would have answered that does one thing after the other, each at some moment between the call and the answer.
//
// For each of some accounts, several connections and an operator ask at the same time: orders (some of them again under their
// id), holdings, busts and corrections. What was asked, what was answered, and when, is the account's history. Calls that were
// under way when the server was killed stay open: they may have been carried out at any time since, or never; what the account's
// own history says of that in the end has to be explained too. Porcupine (github.com/anishathalye/porcupine) then looks for an
// order of the calls in which a model gives the same answers. The model is a list of trades that is folded anew for every answer;
// it shares no code with the server's books.
//
//	report, err := linear.Run(ctx, linear.Config{Binary: "bin/papertape", Histories: 100, Seed: 1, Progress: os.Stderr})
//	if err != nil {
//		return err // it could not be run
//	}
//	for _, failure := range report.Failures {
//		fmt.Println(failure)
//	}
//
// A history has some hundred calls, so that the search ends; one that does not is reported, and counts as a failure.
package linear
