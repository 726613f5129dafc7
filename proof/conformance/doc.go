// Package conformance judges the Papertape server from outside, as a client in any language would.
//
// It has only tests. They are written from docs/protocol.md, the payload definitions and the
// contract of the command line alone, and share no code with the server. The framing, the state
// hash and the arithmetic of positions are this package's own, so that a mistake in the server's
// codec or books is not repeated here. Of the project's packages only the generated payloads are
// used, with the standard protobuf runtime.
//
// A test reads like a client's session:
//
//	s := dial(t, server)                                  // connects, reads WELCOME
//	s.login(account, pb.ResumeMode_RESUME_MODE_SNAPSHOT)  // LOGIN and its reply
//	ev := s.execute(buy("SZ", "000001", 100))             // ORDER, answered by EXECUTION
//	s.holdings()                                          // the list, checked against what was folded so far
//
// The judge of a session checks every frame before the test sees it: flags and ids, one answer to
// each request, sequences without a hole or a repeat, REPLAY where it belongs, heartbeats that
// agree with the stream, and each event's rows and cash as this package computes them from the
// trades. A test only states what is particular to it. If all tests have run and hardly a frame was
// judged, that is a failure too.
//
// Most tests share one server that the package builds and starts. Tests that need settings of their
// own start another. The environment may have:
//
//   - PAPERTAPE_SERVER=host:port: judge that server instead of the shared one. It must be freshly
//     started, with fixed prices, with the simulator off, without rules, and with a hundred
//     accounts. Tests that need its admin API, which is plain HTTP, are skipped.
//   - PAPERTAPE_BINARY=path: start that binary instead of building one (one built with -race, for
//     instance).
//   - PAPERTAPE_DURABILITY=none or interval: start servers in that mode instead of sync.
//   - PAPERTAPE_SEED=n: another seed for the malformed frames.
package conformance
