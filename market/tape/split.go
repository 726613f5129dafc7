package tape

import "bytes"

// separators are what may stand between the cells of a line, in the order of preference.
const separators = ",\t;|"

// separatorOf returns the separator of a header: the one that occurs most often outside quotes.
func separatorOf(header []byte) byte {
	best, most := byte(','), 0
	for _, sep := range []byte(separators) {
		n, quoted := 0, false
		for _, c := range header {
			if c == '"' {
				quoted = !quoted
			} else if c == sep && !quoted {
				n++
			}
		}
		if n > most {
			best, most = sep, n
		}
	}
	return best
}

// splitCells appends the cells of a line to dst, without blanks and quotes around them. It
// works inside the line, whose bytes it may change. It returns false if a quote is not closed,
// or something follows it.
func splitCells(dst [][]byte, line []byte, sep byte) ([][]byte, bool) {
	from := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case sep:
			dst = append(dst, trim(line[from:i]))
			from = i + 1
		case '"':
			if len(trim(line[from:i])) > 0 {
				continue // a quote inside a cell is a letter like others
			}
			cell, length, ok := unquote(line[i:], sep)
			if !ok {
				return dst, false
			}
			dst = append(dst, cell)
			i += length
			if i == len(line) {
				return dst, true
			}
			from = i + 1
		}
	}
	return append(dst, trim(line[from:])), true
}

// unquote returns the cell that text begins with, which is in quotes, and how far it is to the
// separator after it, or to the end.
func unquote(text []byte, sep byte) (cell []byte, length int, ok bool) {
	to := 0 // the cell is moved to the front, since two quotes become one
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			text[to] = text[i]
			to++
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			text[to] = '"'
			to++
			i++
			continue
		}
		rest := text[i+1:]
		end := bytes.IndexByte(rest, sep)
		if end < 0 {
			end = len(rest)
		}
		return trim(text[:to]), i + 1 + end, len(trim(rest[:end])) == 0
	}
	return nil, 0, false
}

// trim removes blanks at both ends.
func trim(cell []byte) []byte {
	for len(cell) > 0 && cell[0] <= ' ' {
		cell = cell[1:]
	}
	for len(cell) > 0 && cell[len(cell)-1] <= ' ' {
		cell = cell[:len(cell)-1]
	}
	return cell
}
