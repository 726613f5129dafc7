// Package userfile handles files that a person names on a command line or in a configuration: it
// checks their paths and reads them.
//
//	if err := userfile.CheckPath(name); err != nil { … } // when the name is given
//	text, err := userfile.ReadSecret(name, 4096)
//
// A read always ends soon, whatever a path leads to: its size is bounded, and a pipe that nobody
// writes to times out. Error messages are sentences that contain the name.
package userfile
