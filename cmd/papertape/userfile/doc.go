// Package userfile is about files that a person names, on a command line or in a configuration: whether a text can be
// the path of one, and what is in it.
//
//	if err := userfile.CheckPath(name); err != nil { … } // when the name is given
//	text, err := userfile.ReadSecret(name, 4096)
//
// Whatever a name leads to, an answer comes soon: a read has a bound, a pipe that nobody writes to is not waited for
// without end. Errors are sentences with the name in them.
package userfile
