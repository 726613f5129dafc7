package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// drawn is a text or a rectangle of a picture: the area that it covers, in a font as wide
// as any that the picture names.
type drawn struct {
	text                     string
	left, top, right, bottom float64
}

func (d *drawn) meets(e *drawn) bool {
	return d.left < e.right && e.left < d.right && d.top < e.bottom && e.top < d.bottom
}

func (d *drawn) within(e *drawn) bool {
	return d.left >= e.left && d.right <= e.right && d.top >= e.top && d.bottom <= e.bottom
}

// parts are the texts and rectangles of a picture, and its size. A text after a rectangle
// in the same group is inside it.
type parts struct {
	texts, rects []drawn
	wide, high   float64
}

func partsOf(t *testing.T, picture []byte) (p parts) {
	t.Helper()
	attr := make(map[string]string)
	number := func(name string) float64 {
		v, err := strconv.ParseFloat(attr[name], 64)
		if err != nil {
			t.Fatalf("%v: %v", attr, err)
		}
		return v
	}
	element := ""
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			element, attr = token.Name.Local, make(map[string]string)
			for _, a := range token.Attr {
				attr[a.Name.Local] = a.Value
			}
			switch {
			case element == "svg":
				p.wide, p.high = number("width"), number("height")
			case element == "rect" && attr["x"] != "":
				x, y := number("x"), number("y")
				p.rects = append(p.rects, drawn{attr["fill"], x, y, x + number("width"), y + number("height")})
			}
		case xml.CharData:
			if element == "text" {
				size, left := number("font-size"), number("x")
				long := 0.625 * size * float64(len([]rune(string(token))))
				if attr["text-anchor"] == "end" {
					left -= long
				}
				p.texts = append(p.texts, drawn{string(token), left, number("y") - 0.75*size, left + long,
					number("y") + 0.2*size})
			}
		case xml.EndElement:
			element = ""
		}
	}
}

// readable checks that each text of a picture is complete and overlaps no other.
func readable(t *testing.T, picture []byte) {
	t.Helper()
	p := partsOf(t, picture)
	for i := range p.texts {
		text := &p.texts[i]
		if text.left < 16 || text.top < 12 || text.right > p.wide-12 || text.bottom > p.high-12 {
			t.Errorf("%+v is too near to the frame of %v × %v", text, p.wide, p.high)
		}
		for j := range i {
			if text.meets(&p.texts[j]) {
				t.Errorf("%+v lies on %+v", text, p.texts[j])
			}
		}
		for j := range p.rects {
			if r := &p.rects[j]; text.meets(r) && !text.within(r) {
				t.Errorf("%+v goes out of %+v", text, r)
			}
		}
	}
}

func TestPictureIsReadable(t *testing.T) {
	var stacks []stack
	for _, s := range samples() {
		stacks = append(stacks, s)
	}
	long := "baseline, pool of database workers"
	for _, names := range [][]string{
		{"papertape"}, {"papertape", "baseline", "baseline, coalescing"}, {"papertape", long},
		{"papertape", "baseline", long, "zinx"},
	} {
		var all []Named
		for _, name := range names {
			all = append(all, Named{name, newProfile(t, stacks...)})
		}
		picture, err := Picture("CPU of a million requests: 100 clients, a request each 1–2 s", all...)
		if err != nil {
			t.Fatal(err)
		}
		readable(t, picture)
		for _, name := range names {
			if !bytes.Contains(picture, []byte(`text-anchor="end" font-size="11" font-weight="bold">`+name+"<")) {
				t.Errorf("the legend has no column of %s", name)
			}
		}
	}
}

// TestCommittedPictures checks the pictures of README and docs.
func TestCommittedPictures(t *testing.T) {
	files, err := filepath.Glob("../../docs/bench/flames-*.svg")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			picture, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			readable(t, picture)
		})
	}
}

func TestRounded(t *testing.T) {
	for nanoseconds, want := range map[int64]string{
		0: "0 ns", 7: "7 ns", 999: "999 ns", 1000: "1.00 µs", 99_949: "99.9 µs", 99_951: "100 µs",
		664_449_000: "664 ms", 999_499_999: "999 ms", 999_500_000: "1.00 s", 7_301_928_411: "7.30 s",
		9_994_000_000: "9.99 s", 9_996_000_000: "10.0 s", 136_900_000_000: "137 s", 5_400e9: "5400 s",
	} {
		if got := rounded(nanoseconds); got != want {
			t.Errorf("%d ns are %s, want %s", nanoseconds, got, want)
		}
	}
}

// hasSize checks that a call graph is completely visible, even without scripts: nothing is
// outside its size.
func hasSize(t *testing.T, graph []byte) {
	t.Helper()
	if bytes.Contains(graph, []byte("<script")) || bytes.Contains(graph, []byte(`transform="scale(0.5`)) {
		t.Error("a script is to move it about")
	}
	p := partsOf(t, graph)
	if box := fmt.Sprintf(`viewBox="0 0 %g %g"`, p.wide, p.high); !bytes.Contains(graph, []byte(box)) {
		t.Errorf("it has no %s: %.300s", box, graph)
	}
	at := regexp.MustCompile(`translate\(([0-9.]+) ([0-9.]+)\)`).FindSubmatch(graph)
	if at == nil {
		t.Fatal("it does not say where it begins")
	}
	right, _ := strconv.ParseFloat(string(at[1]), 64)
	down, _ := strconv.ParseFloat(string(at[2]), 64)
	for i := range p.texts {
		text := &p.texts[i]
		if text.left+right < 0 || text.left+right > p.wide || text.top+down < 0 || text.bottom+down > p.high {
			t.Errorf("%+v is outside of %v × %v", text, p.wide, p.high)
		}
	}
	if len(p.texts) == 0 {
		t.Error("it says nothing")
	}
}

func TestCommittedCallGraphs(t *testing.T) {
	files, err := filepath.Glob("../../docs/bench/graph-*.svg")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			graph, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, graph)
			hasSize(t, graph)
			if bytes.Contains(graph, []byte("Duration:")) {
				t.Error("it says how long something else took")
			}
		})
	}
}

// TestWhole tests with what pprof makes of dot's pictures.
func TestWhole(t *testing.T) {
	const graph = `<?xml version="1.0"?>
<svg width="100%" height="100%" xmlns="http://www.w3.org/2000/svg">
<script type="text/ecmascript"><![CDATA[ if (a < b) ]]></script>` +
		`<g id="viewport" transform="scale(0.5,0.5) translate(0,0)">` +
		`<g id="graph0" class="graph" transform="scale(1 1) rotate(0) translate(4 2414.5)">
<polygon fill="white" stroke="transparent" points="-4,4 -4,-2414.5 1678,-2414.5 1678,4 -4,4"/></g></g></svg>`
	const want = `<?xml version="1.0"?>
<svg width="1686" height="2422.5" viewBox="0 0 1686 2422.5" xmlns="http://www.w3.org/2000/svg">
<g><g id="graph0" class="graph" transform="scale(1 1) rotate(0) translate(4 2414.5)">
<polygon fill="white" stroke="transparent" points="-4,4 -4,-2414.5 1678,-2414.5 1678,4 -4,4"/></g></g></svg>`
	if got, err := withSize([]byte(graph)); err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, none := range []string{"", "<svg/>", `<svg width="100%" height="100%"></svg>`} {
		if got, err := withSize([]byte(none)); err == nil {
			t.Errorf("%q became %q", none, got)
		}
	}
}
