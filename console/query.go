package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// parameter is a query parameter that an operation accepts.
type parameter struct {
	name  string
	check func(value string) error // the error is a sentence about the value
}

// acceptParameters returns a check of queries that accepts only these parameters. A misspelt or
// repeated parameter is an error, because whoever sends it expects it to have an effect.
func acceptParameters(all ...parameter) func(*http.Request) error {
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

// checkAll checks all values of one parameter.
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

var errNumber = errors.New("it is not a whole number")

// parseNumber parses a number in the form in which FormatUint writes it. Each number has only
// one form, so that nothing has two names: not 0100, which some programs read as 64, and not
// +100.
func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, errNumber
	}
	return n, nil
}

// number is a parameter that takes a whole number.
func number(name string) parameter {
	return parameter{name, func(value string) error {
		if _, err := parseNumber(value); err != nil {
			return fmt.Errorf("%q is not a whole number; write digits alone, without zeros in front, from 0 to %d",
				clip(value), uint64(1<<64-1))
		}
		return nil
	}}
}

// text is a parameter that takes any text.
func text(name string) parameter { return parameter{name, func(string) error { return nil }} }

// moment is a parameter that takes a time.
func moment(name string) parameter {
	return parameter{name, func(value string) error {
		if _, err := time.Parse(time.RFC3339Nano, value); err != nil {
			return fmt.Errorf("%q is not a time; write it as in 2026-11-30T09:30:00Z", clip(value))
		}
		return nil
	}}
}

// queryNumber returns a number from a query that has been checked, or 0 if it is not there.
func queryNumber(r *http.Request, name string) uint64 {
	n, _ := parseNumber(r.URL.Query().Get(name))
	return n
}
