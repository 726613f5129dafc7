package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
)

// Named is a profile with a name for people.
type Named struct {
	Name string
	Data []byte
}

// The dimensions of the picture, in pixels.
const (
	wide       = 1200
	rowHigh    = 15
	rowsMax    = 48 // deeper stacks are cut
	margin     = 20
	titleLine  = 36 // the baseline of the title
	heading    = 30
	letterWide = 0.63 // width of a letter relative to its size, in any of the fonts
	frameSize  = 10.5 // size of the names in the frames
	legendSize = 11
	thin       = 1  // narrower frames are left out
	textLeast  = 6  // letters; fewer are useless
	legendHigh = 20 // height of a line of the legend
	legendName = 96 // from its left side to the first column of figures
)

// colours returns the colours of the categories.
func colours() map[Category]string {
	return map[Category]string{
		Write: "#e4572e", Read: "#f3a712", Poll: "#f6d55c", Futex: "#e07be0", Scheduler: "#9b87ff",
		Channels: "#d3caff", GC: "#a3abb2", Storage: "#c98d57",
		Codec: "#3caea3", Business: "#5b9bd5", Server: "#b3d9f5", Gnet: "#9fd8a4", Ants: "#62b77f", Zinx: "#c9cba3",
		Net: "#f7b2a0", Other: "#d9d9d9",
	}
}

// Picture draws flame graphs one below the other, on the same scale: equal width means
// equal CPU time. It contains no scripts, so it can be shown anywhere. Callers are below
// the functions that they call.
func Picture(title string, all ...Named) ([]byte, error) {
	if len(all) == 0 {
		return nil, errors.New("a picture of no profiles")
	}
	d := drawing{colours: colours()}
	var trees []*node
	most := int64(0)
	for _, n := range all {
		p, err := parse(n.Data, "")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		tree := treeOf(p)
		if tree.total <= 0 {
			return nil, fmt.Errorf("%s: nothing was sampled", n.Name)
		}
		trees, most = append(trees, tree), max(most, tree.total)
	}
	d.scale = float64(wide-2*margin) / float64(most)
	d.text(margin, titleLine, "start", 16, "bold", title)
	y := titleLine + heading
	for i, tree := range trees {
		d.text(margin, y, "start", 13, "bold", fmt.Sprintf("%s: %s of CPU", all[i].Name, rounded(tree.total)))
		rows := min(tree.depth(int64(thin/d.scale)+1), rowsMax)
		y += rowHigh/2 + rows*rowHigh
		d.frame(tree, tree.total, margin, y-rowHigh, rows)
		y += heading
	}
	y, err := d.legend(y, all)
	if err != nil {
		return nil, err
	}
	return d.close(y), nil
}

// drawing is an unfinished picture.
type drawing struct {
	bytes.Buffer
	colours map[Category]string
	scale   float64 // pixels per nanosecond
}

// frame draws a function and, above it, those that it called, in the remaining rows.
func (d *drawing) frame(n *node, of int64, x float64, y, rows int) {
	width := float64(n.total) * d.scale
	if width < thin || rows == 0 {
		return
	}
	_, _ = fmt.Fprintf(d, `<g><title>%s: %s, %.1f %% of CPU</title><rect x="%.1f" y="%d" width="%.1f" height="%d" `+
		`fill="%s" stroke="#fff" stroke-width="0.5"/>`,
		escaped(n.name), rounded(n.total), 100*float64(n.total)/float64(of), x, y, width, rowHigh,
		d.colours[n.category])
	if letters := int((width - 4) / (letterWide * frameSize)); letters >= textLeast {
		name := []rune(short(n.name))
		if len(name) > letters {
			name = append(name[:letters-1], '…')
		}
		_, _ = fmt.Fprintf(d, `<text x="%.1f" y="%d" font-size="%g">%s</text>`,
			x+2, y+rowHigh-4, frameSize, escaped(string(name)))
	}
	_, _ = d.WriteString("</g>\n")
	for _, callee := range n.sorted() {
		d.frame(callee, of, x, y-rowHigh, rows-1)
		x += float64(callee.total) * d.scale
	}
}

// entry is a line of the legend: a category and its share of each profile.
type entry struct {
	category Category
	parts    []string
}

// entries returns the categories that took time in any profile.
func entries(all []Named) (list []entry, err error) {
	var shares [][]Share
	for _, n := range all {
		s, err := Shares(n.Data)
		if err != nil {
			return nil, err
		}
		shares = append(shares, s)
	}
	for i, c := range Categories() {
		e, some := entry{category: c}, false
		for _, s := range shares {
			e.parts = append(e.parts, fmt.Sprintf("%.1f %%", 100*s[i].Part))
			some = some || s[i].CPU > 0
		}
		if some {
			list = append(list, e)
		}
	}
	return list, nil
}

// legend draws a table of the entries and its head: a column of figures for each profile,
// in two blocks side by side if there is room for the names. It returns where the table
// ends.
func (d *drawing) legend(y int, all []Named) (end int, err error) {
	list, err := entries(all)
	if err != nil {
		return 0, err
	}
	longest := 0
	for _, n := range all {
		longest = max(longest, len([]rune(n.Name)))
	}
	column := int(float64(longest+1)*letterWide*legendSize) + 1
	blocks := 2
	if legendName+len(all)*column > (wide-2*margin)/blocks {
		blocks = 1
	}
	high := (len(list) + blocks - 1) / blocks
	for block := range blocks {
		x := margin + block*(wide-2*margin)/blocks
		for j, n := range all {
			d.text(x+legendName+(j+1)*column, y, "end", legendSize, "bold", n.Name)
		}
		for i, e := range list[block*high : min((block+1)*high, len(list))] {
			d.entry(&e, x, y+(i+1)*legendHigh, column)
		}
	}
	return y + high*legendHigh + margin, nil
}

func (d *drawing) entry(e *entry, x, y, column int) {
	_, _ = fmt.Fprintf(d, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/>`, x, y-10, d.colours[e.category])
	d.text(x+18, y, "start", legendSize, "normal", string(e.category))
	for j, part := range e.parts {
		d.text(x+legendName+(j+1)*column, y, "end", legendSize, "normal", part)
	}
}

func (d *drawing) text(x, y int, anchor string, size int, weight, text string) {
	_, _ = fmt.Fprintf(d, `<text x="%d" y="%d" text-anchor="%s" font-size="%d" font-weight="%s">%s</text>`+"\n",
		x, y, anchor, size, weight, escaped(text))
}

// close returns the finished picture, with that height.
func (d *drawing) close(high int) []byte {
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" `+
		`font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" fill="#111">
<rect width="100%%" height="100%%" fill="#fff"/>
`, wide, high, wide, high)
	_, _ = d.WriteTo(&out)
	_, _ = out.WriteString("</svg>\n")
	return out.Bytes()
}

// rounded formats a time with three significant digits, in seconds or a smaller unit.
func rounded(nanoseconds int64) string {
	v, unit := float64(nanoseconds), 0
	units := [...]string{"ns", "µs", "ms", "s"}
	for v >= 999.5 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	decimals := 0
	for limit := 99.95; v < limit && decimals < 2 && unit > 0; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + " " + units[unit]
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // writing to a Buffer cannot fail
	return b.String()
}
