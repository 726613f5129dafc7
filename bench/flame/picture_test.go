package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// drawn is a text or a rectangle of a picture: what is drawn of it, in a font that is as wide as any of those that it
// names.
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

// parts are the texts and the rectangles of a picture, and its size. Where a text follows a rectangle in a group it is
// in it.
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
				p.texts = append(p.texts, drawn{string(token), left, number("y") - 0.75*size, left + long, number("y") + 0.2*size})
			}
		case xml.EndElement:
			element = ""
		}
	}
}

// readable says of a picture that each text is whole and lies on no other.
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
			all = append(all, Named{name, made(t, stacks...)})
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

// TestCommittedPictures are those of README and docs.
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
