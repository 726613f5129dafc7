// Package synced proves, from a trace of a real server's system calls, that no event is sent to a
// client before it is on the disk.
//
// A server runs under strace while clients place orders, a simulated flow fills, and an operator
// takes trades back. Each event that was written to a client's socket (EXECUTION, EVENT, the
// sequence of HOLDINGS, the answer to a bust) is then looked up in what was written to the
// journal's log, and
//
//	the write to the log that completes the record with the event   must have returned before
//	an fdatasync (or fsync) of that log began, which                must have returned before
//	the write to the socket with the first byte of the frame        began.
//
// The two sides are matched by the event itself: account, sequence and time, which the journal
// stores one after the other (engine/journal/event.go) and the wire carries too. The time has
// nanoseconds, so a match by chance is impossible in practice. An event that was sent and is not
// found in a log is a breach as well.
//
// The order of lines in the trace can be trusted. strace stops a thread where a call begins and
// where it ends, and records these stops in order. If one call causes another, strace must have
// resumed the thread of the first call before the second call can begin. So a server that waits for
// the sync never appears to be wrong. One that does not wait may appear to be right by chance in a
// single case, where the sync had finished anyway, but not over thousands of events.
//
//	report, err := synced.Run(ctx, synced.Config{
//		Binary: "bin/papertape", Duration: 10 * time.Second, Seed: 1, Data: dir,
//	})
//	if err != nil {
//		return err // it could not be run
//	}
//	if report.Skipped != "" {
//		fmt.Println("not run:", report.Skipped) // there is no strace
//	}
package synced
