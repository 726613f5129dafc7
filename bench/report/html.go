package report

import (
	_ "embed" // page.html
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

//go:embed page.html
var pageHTML string

// WriteHTML writes the page as one file, except for the pages that it links to.
func (p *Page) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"svg":  func(b []byte) template.HTML { return template.HTML(inline(b)) }, //nolint:gosec // our own plots
		"code": codeSpans,
		"id":   fileName,
		"long": func(cell string) bool { return len(cell) > 40 }, // may wrap
	}).Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

// inline returns an SVG without what precedes its element.
func inline(svg []byte) string {
	s := string(svg)
	if i := strings.Index(s, "<svg"); i > 0 {
		s = s[i:]
	}
	return s
}

// codeSpans turns text between backquotes into code.
func codeSpans(text string) template.HTML {
	parts := strings.Split(text, "`")
	for i := range parts {
		parts[i] = template.HTMLEscapeString(parts[i])
		if i%2 == 1 && i < len(parts)-1 {
			parts[i] = "<code>" + parts[i] + "</code>"
		}
	}
	return template.HTML(strings.Join(parts, "")) //nolint:gosec // escaped above
}

// WriteMarkdown writes the page to dir/name, and its pictures to dir/bench/.
func (p *Page) WriteMarkdown(dir, name string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", p.Title)
	for i := range p.Sections {
		p.Sections[i].markdown(&b)
	}
	if err := os.MkdirAll(filepath.Join(dir, Pictures), 0o755); err != nil {
		return err
	}
	for _, s := range p.Sections {
		for _, picture := range s.Pictures {
			if err := os.WriteFile(filepath.Join(dir, Pictures, picture.Name+".svg"), picture.SVG, 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644)
}

// markdownColumns is what a line of the repository's pages may have.
const markdownColumns = 120

// wrapped is a paragraph in lines of at most markdownColumns, as far as there are spaces to break it at.
func wrapped(paragraph string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(paragraph) {
		width := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+width > markdownColumns:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += width
	}
	return b.String()
}

// Pictures is the directory, beside the pages, of the pictures of the Markdown page and of the pages about profiles.
const Pictures = "bench"

func (s *Section) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n", s.Title)
	for _, paragraph := range s.Text {
		fmt.Fprintf(b, "\n%s\n", wrapped(paragraph))
	}
	for _, t := range s.Tables {
		t.markdown(b)
	}
	for _, p := range s.Pictures {
		fmt.Fprintf(b, "\n![%s](%s/%s.svg)\n", p.Caption, Pictures, p.Name)
	}
	for i, l := range s.Links {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "- [%s](%s)\n", l.Text, l.File)
	}
}
