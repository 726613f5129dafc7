package keys

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/usertext"
)

// Bounds of a file of keys.
const (
	KeysMax       = 10_000
	fileBytesMax  = 64 << 20
	firstLine     = "papertape keys 1"
	headerComment = "# id             verifier                                         role    accounts     the rest"
)

// File is the text of a file of keys, and what it says. Comments and the order of the lines are kept.
type File struct {
	lines []string
	keys  []Key
	at    []int // the line of each key
}

// LineError says which line of a file is wrong.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// Parse reads the text of a file of keys. The error is a *LineError or a *usertext.Fault, which names the line
// too, or says that the text is too long. It contains no verifier.
func Parse(text []byte) (*File, error) {
	clean, err := usertext.Read(bytes.NewReader(text), fileBytesMax)
	if err != nil {
		return nil, err
	}
	f := new(File)
	ids, begun := make(map[string]int), false
	for line := range strings.Lines(string(clean)) {
		line = strings.TrimSuffix(line, "\n")
		f.lines = append(f.lines, line)
		if words := strings.TrimFunc(line, isBlank); words == "" || words[0] == '#' {
			continue
		}
		if !begun {
			if begun = strings.TrimFunc(line, isBlank) == firstLine; begun {
				continue
			}
			return nil, f.wrong(fmt.Errorf("a file of keys begins with the line %s", firstLine))
		}
		if err := f.take(line, ids); err != nil {
			return nil, f.wrong(err)
		}
	}
	if !begun {
		return nil, f.wrong(fmt.Errorf("there is nothing here; a file of keys begins with the line %s", firstLine))
	}
	return f, nil
}

// wrong is an error about the last line.
func (f *File) wrong(err error) error { return &LineError{Line: max(1, len(f.lines)), Err: err} }

// take adds the key of the last line.
func (f *File) take(line string, ids map[string]int) error {
	k, err := parseLine(line)
	if err != nil {
		return err
	}
	if before, twice := ids[k.ID]; twice {
		return fmt.Errorf("the id %s is on line %d already", k.ID, before)
	}
	if len(f.keys) == KeysMax {
		return fmt.Errorf("there are more than %d keys; that is the most", KeysMax)
	}
	ids[k.ID] = len(f.lines)
	f.keys, f.at = append(f.keys, k), append(f.at, len(f.lines)-1)
	return nil
}

// Keys returns the keys in the order of the file.
func (f *File) Keys() []Key { return slices.Clone(f.keys) }

// ErrUnknown means that a file has no key with an id.
var ErrUnknown = errors.New("there is no key with this id; papertape keys list lists them")

// find returns the place of a key.
func (f *File) find(id string) (int, error) {
	i := slices.IndexFunc(f.keys, func(k Key) bool { return k.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("%s: %w", echo(id), ErrUnknown)
	}
	return i, nil
}

// Find returns the key with an id. The error is an ErrUnknown.
func (f *File) Find(id string) (Key, error) {
	i, err := f.find(id)
	if err != nil {
		return Key{}, err
	}
	return f.keys[i], nil
}

// Add appends a key.
func (f *File) Add(k *Key) error {
	if err := k.Check(); err != nil {
		return err
	}
	if _, err := f.find(k.ID); err == nil {
		return fmt.Errorf("there is a key %s already", k.ID)
	}
	if len(f.keys) == KeysMax {
		return fmt.Errorf("there are %d keys; that is the most", KeysMax)
	}
	f.keys, f.at = append(f.keys, *k), append(f.at, len(f.lines))
	f.lines = append(f.lines, k.line())
	return nil
}

// Remove takes the line of a key out.
func (f *File) Remove(id string) error {
	i, err := f.find(id)
	if err != nil {
		return err
	}
	line := f.at[i]
	f.lines = slices.Delete(f.lines, line, line+1)
	f.keys, f.at = slices.Delete(f.keys, i, i+1), slices.Delete(f.at, i, i+1)
	for j := range f.at {
		if f.at[j] > line {
			f.at[j]--
		}
	}
	return nil
}

// Expire has a key expire at a time, unless it expires earlier.
func (f *File) Expire(id string, at time.Time) error {
	i, err := f.find(id)
	if err != nil {
		return err
	}
	k := &f.keys[i]
	if k.Expires.IsZero() || at.Before(k.Expires) {
		k.Expires = at.UTC().Truncate(time.Second)
		f.lines[f.at[i]] = k.line()
	}
	return nil
}

// Text returns the file as it is to be written.
func (f *File) Text() []byte { return []byte(strings.Join(f.lines, "\n") + "\n") }

// newFile is a file without keys.
func newFile() *File { return &File{lines: []string{firstLine, headerComment}} }
