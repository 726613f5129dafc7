// Package synced proves, from a trace of a real server's system calls, that nothing is told before it is on the disk.
//
// A server runs under strace while clients order, a simulated flow fills, and an operator takes trades back. Each event that was
// written to a client's socket (EXECUTION, EVENT, the sequence of HOLDINGS, the answer to a bust) is then looked for in what was
// written to the journal's log, and
//
//	the write to the log that completes the record with the event   must have returned before
//	an fdatasync (or fsync) of that log began, which                must have returned before
//	the write to the socket with the first byte of the frame        began.
//
// What ties the two sides is the event itself: account, sequence and time, which the journal stores one after the other
// (engine/journal/event.go) and the wire carries too; the time has nanoseconds, so that nothing else looks like it. An
// event that is told and not found in a log is a breach as well.
//
// Why the order of lines in the trace may be trusted: strace stops a thread where a call begins and where it ends, and writes
// down what it sees stop, in order. Where one call causes another, the thread that goes on from the first has been let go by
// strace before the second can begin. So a server that waits for the sync is never shown to be wrong. One that does not wait
// may be shown to be right by chance in a single case, where the sync was through anyway; over thousands of events it is not.
//
//	report, err := synced.Run(ctx, synced.Config{Binary: "bin/papertape", Duration: 10 * time.Second, Seed: 1, Data: dir})
//	if err != nil {
//		return err // it could not be run
//	}
//	if report.Skipped != "" {
//		fmt.Println("not run:", report.Skipped) // there is no strace
//	}
package synced
