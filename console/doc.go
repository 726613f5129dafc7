// Package console is the admin side of a server: health, profiles and the HTTP API, on an address of its own.
//
// A server is made of what it shows, and serves until it is shut down:
//
//	c, err := console.New(console.Config{
//		Universe: u, Prices: prices, Books: eng, Busts: eng, Sessions: gw, Simulator: flow, Ready: ready, Log: log,
//	})
//	go c.Serve(ln)       // returns nil after Shutdown
//	...
//	c.Shutdown(ctx)      // cancels what handlers wait for, then waits for the handlers
//
// The other end is Client, which the commands of an operator use:
//
//	h, err := console.NewClient("127.0.0.1:7301", "").Holdings(ctx, 100001)
//
// What there is:
//
//	GET /livez                                  200 while the process answers at all
//	GET /readyz                                 200, or 503 with the reason
//	GET /debug/pprof/                           the profiles of net/http/pprof, bounded, one at a time
//	GET /api/v1/openapi.yaml                    all of this, for programs
//	GET /api/v1/accounts                        Accounts; ?after=NUMBER&limit=N, by number
//	GET /api/v1/counters                        what was counted, by Stats of engine and gateway
//	GET /api/v1/accounts/{n}/holdings           Holdings
//	GET /api/v1/accounts/{n}/history            History; ?before=SEQ&limit=N, newest first, as in the wire protocol
//	POST /api/v1/backup                         takes {"out": DIR}, a new directory on the server's machine; answers Backup
//	POST /api/v1/busts                          takes a BustRequest; answers TakenBack
//	POST /api/v1/corrections                    takes a CorrectionRequest; likewise
//	GET /api/v1/instruments                     Instruments
//	GET /api/v1/sessions                        Sessions
//	DELETE /api/v1/sessions/{uid}               GOODBYE KICKED to that Session, with ?reason=TEXT; answers with what it was
//	GET, PUT /api/v1/log                        {"level": "info"}; PUT takes the same
//	GET, PUT /api/v1/simulator                  Simulator; PUT takes {"rate": 2000} and answers with the state it led to
//	GET /api/v1/trades/{id}                     TradeRecord: a trade and what became of it
//
// What browsers ask is for the console's own pages and those of Config.Hosts alone, and a name that is not the console's is
// no way in: see guard. Parameters, bodies and numbers have one form, and what is in another is refused rather than guessed
// at: see takes, decodeBody and parseNumber. Health is answered however many hold connections open: see places.
//
// Amounts are decimal strings, times RFC 3339 with nanoseconds in UTC, the state hash 16 hexadecimal digits. An error is
// {"error": {"code", "message"}} with a code for programs and a sentence for people. Where a token is configured everything
// but the two health paths wants it, as Authorization: Bearer TOKEN.
package console
