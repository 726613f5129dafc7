// Package console is the admin side of a server: health, profiles and the HTTP API, on an address
// of its own.
//
// A console is made from what it shows, and serves until it is shut down:
//
//	c, err := console.New(console.Config{
//		Universe: u, Prices: prices, Books: eng, Busts: eng, Bookings: eng, Sessions: gw,
//		Simulator: flow, Ready: ready, Log: log,
//	})
//	go c.Serve(ln)       // returns nil after Shutdown
//	go c.ServeSocket(s)  // likewise; ListenSocket has made s
//	...
//	c.Shutdown(ctx)      // cancels what handlers wait for, then waits for the handlers
//
// The other end is Client, which the operator's commands use:
//
//	h, err := console.NewClient("127.0.0.1:7301", "").Holdings(ctx, 100001)
//
// These are the operations:
//
//	GET /livez                                  200 while the process answers at all
//	GET /readyz                                 200, or 503 with the reason; ?verbose: a line a check
//	GET /metrics                                what Config.Metrics answers
//	GET /debug/pprof/                           the profiles of net/http/pprof, bounded, one at a time
//	GET /api/v1/openapi.yaml                    the description of this API for programs
//	GET /api/v1/accounts                        Accounts; ?after=NUMBER&limit=N; or ?sort, q, min_rows, offset
//	GET /api/v1/accounts/{n}                    Account
//	GET /api/v1/accounts/{n}/equity             EquityCurve; ?points=N&since=TIME
//	GET /api/v1/audit                           AuditPage, for operators; ?before=NUMBER&limit=N, action, …
//	GET /api/v1/config                          Settings
//	POST /api/v1/accounts                       takes an OpenRequest; answers Booked
//	POST /api/v1/accounts/{n}/deposit           takes a CashRequest; answers Booked
//	POST /api/v1/accounts/{n}/withdraw          takes a CashRequest; answers Booked
//	POST /api/v1/accounts/{n}/reset             takes a ResetRequest; answers Booked
//	GET /api/v1/counters                        Counters of engine and gateway
//	GET /api/v1/accounts/{n}/holdings           Holdings
//	GET /api/v1/accounts/{n}/history            History; ?before=SEQ&limit=N, newest first, as in the wire protocol
//	POST /api/v1/backup                         takes {"out": DIR}, a new directory on the server; answers Backup
//	POST /api/v1/busts                          takes a BustRequest; answers TakenBack, or a BustPreview
//	POST /api/v1/corrections                    takes a CorrectionRequest; answers TakenBack, or a BustPreview
//	GET /api/v1/health                          HealthReport
//	GET /api/v1/instruments                     Instruments
//	GET /api/v1/instruments/{i}/holders         Holders
//	GET /api/v1/instruments/{i}/prices          InstrumentPrices
//	POST /api/v1/instruments/{i}/halt, resume   takes nothing; answers its Quote
//	GET, POST /api/v1/quotes                    Quotes; ?instrument, after, limit; POST takes QuoteUpdates, answers
//
// QuotesApplied
//
//	GET /api/v1/bars                            Bars; ?instrument, seconds, from, to, limit
//	GET /api/v1/tape                            Tape, the newest trades; ?instrument, from, limit
//	GET /api/v1/clock                           Clock; ?market
//	GET /api/v1/calendar                        Calendar; ?market, from, to
//	GET /api/v1/journal                         JournalState
//	GET /api/v1/live                            a stream of server-sent events; ?topics
//	GET /api/v1/server                          ServerInfo
//	GET /api/v1/sessions                        Sessions; ?limit, after, account, state, min_waiting, remote, sort
//	GET /api/v1/sessions/ended                  EndedSessions; ?limit, account, cause
//	DELETE /api/v1/sessions/{uid}               kicks a client; takes {"reason": TEXT} or nothing; answers its Session
//	GET, PUT /api/v1/log                        {"level": "info"}; PUT takes the same
//	GET, PUT /api/v1/simulator                  Simulator; PUT takes {"rate": 2000}, {"paused": true} and answers
//
// the state
//
//	GET /api/v1/trades/{id}                     TradeRecord: a trade and what happened to it
//
// What happens live is seen by a sampler, which looks once a second while somebody watches and makes the
// JSON once for all streams (see sampler). Percentiles come in by Config.Latencies.
//
// Browsers may only make requests for the console's own pages and for those of Config.Hosts, and
// only under a host name that is the console's (see guard). Parameters, bodies and numbers have one
// form; any other form is refused rather than guessed at (see acceptParameters, decodeBody and
// parseNumber). Health is answered however many connections others hold open (see boundedListener).
//
// Amounts are decimal strings. Times are RFC 3339 with nanoseconds, in UTC. The state hash is 16
// hexadecimal digits. An error is {"error": {"code", "message"}}, with a code for programs and a
// sentence for people.
//
// Each operation is for a role (see routes.go). By HTTP, who has which role is for Config.Keys to say,
// which is asked for the token in Authorization: Bearer TOKEN; who shows none has the role of
// Config.Anonymous. By the socket on the server's machine, the server's user and root are operators.
// What changes something is written to Config.Audit before and after it is carried out (see audited).
//
// The place of a login for browsers: a route that takes a key and sets a cookie, and in
// guard.authenticate, beside the bearer token, the cookie, for /api only and never for /debug. The
// checks of host, site and content type hold for it as they are.
package console
