// Package usertext handles text that people write: reading it, deciding what of it others
// may see, and showing it on a screen. All code that reads a file or pipe made by a person,
// stores a name or a reason, or prints text from the network uses this package. So a byte
// order mark, a line ending or an invisible character means the same everywhere.
//
//	Lines, Read, ReadFile   read text: UTF-8, with or without a byte order mark, lines ending in LF, CR LF or CR
//	CheckLine, Hidden       check text that others will see: one line, of limited length, without invisible characters
//	Shown and its kin       write text to a screen: without what could move the cursor or reverse the letters
//
// All functions except ReadFile are pure.
package usertext
