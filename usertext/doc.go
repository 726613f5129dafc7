// Package usertext is about text that people write: how it is read, what of it others may be shown, and how it is put
// on a screen. Whoever reads a file or a pipe that a person made, stores a name or a reason, or prints what came over
// the network, does it with this package, so that a byte order mark, the end of a line or an invisible letter means
// the same everywhere.
//
//	Lines, Read, ReadFile   text comes in: UTF-8, a byte order mark or not, lines that end in LF, CR LF or CR
//	CheckLine, Hidden       text is kept for others: one line, as long as it may be, without what cannot be seen
//	Shown and its kin       text goes out to a screen: what could move its cursor or turn its letters round does not
//
// All are pure but ReadFile.
package usertext
