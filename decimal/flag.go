package decimal

import (
	"strconv"
	"time"
)

// Flag is a flag's value for the packages flag and pflag, whose own integer flags read 0100
// as 64.
type Flag[T any] struct {
	to    *T
	kind  string // a word for --help
	parse func(text string) (T, error)
	print func(T) string
}

// Whole returns a flag for a whole number from low to high. The number is value until the
// flag is set; value may be out of range, to represent a flag that was not set.
func Whole[T Integer](to *T, value, low, high T) *Flag[T] {
	*to = value
	return &Flag[T]{to, "number", func(text string) (T, error) { return ParseWhole(text, low, high) }, formatWhole[T]}
}

// Real returns a flag for a number from low to high.
func Real(to *float64, value, low, high float64) *Flag[float64] {
	*to = value
	parse := func(text string) (float64, error) { return ParseReal(text, low, high) }
	return &Flag[float64]{to, "number", parse, FormatReal}
}

// Duration returns a flag for a duration from low to high.
func Duration(to *time.Duration, value, low, high time.Duration) *Flag[time.Duration] {
	*to = value
	parse := func(text string) (time.Duration, error) { return ParseDuration(text, low, high) }
	return &Flag[time.Duration]{to, "duration", parse, formatDefault}
}

// Set parses a text from the command line.
func (f *Flag[T]) Set(text string) error {
	v, err := f.parse(text)
	if err == nil {
		*f.to = v
	}
	return err
}

// String formats the value as Set parses it. It returns "" for the zero Flag, on which
// package flag calls String to learn the default.
func (f *Flag[T]) String() string {
	if f == nil || f.to == nil {
		return ""
	}
	return f.print(*f.to)
}

// Type returns the word for the type in --help.
func (f *Flag[T]) Type() string { return f.kind }

func formatWhole[T Integer](n T) string { return strconv.FormatUint(uint64(n), 10) }

// formatDefault writes 0 as "0", which pflag recognises as a default that it need not show.
func formatDefault(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return FormatDuration(d)
}
