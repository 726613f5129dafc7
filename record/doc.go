// Package record encodes events. An event is encoded once, in the step that decides it. The
// resulting record is what the journal writes into blocks and checkpoints, and what the engine's
// memory keeps. It is decoded where an event is wanted.
//
//	table := record.NewTable(universe)
//	records = table.Append(records, &ev)        // a record is appended to those before it
//	rec, rest, err := record.Cut(records)       // the first one, with its length
//	account, seq, err := record.Head(rec)       // without decoding the rest
//	err = table.Decode(rec, &ev)
//
// A record does not point to anything, so memory that is full of records is nothing that the
// garbage collector has to look at.
//
// # The record, format 2
//
// uv is an unsigned varint, sv a zigzag varint, text a uv with the length and then the bytes.
//
//	record      uv length of what follows, uv kind, uv flags, uv account, uv seq, 8 bytes time (little-endian),
//	            sv cash balance, sv fees paid, sv realised, sv total market value, and then by kind
//	flags       change (3 bits) | row<<3 | id<<4
//	trade       trade, sv row quantity, sv cost, sv realised
//	            [, with row: uv version, instrument, sv sellable, sv price]
//	bust        uv seq of the trade, text reason, text actor, text id, trade original, uv 0 or 1
//	            [, with 1: trade replacement],
//	            uv n, n × uv seq of the cascade, uv n, n × position
//	adjustment  sv cash, text reason, text actor [, with id: text id]
//	reset       sv cash, text reason, text actor, text id, uv n, n × instrument of a row that went
//
//	trade       uv (side | origin<<2 | with<<4), sv quantity, sv price, instrument
//	            [, with 1: text order id] [, with 2: sv limit] [, with 4: sv fees]
//	            [, with 8: uv revision, sv amount]
//	position    instrument, sv quantity, sv cost, sv realised, uv version, sv sellable, sv price
//	instrument  uv number in the table of the ledger
//
// All values are absolute. A field that almost always follows from others is left out when it
// does: a row's version is the event's sequence, an amount is quantity × price.
//
// Kind, flags, and the head of a trade have room for what is to come. A program that meets a kind
// or a flag that it does not know refuses the record (*[NewerError]): it could not know what it
// leaves out.
package record
