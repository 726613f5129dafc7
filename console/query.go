package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parameter is one that a query may have.
type parameter struct {
	name  string
	check func(value string) error // the error is a sentence that begins with the value
}

// takes checks a query that may have these parameters. Whoever misspells one, or writes it twice, means something: it
// is told, rather than answered as if it were not there.
func takes(all ...parameter) func(*http.Request) error {
	return func(r *http.Request) error {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return fmt.Errorf("the query cannot be read: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			i := slices.IndexFunc(all, func(p parameter) bool { return p.name == name })
			if i < 0 {
				return fmt.Errorf("there is no parameter %q here; %s takes %s", clip(name), r.URL.Path, namesOf(all))
			}
			if err := all[i].checkAll(query[name]); err != nil {
				return err
			}
		}
		return nil
	}
}

// checkAll checks all that is given for one name.
func (p *parameter) checkAll(values []string) error {
	switch {
	case len(values) > 1:
		return fmt.Errorf("%s is there %d times; write it once", p.name, len(values))
	case values[0] == "":
		return fmt.Errorf("%s is empty; give it a value, or leave it out", p.name)
	}
	if err := p.check(values[0]); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

func namesOf(all []parameter) string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return inWords(names)
}

// inWords is a list for a sentence: none, "a", "a and b", "a, b and c".
func inWords(words []string) string {
	last := len(words) - 1
	switch last {
	case -1:
		return "none"
	case 0:
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// clippedBytes is how much of what was sent an answer repeats.
const clippedBytes = 64

func clip(text string) string {
	if len(text) <= clippedBytes {
		return text
	}
	return strings.ToValidUTF8(text[:clippedBytes], "") + "…"
}

var errNumber = errors.New("it is not a whole number")

// parseNumber reads a number as FormatUint writes it. Every number has one form, so that no two names are of one thing:
// not 0100, which other programs take for 64, and not +100.
func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, errNumber
	}
	return n, nil
}

// number is a parameter that is a whole number.
func number(name string) parameter {
	return parameter{name, func(value string) error {
		if _, err := parseNumber(value); err != nil {
			return fmt.Errorf("%q is not a whole number; write digits alone, without zeros in front, from 0 to %d",
				clip(value), uint64(1<<64-1))
		}
		return nil
	}}
}

// queryNumber is a number of a query that was checked; 0 if it is not there.
func queryNumber(r *http.Request, name string) uint64 {
	n, _ := parseNumber(r.URL.Query().Get(name))
	return n
}
