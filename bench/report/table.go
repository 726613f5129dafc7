package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is rows of text.
type Table struct {
	Caption string
	// Align has a letter for each column: l for text, which is left-aligned, r for figures,
	// which are right-aligned. The last letter applies to all further columns; "" means
	// "lr".
	Align string
	Head  []string
	Rows  [][]string
}

// OfFigures reports whether a column is right-aligned.
func (t *Table) OfFigures(column int) bool {
	align := t.Align
	if align == "" {
		align = "lr"
	}
	return align[min(column, len(align)-1)] == 'r'
}

func (t *Table) markdown(b *strings.Builder) {
	if t.Caption != "" {
		fmt.Fprintf(b, "\n%s\n", t.Caption)
	}
	fmt.Fprintf(b, "\n| %s |\n|", strings.Join(t.Head, " | "))
	for i := range t.Head {
		if t.OfFigures(i) {
			b.WriteString("---:|")
		} else {
			b.WriteString("---|")
		}
	}
	b.WriteByte('\n')
	for _, row := range t.Rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// WriteText writes the table for a terminal.
func (t *Table) WriteText(w io.Writer) error {
	all := append([][]string{t.Head}, t.Rows...)
	widths := make([]int, len(t.Head))
	for _, row := range all {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, text := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if t.OfFigures(i) {
				line.WriteString(gap + text + "  ")
			} else {
				line.WriteString(text + gap + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
