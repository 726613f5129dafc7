package decimal

import (
	"strconv"
	"time"
)

// Flag is the value of a flag, as the packages flag and pflag have it. Their own flags of whole numbers read 0100
// as 64.
type Flag[T any] struct {
	to    *T
	kind  string // a word for --help
	parse func(text string) (T, error)
	print func(T) string
}

// Whole is a flag of a whole number from low to high, which is value until it is set. The value may be outside:
// that stands for a flag that was not set.
func Whole[T Integer](to *T, value, low, high T) *Flag[T] {
	*to = value
	return &Flag[T]{to, "number", func(text string) (T, error) { return ParseWhole(text, low, high) }, formatWhole[T]}
}

// Real is a flag of a number from low to high.
func Real(to *float64, value, low, high float64) *Flag[float64] {
	*to = value
	parse := func(text string) (float64, error) { return ParseReal(text, low, high) }
	return &Flag[float64]{to, "number", parse, FormatReal}
}

// Duration is a flag of a duration from low to high.
func Duration(to *time.Duration, value, low, high time.Duration) *Flag[time.Duration] {
	*to = value
	parse := func(text string) (time.Duration, error) { return ParseDuration(text, low, high) }
	return &Flag[time.Duration]{to, "duration", parse, formatDefault}
}

// Set takes a text of the command line.
func (f *Flag[T]) Set(text string) error {
	v, err := f.parse(text)
	if err == nil {
		*f.to = v
	}
	return err
}

// String is the value as Set takes it; nothing for a Flag that nobody made, of which flag wants to know the default.
func (f *Flag[T]) String() string {
	if f == nil || f.to == nil {
		return ""
	}
	return f.print(*f.to)
}

// Type is a word for --help.
func (f *Flag[T]) Type() string { return f.kind }

func formatWhole[T Integer](n T) string { return strconv.FormatUint(uint64(n), 10) }

// formatDefault writes 0 as pflag wants it, which then does not show it.
func formatDefault(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return FormatDuration(d)
}
