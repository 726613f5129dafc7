package papertape_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// document is a Markdown page of this repository.
type document struct {
	links, anchors []string
}

var (
	// linkPattern matches a link or an image in Markdown, and src and href attributes in HTML.
	linkPattern = regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)|(?:src|href)="([^"]+)"`)
	inlineCode  = regexp.MustCompile("`[^`]*`")
)

// parsePage returns the links of a page, and the anchors to which others can link. Code contains no
// links.
func parsePage(text string) (d document) {
	fenced, seen := false, make(map[string]int)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			d.anchors = append(d.anchors, anchor(heading, seen))
		}
		for _, found := range linkPattern.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
			d.links = append(d.links, found[1]+found[2])
		}
	}
	return d
}

// anchor returns the anchor of a heading, as GitHub generates it.
func anchor(heading string, seen map[string]int) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
	seen[name]++
	if n := seen[name]; n > 1 {
		return name + "-" + string(rune('0'+n-1))
	}
	return name
}

// documents returns all pages of the repository by path.
func documents(t *testing.T) map[string]document {
	t.Helper()
	all := make(map[string]document)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && name != "."
		if entry.IsDir() && (hidden || name == "bench/out" || name == "dist") {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		all[name] = parsePage(string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLinks checks that the target of every link and image exists.
func TestLinks(t *testing.T) {
	all, links := documents(t), 0
	for name, d := range all {
		for _, link := range d.links {
			to, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if to.Scheme != "" {
				continue // an external link
			}
			links++
			file := name
			if to.Path != "" {
				file = filepath.Join(filepath.Dir(name), to.Path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s leads to %s, which is not there", name, link)
			}
			if page, ok := all[file]; ok && to.Fragment != "" && !slices.Contains(page.anchors, to.Fragment) {
				t.Errorf("%s leads to %s; the headings there are %q", name, link, page.anchors)
			}
		}
	}
	if len(all) < 20 || links < 100 {
		t.Errorf("%d links of %d pages", links, len(all))
	}
}

// aligned is text that was laid out in columns, as commands with comments are.
var aligned = regexp.MustCompile(`\S {3,}\S`)

// flowed returns the numbers of lines of prose that were code: whoever wraps a page may have taken it for a paragraph.
func flowed(text string) (lines []int) {
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		code := fenced || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "|")
		if !code && aligned.MatchString(line) {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// TestNoCodeIsFlowed checks that no page has code that was wrapped as prose.
func TestNoCodeIsFlowed(t *testing.T) {
	const example = "a b\n\nmake soak      # for minutes\n    and more\n```\nx     y\n```\n| a    b |"
	if got := flowed(example); !slices.Equal(got, []int{3}) {
		t.Fatalf("lines %d of the example, want 3", got)
	}
	for name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := flowed(string(text)); len(lines) > 0 {
			t.Errorf("%s: code was wrapped as prose in lines %d", name, lines)
		}
	}
}

// TestPicturesAreShown checks that some page links to each picture, and to each page made from a
// profile.
func TestPicturesAreShown(t *testing.T) {
	shown := make(map[string]bool)
	for name, d := range documents(t) {
		for _, link := range d.links {
			shown[filepath.Join(filepath.Dir(name), link)] = true
		}
	}
	files := 0
	for _, pattern := range []string{"docs/images/*.*", "docs/images/console/*", "docs/bench/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			files++
			if !shown[file] {
				t.Errorf("nothing leads to %s", file)
			}
		}
	}
	if files < 20 {
		t.Errorf("%d files", files)
	}
}

// TestIndex checks that each page of docs/ is in its index, and each decision in the index of
// docs/adr.
func TestIndex(t *testing.T) {
	all := documents(t)
	for name := range all {
		dir := filepath.Dir(name)
		index := filepath.Join(dir, "README.md")
		if dir != "docs" && dir != "docs/adr" || name == index {
			continue
		}
		leads := slices.ContainsFunc(all[index].links, func(link string) bool {
			path, _, _ := strings.Cut(link, "#")
			return path == filepath.Base(name)
		})
		if !leads {
			t.Errorf("%s does not lead to %s", index, name)
		}
	}
}

// TestBenchmarkPagesAreSmall bounds the size of docs/bench, because every full benchmark rewrites
// it and the history keeps each version. Large files stay in bench/out.
func TestBenchmarkPagesAreSmall(t *testing.T) {
	const bytesMax = 1_500_000
	files, err := os.ReadDir("docs/bench")
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes > bytesMax {
		t.Errorf("docs/bench has %d bytes, of %d at most", bytes, bytesMax)
	}
	graphs, err := filepath.Glob("docs/bench/flame-*.html")
	if err != nil || len(graphs) != 2 {
		t.Errorf("interactive flame graphs %q, %v: want two", graphs, err)
	}
}

func TestReadLinks(t *testing.T) {
	d := parsePage("# A `b` (c), d-e\n[x](docs/a.md#b) ![y](z.svg \"title\") `[no](no.md)` <img src=\"i.png\">\n" +
		"```\n# no\n[no](no.md)\n```\n## 中文 1\n## 中文 1\n#no\n")
	if want := []string{"docs/a.md#b", "z.svg", "i.png"}; !slices.Equal(d.links, want) {
		t.Errorf("links %q, want %q", d.links, want)
	}
	if want := []string{"a-b-c-d-e", "中文-1", "中文-1-1"}; !slices.Equal(d.anchors, want) {
		t.Errorf("anchors %q, want %q", d.anchors, want)
	}
}
