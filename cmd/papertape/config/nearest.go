package config

import "iter"

// nearest returns the candidate with the smallest edit distance to name, if that is small enough
// for a typing error, or else "". Of several with the same distance it returns the first in
// alphabetical order.
func nearest(name string, candidates iter.Seq[string]) string {
	const lengthMax = 64 // anything longer is not a typing error
	if len(name) > lengthMax {
		return ""
	}
	best, fewest := "", max(2, len(name)/3)+1
	for candidate := range candidates {
		if n := editDistance(name, candidate); n < fewest || n == fewest && best != "" && candidate < best {
			best, fewest = candidate, n
		}
	}
	if fewest >= len(name) {
		return ""
	}
	return best
}

// editDistance returns the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
