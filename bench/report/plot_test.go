package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/papertape/papertape/bench/scenario"
)

// element is an element of a picture, with its text.
type element struct {
	name, text string
	attr       map[string]string
}

func (e *element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return v
}

func elements(t *testing.T, svg []byte) (list []element) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: make(map[string]string)}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			list = append(list, e)
		case xml.CharData:
			if n := len(list); n > 0 && list[n-1].name == "text" {
				list[n-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

// box is the area that an element covers.
type box struct{ left, top, right, bottom float64 }

func (b box) meets(c box) bool {
	return b.left < c.right && c.left < b.right && b.top < c.bottom && c.top < b.bottom
}

// boxOf returns the box of a text, in a font as wide as any that a page might choose.
func boxOf(t *testing.T, e *element) box {
	t.Helper()
	size := e.number(t, "font-size")
	length := float64(len([]rune(e.text))) * 0.65 * size
	left := e.number(t, "x")
	switch e.attr["text-anchor"] {
	case "end":
		left -= length
	case "middle":
		left -= length / 2
	}
	return box{left, e.number(t, "y") - 0.8*size, left + length, e.number(t, "y") + 0.25*size}
}

// readable checks that all texts of a picture are complete, and that none touches the frame
// or another text.
func readable(t *testing.T, svg []byte) {
	t.Helper()
	all := elements(t, svg)
	wide, high := all[0].number(t, "width"), all[0].number(t, "height")
	var texts []*element
	for i := range all {
		if e := &all[i]; e.name == "text" {
			b := boxOf(t, e)
			if b.left < 12 || b.top < 12 || b.right > wide-8 || b.bottom > high-8 {
				t.Errorf("%q, %+v, is too near to the frame of %v × %v", e.text, b, wide, high)
			}
			for _, other := range texts {
				if b.meets(boxOf(t, other)) {
					t.Errorf("%q lies on %q", e.text, other.text)
				}
			}
			texts = append(texts, e)
		}
	}
	for i := range all {
		if e := &all[i]; e.name == "rect" && e.attr["fill"] != ground {
			x, y := e.number(t, "x"), e.number(t, "y")
			b := box{x, y, x + e.number(t, "width"), y + e.number(t, "height")}
			for _, text := range texts {
				if b.meets(boxOf(t, text)) {
					t.Errorf("a bar lies on %q", text.text)
				}
			}
		}
	}
	for _, foreign := range []string{"<style", " id=", "class=", "textLength", "NaN", "Inf"} {
		if bytes.Contains(svg, []byte(foreign)) {
			t.Errorf("there is %s in\n%s", foreign, svg)
		}
	}
}

// value parses a label.
func value(t *testing.T, label string) float64 {
	t.Helper()
	number, million := strings.CutSuffix(label, " M")
	v, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	if err != nil {
		t.Fatal(err)
	}
	if million {
		v *= 1e6
	}
	return v
}

// scale returns a function from pixels to values, derived from the labels of an axis.
func scale(t *testing.T, svg []byte, log bool, isTick func(*element) (at float64, ok bool)) func(float64) float64 {
	t.Helper()
	var pixels, values []float64
	for _, e := range elements(t, svg) {
		if at, ok := isTick(&e); ok {
			v := value(t, e.text)
			if log {
				v = math.Log(v)
			}
			pixels, values = append(pixels, at), append(values, v)
		}
	}
	n := len(pixels) - 1
	if n < 1 {
		t.Fatalf("%d ticks", n+1)
	}
	of := func(pixel float64) float64 {
		return values[0] + (pixel-pixels[0])/(pixels[n]-pixels[0])*(values[n]-values[0])
	}
	for i := range pixels { // all ticks must be on the scale given by the first and the last
		if math.Abs(of(pixels[i])-values[i]) > 1e-3*math.Abs(values[n]-values[0]) {
			t.Errorf("the tick %v is not where it should be", values[i])
		}
	}
	if log {
		return func(pixel float64) float64 { return math.Exp(of(pixel)) }
	}
	return of
}

func dots(t *testing.T, svg []byte) (dots []point) {
	t.Helper()
	for _, e := range elements(t, svg) {
		if e.name == "circle" {
			dots = append(dots, point{e.number(t, "cx"), e.number(t, "cy")})
		}
	}
	return dots
}

// contenders are names of contenders, including the longest.
var contenders = []string{
	scenario.Ours.Name, scenario.OursFull.Name, scenario.OursSync, scenario.Baseline.Name, scenario.BaselinePool.Name,
	scenario.BaselineDatabase.Name, scenario.BaselineSync.Name, scenario.ZinxOrders.Name, scenario.EchoEpoll.Name,
	scenario.EchoPair.Name,
}

func TestLines(t *testing.T) {
	growing := func(x, y float64, n int) (points []point) {
		for i := range n {
			points = append(points, point{x * math.Pow(1.7, float64(i)), y * math.Pow(1.3, float64(i%5))})
		}
		return points
	}
	for name, c := range map[string]struct {
		logX, logY bool
		points     []point
	}{
		"clients":     {true, false, growing(1, 0.21, 9)},
		"two":         {true, false, growing(10, 0.3, 2)},
		"same":        {true, true, []point{{80_000, 16}, {80_000, 16}}},
		"rates":       {true, true, growing(40_000, 4.4, 7)},
		"decades":     {true, true, []point{{0.002, 1e-3}, {3e9, 7e8}}},
		"millions":    {false, false, []point{{0, 0}, {1_250_000, 3_700_000}}},
		"none of it":  {false, false, []point{{0, 0}, {0, 0}}},
		"at the tick": {true, false, []point{{1, 5}, {1000, 10}}},
	} {
		t.Run(name, func(t *testing.T) {
			var list []series
			for _, contender := range contenders {
				list = append(list, series{contender, c.points})
			}
			title := "Mean time to an answer, a request each 0.1–0.5 s"
			svg := lines(axes{title, "pushed a second", "lag p99, ms; lower is better", c.logX, c.logY}, list)
			readable(t, svg)
			x := scale(t, svg, c.logX, func(e *element) (float64, bool) {
				return atof(e.attr["x"]), e.attr["text-anchor"] == "middle" && e.attr["fill"] == ink
			})
			y := scale(t, svg, c.logY, func(e *element) (float64, bool) {
				return atof(e.attr["y"]) - 4, e.attr["text-anchor"] == "end"
			})
			found := dots(t, svg)[:len(c.points)]
			for i, want := range c.points {
				if got := (point{x(found[i].x), y(found[i].y)}); !near(got.x, want.x) || !near(got.y, want.y) {
					t.Errorf("the point %v is drawn at %v", want, got)
				}
			}
		})
	}
}

func atof(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

// near reports whether a and b are at most a pixel apart.
func near(a, b float64) bool {
	return math.Abs(a-b) <= 0.02*max(math.Abs(a), math.Abs(b)) || math.Abs(a-b) < 1e-6
}

// TestLegend: every line has its name, in its colour and dashes, and no two lines look
// alike.
func TestLegend(t *testing.T) {
	var list []series
	for _, contender := range contenders {
		list = append(list, series{contender, []point{{1, 1}, {2, 2}}})
	}
	looks, names := make(map[string]int), 0
	for _, e := range elements(t, lines(axes{title: "Legend"}, list)) {
		switch {
		case e.name == "path" && e.attr["stroke-width"] != "":
			looks[e.attr["stroke"]+e.attr["stroke-dasharray"]]++
		case e.name == "text" && slices.Contains(contenders, e.text):
			names++
		}
	}
	if len(looks) != len(contenders) || names != len(contenders) {
		t.Errorf("%d looks and %d names of %d lines: %v", len(looks), names, len(contenders), looks)
	}
	for look, n := range looks {
		if n != 2 { // one for the line and one for the legend
			t.Errorf("%d lines look like %s", n, look)
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	logarithmic := axes{title: "x", logX: true, logY: true}
	for _, list := range [][]series{
		nil, {{"a", nil}}, {{"a", []point{{1, 1}}}, {"b", []point{{2, 1}}}}, {{"a", []point{{0, 1}, {1, 0}, {-1, 2}}}},
	} {
		if svg := lines(logarithmic, list); svg != nil {
			t.Errorf("%v: %s", list, svg)
		}
	}
	if svg := bars(axes{}, nil); svg != nil {
		t.Errorf("%s", svg)
	}
}

func TestBars(t *testing.T) {
	for _, most := range []float64{0.0123, 0.99, 7.3, 19.7, 100, 123_456, 2_090_000} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			var list []bar
			for i, contender := range contenders {
				list = append(list, bar{contender, most * float64(len(contenders)-i) / float64(len(contenders))})
			}
			const title = "CPU of the server for each request: 100 × 32 and one that does not read"
			svg := bars(axes{title: title, x: "µs; shorter is better"}, list)
			readable(t, svg)
			x := scale(t, svg, false, func(e *element) (float64, bool) {
				return atof(e.attr["x"]), e.attr["text-anchor"] == "middle" && e.attr["fill"] == ink
			})
			n := 0
			for _, e := range elements(t, svg) {
				if e.name != "rect" || e.attr["fill"] == ground {
					continue
				}
				from, to := e.number(t, "x"), e.number(t, "x")+e.number(t, "width")
				if !near(x(from), 0) || !near(x(to), list[n].value) {
					t.Errorf("%v goes from %v to %v", list[n], x(from), x(to))
				}
				if !bytes.Contains(svg, []byte(">"+number(list[n].value)+"<")) {
					t.Errorf("the value of %v is not said", list[n])
				}
				n++
			}
			if n != len(list) {
				t.Errorf("%d bars", n)
			}
		})
	}
}

// TestCommittedPlots checks the plots of the docs.
func TestCommittedPlots(t *testing.T) {
	files, err := filepath.Glob("../../docs/bench/*.svg")
	if err != nil {
		t.Fatal(err)
	}
	plots := 0
	for _, file := range files {
		if name := filepath.Base(file); strings.HasPrefix(name, "flames-") || strings.HasPrefix(name, "graph-") {
			continue
		}
		plots++
		t.Run(filepath.Base(file), func(t *testing.T) {
			svg, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			readable(t, svg)
		})
	}
	if plots < 10 {
		t.Errorf("%d plots", plots)
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		axis axis
		want string
	}{
		{linear(0, 9), "0.0 0.2 0.4 0.6 0.8 1.0"},
		{linear(0.336, 9), "0.00 0.05 0.10 0.15 0.20 0.25 0.30 0.35"},
		{linear(0.4, 9), "0.00 0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40"},
		{linear(19.7, 9), "0 5 10 15 20"},
		{linear(8, 9), "0 1 2 3 4 5 6 7 8"},
		{linear(8.01, 9), "0 2 4 6 8 10"},
		{linear(2_090_000, 9), "0 500,000 1 M 1.5 M 2 M 2.5 M"},
		{logarithmic(1, 100, 9), "1 2 5 10 20 50 100"},
		{logarithmic(0.999999999999, 100.0000000001, 9), "1 2 5 10 20 50 100"},
		{logarithmic(4.4, 290, 9), "2 5 10 20 50 100 200 500"},
		{logarithmic(80_000, 80_000, 9), "50,000 100,000"},
		{logarithmic(50_000, 50_000, 9), "20,000 50,000 100,000"},
		{logarithmic(0.3, 5_000, 9), "0.1 1 10 100 1,000 10,000"},
		{logarithmic(1e-6, 1e9, 9), "0.000001 0.0001 0.01 1 100 10,000 1 M 100 M 10000 M"},
	} {
		if got := strings.Join(c.axis.labels(), " "); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
