package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"time"
)

// Named is a profile with a name for people.
type Named struct {
	Name string
	Data []byte
}

// Measures of the picture, in pixels.
const (
	wide       = 1200
	rowHigh    = 15
	rowsMax    = 48 // deeper stacks are cut
	margin     = 20
	heading    = 24
	letterWide = 6.3 // of the names in the frames
	thin       = 0.5 // frames below are left out
	legendWide = 290 // of one entry
	textLeast  = 3   // letters: less says nothing
)

// colours are the categories' in the picture.
func colours() map[Category]string {
	return map[Category]string{
		Write: "#e4572e", Read: "#f3a712", Poll: "#f6d55c", Futex: "#e07be0", Scheduler: "#9b87ff", Channels: "#d3caff", GC: "#a3abb2", Storage: "#c98d57",
		Codec: "#3caea3", Business: "#5b9bd5", Server: "#b3d9f5", Gnet: "#9fd8a4", Ants: "#62b77f", Zinx: "#c9cba3", Net: "#f7b2a0", Other: "#d9d9d9",
	}
}

// Picture draws the flame graphs of profiles below one another, on one scale: what is as wide took as much CPU. It runs no
// scripts, so it can be shown anywhere. The functions that call are below, those called above them.
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
	d.text(margin, margin, 16, "bold", title)
	y := margin + heading
	for i, tree := range trees {
		d.text(margin, y, 13, "bold", fmt.Sprintf("%s: %s of CPU", all[i].Name, rounded(tree.total)))
		rows := min(tree.depth(int64(thin/d.scale)+1), rowsMax)
		y += rowHigh/2 + rows*rowHigh
		d.frame(tree, tree.total, margin, y-rowHigh, rows)
		y += heading
	}
	y, err := d.legend(y, all)
	if err != nil {
		return nil, err
	}
	return d.close(y + margin), nil
}

// drawing is the picture so far.
type drawing struct {
	bytes.Buffer
	colours map[Category]string
	scale   float64 // pixels a nanosecond
}

// frame draws a function and above it those that it called, in the rows that are left.
func (d *drawing) frame(n *node, of int64, x float64, y, rows int) {
	width := float64(n.total) * d.scale
	if width < thin || rows == 0 {
		return
	}
	_, _ = fmt.Fprintf(d, `<g><title>%s: %s, %.1f %% of CPU</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff" stroke-width="0.5"/>`,
		escaped(n.name), rounded(n.total), 100*float64(n.total)/float64(of), x, y, width, rowHigh, d.colours[n.category])
	if letters := int((width - 4) / letterWide); letters >= textLeast {
		name := []rune(short(n.name))
		if len(name) > letters {
			name = append(name[:letters-1], '…')
		}
		_, _ = fmt.Fprintf(d, `<text x="%.1f" y="%d" font-size="10.5">%s</text>`, x+2, y+rowHigh-4, escaped(string(name)))
	}
	_, _ = d.WriteString("</g>\n")
	for _, callee := range n.sorted() {
		d.frame(callee, of, x, y-rowHigh, rows-1)
		x += float64(callee.total) * d.scale
	}
}

// legend says what the colours mean, and how much of each profile each is. It returns where it ends.
func (d *drawing) legend(y int, all []Named) (end int, err error) {
	var shares [][]Share
	for _, n := range all {
		s, err := Shares(n.Data)
		if err != nil {
			return 0, err
		}
		shares = append(shares, s)
	}
	x := margin
	for i, c := range Categories() {
		text := string(c) + ":"
		some := false
		for j := range all {
			text += fmt.Sprintf(" %.1f %%,", 100*shares[j][i].Part)
			some = some || shares[j][i].CPU > 0
		}
		if !some {
			continue
		}
		if x+legendWide > wide {
			x, y = margin, y+rowHigh+4
		}
		_, _ = fmt.Fprintf(d, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/>`, x, y-10, d.colours[c])
		d.text(x+18, y, 12, "normal", text[:len(text)-1])
		x += legendWide
	}
	return y, nil
}

func (d *drawing) text(x, y, size int, weight, text string) {
	_, _ = fmt.Fprintf(d, "<text x=\"%d\" y=\"%d\" font-size=\"%d\" font-weight=\"%s\">%s</text>\n", x, y, size, weight, escaped(text))
}

// close is the whole picture, so high.
func (d *drawing) close(high int) []byte {
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" fill="#111">
<rect width="100%%" height="100%%" fill="#fff"/>
`, wide, high, wide, high)
	_, _ = d.WriteTo(&out)
	_, _ = out.WriteString("</svg>\n")
	return out.Bytes()
}

// rounded is a time to three figures.
func rounded(nanoseconds int64) string {
	t := time.Duration(nanoseconds)
	unit := time.Duration(1)
	for t/unit >= 1000 {
		unit *= 10
	}
	return t.Round(unit).String()
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a Buffer takes everything
	return b.String()
}
