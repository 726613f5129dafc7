// Package shadow computes an account from its trades, with an arithmetic of its own, and compares it with what a server
// says of it. It shares no code with the server's books, so that a mistake in them is not repeated here.
//
// A client keeps a shadow beside its connection:
//
//	account, findings := shadow.FromHoldings(c.LoginReply().GetHoldings())
//	for {
//		ev, err := c.Next(ctx)
//		...
//		findings = append(findings, account.Apply(ev.AccountEvent)...)
//	}
//
// A list of holdings is compared by CheckHoldings, as of exactly its own sequence, and an event that comes again by
// CompareEvents. A shadow belongs to one goroutine at a time.
package shadow
