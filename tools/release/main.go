// Command release does for tools/release.sh what a shell cannot: it says which modules a binary has
// in it, under which licenses, and makes what docker save writes the same on every run.
//
//	release licenses --source DIR BINARY                           the licenses, as text
//	release sbom --source DIR --version V --time SECONDS BINARY    a CycloneDX document
//	docker save papertape | release image --time SECONDS           the same image, an archive
//
// DIR is the source of the binary: its go.mod finds the modules in Go's cache.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// commands are what can be asked for; each writes to stdout.
const (
	commandLicenses = "licenses"
	commandSBOM     = "sbom"
	commandImage    = "image"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("what is asked for? licenses, sbom or image")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	source := flags.String("source", ".", "the `directory` of the binary's source")
	version := flags.String("version", "", "the `version` of the release")
	seconds := flags.Int64("time", 0, "`seconds` since 1970: the time of the commit")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	at := time.Unix(*seconds, 0).UTC()
	if args[0] == commandImage {
		return normalize(in, out, at)
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%s takes one binary, not %d", args[0], flags.NArg())
	}
	b, err := inspect(*source, flags.Arg(0))
	if err != nil {
		return err
	}
	switch args[0] {
	case commandLicenses:
		return writeLicenses(out, b)
	case commandSBOM:
		if *version == "" {
			return errors.New("an SBOM needs the version of the release: --version")
		}
		return writeSBOM(out, b, *version, at)
	}
	return fmt.Errorf("there is no %q; there are licenses, sbom and image", args[0])
}
