package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/decimal"
)

// value converts between the text of a setting and a field of Config.
type value interface {
	set(c *Config, text string) error // errors are sentences without the key
	text(c *Config) string            // in a form that set accepts
	kind() string                     // a word for --help
}

// Words for --help, which other flags use too. pflag prints an argument for every kind except bool.
const (
	KindBool     = "bool"
	kindSize     = "size"
	KindDuration = "duration"
	KindNumber   = "number"
	KindText     = "text"
	kindList     = "list"
)

// field is a value that is stored in one field of Config.
type field[T any] struct {
	word   string
	at     func(*Config) *T
	parse  func(string) (T, error)
	format func(T) string
}

func (f field[T]) kind() string { return f.word }

func (f field[T]) text(c *Config) string { return f.format(*f.at(c)) }

func (f field[T]) set(c *Config, text string) error {
	v, err := f.parse(text)
	if err == nil {
		*f.at(c) = v
	}
	return err
}

func numberValue(at func(*Config) *int, low, high int) value {
	parse := func(text string) (int, error) { return decimal.ParseWhole(text, low, high) }
	return field[int]{KindNumber, at, parse, strconv.Itoa}
}

const auto = "auto"

// autoNumberValue accepts a number, or auto, which is stored as 0.
func autoNumberValue(at func(*Config) *int, low, high int) value {
	parse := func(text string) (int, error) {
		if text == auto {
			return 0, nil
		}
		n, err := decimal.ParseWhole(text, low, high)
		if err != nil {
			err = fmt.Errorf("%w, or auto", err)
		}
		return n, err
	}
	format := func(n int) string {
		if n == 0 {
			return auto
		}
		return strconv.Itoa(n)
	}
	return field[int]{KindNumber, at, parse, format}
}

func unsignedValue(at func(*Config) *uint64) value {
	parse := func(text string) (uint64, error) { return decimal.ParseWhole[uint64](text, 0, math.MaxUint64) }
	return field[uint64]{KindNumber, at, parse, func(n uint64) string { return strconv.FormatUint(n, 10) }}
}

func floatValue(at func(*Config) *float64, low, high float64) value {
	parse := func(text string) (float64, error) { return decimal.ParseReal(text, low, high) }
	return field[float64]{KindNumber, at, parse, decimal.FormatReal}
}

func booleanValue(at func(*Config) *bool) value {
	return field[bool]{KindBool, at, ParseBool, strconv.FormatBool}
}

// ParseBool accepts true and false only, as settings do.
func ParseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
}

// oneOfValue accepts one of words. later maps words that are planned but not supported yet to the
// message for whoever uses them.
func oneOfValue(at func(*Config) *string, later map[string]string, words ...string) value {
	parse := func(text string) (string, error) {
		if slices.Contains(words, text) {
			return text, nil
		}
		if why, ok := later[text]; ok {
			return "", errors.New(why)
		}
		if near := nearest(text, slices.Values(words)); near != "" {
			return "", fmt.Errorf("%q is not possible; did you mean %s?", text, near)
		}
		return "", fmt.Errorf("%q is not possible; write %s", text, choice(words))
	}
	return field[string]{KindText, at, parse, same}
}

// choice joins words for a sentence: "a", "a or b", "a, b or c".
func choice(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func same(text string) string { return text }

// pathValue accepts the path of a file or directory. If optional is set it may be empty.
func pathValue(at func(*Config) *string, optional bool) value {
	parse := func(text string) (string, error) {
		if text == "" && !optional {
			return "", errors.New("it is empty; write a path")
		}
		return text, userfile.CheckPath(text)
	}
	return field[string]{KindText, at, parse, same}
}

func addressValue(at func(*Config) *string) value {
	parse := func(text string) (string, error) { return text, CheckAddress(text, 0) }
	return field[string]{KindText, at, parse, same}
}

// optionalAddressValue is addressValue, and accepts the empty text too.
func optionalAddressValue(at func(*Config) *string) value {
	parse := func(text string) (string, error) {
		if text == "" {
			return "", nil
		}
		return text, CheckAddress(text, 0)
	}
	return field[string]{KindText, at, parse, same}
}

// listValue accepts a list of at most itemsMax different items. The list may be empty.
func listValue(at func(*Config) *[]string, itemsMax int, item func(string) (string, error)) value {
	format := func(list []string) string { return strings.Join(list, ",") }
	return field[[]string]{kindList, at, parseList(itemsMax, item), format}
}

// prefixesValue accepts a list of networks. The list may be empty.
func prefixesValue(at func(*Config) *[]netip.Prefix, itemsMax int) value {
	format := func(list []netip.Prefix) string {
		var all []string
		for _, p := range list {
			all = append(all, p.String())
		}
		return strings.Join(all, ",")
	}
	return field[[]netip.Prefix]{kindList, at, parseList(itemsMax, parsePrefix), format}
}

func parseList[T comparable](itemsMax int, item func(string) (T, error)) func(string) ([]T, error) {
	return func(text string) (list []T, err error) {
		if strings.TrimSpace(text) == "" {
			return nil, nil
		}
		for part := range strings.SplitSeq(text, ",") {
			one, err := item(strings.TrimSpace(part))
			switch {
			case err != nil:
				return nil, err
			case slices.Contains(list, one):
				return nil, fmt.Errorf("%q is there twice; write it once", fmt.Sprint(one))
			}
			if list = append(list, one); len(list) > itemsMax {
				return nil, fmt.Errorf("there are more than %d; write at most so many", itemsMax)
			}
		}
		return list, nil
	}
}

func durationValue(at func(*Config) *time.Duration, low, high time.Duration) value {
	parse := func(text string) (time.Duration, error) { return decimal.ParseDuration(text, low, high) }
	return field[time.Duration]{KindDuration, at, parse, decimal.FormatDuration}
}

func sizeValue(at func(*Config) *int64, low, high int64) value {
	parse := func(text string) (int64, error) {
		n, err := parseSize(text)
		if err != nil {
			return 0, err
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%s is out of range; write %s to %s", text, printSize(low), printSize(high))
		}
		return n, nil
	}
	return field[int64]{kindSize, at, parse, printSize}
}

// sizeUnits are in descending order.
var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}

func parseSize(text string) (int64, error) {
	digits, shift := text, uint(0)
	for _, unit := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			digits, shift = strings.TrimSuffix(rest, " "), unit.shift
			break
		}
	}
	n, err := decimal.ParseWhole[int64](digits, 0, math.MaxInt64)
	if err != nil || n<<shift>>shift != n {
		return 0, fmt.Errorf("%q is not a size; write 256KiB, 64MiB, 1GiB, or a number of bytes", text)
	}
	return n << shift, nil
}

func printSize(n int64) string {
	for _, unit := range sizeUnits {
		if n != 0 && n%(1<<unit.shift) == 0 {
			return strconv.FormatInt(n>>unit.shift, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}
