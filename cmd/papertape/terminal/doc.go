// Package terminal is papertape client: a person, or a script on a pipe, at one account of a server.
//
// Run logs in, shows the account, and then takes commands until there are no more. Three ways of it share everything but
// where commands come from and where a line of output goes:
//
//	on a terminal    a prompt with completion and a history of lines; what the server pushes appears above a half-typed
//	                 line and leaves it as it was; a bad command gets a sentence
//	on a pipe        one command a line, each answered before the next is read; the first error ends it
//	with words       that one command
//
// One goroutine (session.run) owns the account's picture and writes all output; it selects over three sources: lines (the
// keyboard's or the pipe's), updates (client.Account.Next), and the answer to the one command that is under way. A trade
// of one's own is shown when its event comes, in its place in the sequence, and not when its order is answered: the tape is
// the account's, whoever traded.
//
// All texts are in the catalogue (catalogue.go and a file per language); what is drawn in colour also says it in signs.
package terminal
