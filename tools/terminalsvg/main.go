// Command terminalsvg draws a terminal's screen: it reads text with colours, as `tmux capture-pane -e -p` writes it,
// and writes an SVG picture in which every letter stands in its column, wide ones in two.
//
//	tmux capture-pane -e -p | go run ./tools/terminalsvg -title "papertape client" > picture.svg
package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("terminalsvg: ")
	title := flag.String("title", "papertape client", "what stands in the bar above the screen")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *title); err != nil {
		log.Fatal(err)
	}
}

// run draws the screen that it reads.
func run(in io.Reader, out io.Writer, title string) error {
	text.OverrideRuneWidthEastAsianWidth(false) // tmux does not look at the locale for the width of a letter either
	captured, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	s, err := read(strings.TrimRight(string(captured), "\n "))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	s.draw(&b, title)
	_, err = b.WriteTo(out)
	return err
}
