// Command terminalsvg draws a terminal's screen. It reads text with colours, as written by
// `tmux capture-pane -e -p`, and writes an SVG picture in which every letter is in its
// column and wide letters take two.
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

// run reads a captured screen and draws it.
func run(in io.Reader, out io.Writer, title string) error {
	// tmux also ignores the locale for the width of a letter.
	text.OverrideRuneWidthEastAsianWidth(false)
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
