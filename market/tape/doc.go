// Package tape reads files of trades, quotes or bars as a stream of updates of a market, and
// generates such files.
//
//	r, err := tape.Open("day.csv.gz", tape.Options{Universe: universe})
//	defer r.Close()
//	for {
//		moment, updates, err := r.Next() // all updates of one time; io.EOF after the last
//		feed.Apply(moment, updates, outcomes)
//	}
//	fmt.Println(r.Report()) // how many lines were taken, and what was wrong with the others
//
// A file is CSV with a header, plain or compressed by gzip or zstd, which is told by its first
// bytes. What it is, trades, quotes or bars, is told by its columns, and those by their names
// (spellings) or by Columns. A file must not change while it is read; what is appended later
// may or may not be seen.
//
// # What a bar becomes
//
// A bar that begins at t and lasts d becomes four trades: the open at t; at t + d/4 the low if
// the close is not below the open, else the high; at t + 3d/4 the other one; the close at
// t + d - 1 ns. Each has a quarter of the volume, the last one also the rest. So bars of one
// minute that are made from a tape are those of the file again. A time is that of the bar's
// start, unless Columns say stamp=end. d is the smallest distance of two starts within the
// first 100,000 rows, unless Columns say seconds=60. A bar with a date and no time is of the
// whole day, or of its trading hours if Options.Sessions knows them.
//
// # Bounds
//
// What is kept is bounded by the size of the universe, not of the file: a line of at most 64
// KiB, a bar per instrument, and updates of one moment. More than 65,536 updates of one time
// are given in several pieces. A decompressor uses at most 64 MiB.
package tape
