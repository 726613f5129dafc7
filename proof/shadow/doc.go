// Package shadow computes an account from its trades with its own arithmetic, and compares it with
// what a server says about the account. It shares no code with the server's books, so that it does
// not repeat their mistakes.
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
// CheckHoldings compares a list of holdings, which must be of the shadow's own sequence.
// CompareEvents compares an event with a second copy of it. A shadow belongs to one goroutine at a
// time.
package shadow
