// Package terminal is papertape client: a person, or a script on a pipe, at one account of a
// server.
//
// Run logs in, shows the account, and then takes commands until there are no more. It works in
// three ways, which differ only in where commands come from and where a line of output goes:
//
//	on a terminal    a prompt with completion and a history of lines; what the server pushes appears above a
//	                 half-typed line and leaves the line as it was; a bad command gets a sentence
//	on a pipe        one command a line, each answered before the next is read; the first error ends it
//	with words       only that one command
//
// One goroutine (session.run) owns the picture of the account and writes all output. It selects
// over three sources: lines from the keyboard or the pipe, updates from client.Account.Next, and
// the answer to the one command that is under way. The account's own trade is shown when its event
// arrives, in its place in the sequence, and not when the order is answered: the tape shows the
// account, whoever traded.
//
// All texts are in the catalogue (catalogue.go and one file per language). What is drawn in colour
// is also said by signs.
package terminal
