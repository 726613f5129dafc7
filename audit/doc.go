// Package audit keeps the record of who changed what: a file of JSON lines, of which each has the
// hash of the line before it.
//
// A log is made first, and opened when the data directory is this server's alone:
//
//	log := audit.New(audit.Options{})
//	if err := log.Open("papertape-data/audit.log"); err != nil { … } // or log.OpenMemory()
//	n, err := log.Write(audit.Record{Step: audit.Asked, Method: "POST", …})
//	if err != nil { … }                                           // refuse the change
//	…                                                             // carry it out
//	log.Write(audit.Record{Step: audit.Done, Asked: n, Status: 200})
//	log.Close()
//
// A line is on the disk when Write returns. A line that is cut out or changed later is found by
// Verify, because the next line does not fit any more. Nothing follows the last line, and whoever
// may write the file can write all of it anew: so the hash of the newest line (Head) belongs in
// another place from time to time, where Verify is then told to look for it.
//
// A file that is full is renamed to audit.log.NUMBER, with the number of its last line, and the next
// one begins with the hash of that line. A line that a crash cut off was acknowledged to nobody; it is
// removed at the next start, and a line says so.
package audit
