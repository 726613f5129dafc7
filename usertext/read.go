package usertext

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// The possible faults of a text, as the Err of a Fault.
var (
	ErrTooLong = errors.New("the line is too long")
	ErrUTF16   = errors.New("this is UTF-16; save it as UTF-8")
	ErrNUL     = errors.New("there is a NUL byte, which no text has; if this is UTF-16, save it as UTF-8")
	ErrNotUTF8 = errors.New("this is not text in UTF-8; save it as UTF-8")
)

// Fault says what is wrong with a text, and where.
type Fault struct {
	Line int   // from 1
	Most int   // ErrTooLong: the maximum length of a line, in bytes
	Err  error // one of the above
}

// Error names the line.
func (f *Fault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Why()) }

// Unwrap returns which of the faults it is.
func (f *Fault) Unwrap() error { return f.Err }

// Why returns the sentence without the line number, for callers that add it in their own
// way.
func (f *Fault) Why() string {
	if errors.Is(f.Err, ErrTooLong) {
		return fmt.Sprintf("it is longer than %d bytes, the most that a line may have", f.Most)
	}
	return f.Err.Error()
}

const byteOrderMark = "\ufeff"

// Lines reads a text line by line. It returns a line as soon as its end arrives, so it
// serves a person at the other end of a pipe as well as a file.
type Lines struct {
	in     *bufio.Reader
	most   int // maximum length of a line, in bytes
	number int // of the line last returned by Next
	cr     bool
	line   []byte
}

// NewLines returns a reader of lines of at most that many bytes from r.
func NewLines(r io.Reader, most int) *Lines { return &Lines{in: bufio.NewReader(r), most: most} }

// Number returns the number of the line last returned by Next, from 1.
func (l *Lines) Number() int { return l.number }

// Next returns the next line, without its ending and without a leading byte order mark,
// which also occurs in the middle if files were concatenated. The error is io.EOF after the
// last line, a *Fault if a line is not text, or a read error. Nothing can be read after an
// error.
func (l *Lines) Next() (string, error) {
	l.line = l.line[:0]
	for {
		c, err := l.in.ReadByte()
		if errors.Is(err, io.EOF) && len(l.line) > 0 {
			return l.finish()
		}
		if err != nil {
			return "", err
		}
		after := l.cr && c == '\n' // the second half of CR LF
		l.cr = c == '\r'
		switch {
		case after:
		case c == '\n', c == '\r':
			return l.finish()
		case len(l.line) >= l.most:
			return "", l.fault(cmp.Or(l.notText(), ErrTooLong))
		default:
			l.add(c)
		}
	}
}

// add adds a byte to the line, and drops a byte order mark at its start.
func (l *Lines) add(c byte) {
	if l.line = append(l.line, c); string(l.line) == byteOrderMark {
		l.line = l.line[:0]
	}
}

// finish returns the finished line.
func (l *Lines) finish() (string, error) {
	if err := l.notText(); err != nil {
		return "", l.fault(err)
	}
	if !utf8.Valid(l.line) {
		return "", l.fault(ErrNotUTF8)
	}
	l.number++
	return string(l.line), nil
}

// notText returns an error if the line is not text in single bytes: UTF-16, or with a NUL
// byte.
func (l *Lines) notText() error {
	switch {
	case l.number == 0 && (bytes.HasPrefix(l.line, []byte{0xff, 0xfe}) || bytes.HasPrefix(l.line, []byte{0xfe, 0xff})):
		return ErrUTF16
	case bytes.IndexByte(l.line, 0) >= 0:
		return ErrNUL
	}
	return nil
}

// fault makes a Fault for the line being read.
func (l *Lines) fault(err error) error { return &Fault{Line: l.number + 1, Most: l.most, Err: err} }

// TooLargeError means that a text exceeds its maximum size.
type TooLargeError struct{ Most int }

// Error states the maximum size.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("it is larger than %d bytes, the most that is read", e.Most)
}

// Read reads a whole text of at most most bytes, and no more than that from r. It returns
// the lines, each followed by LF. The error is a *TooLargeError, a *Fault, or a read error.
func Read(r io.Reader, most int) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > most {
		return nil, &TooLargeError{most}
	}
	text := make([]byte, 0, len(raw)+1)
	lines := NewLines(bytes.NewReader(raw), most)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
		text = append(append(text, line...), '\n')
	}
}

// ReadFile reads a file like Read. Its errors name the file, and the line as FILE:3: if one
// is at fault.
func ReadFile(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Unreadable(path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return ReadNamed(f, path, most)
}

// ReadNamed is ReadFile for a file that is already open.
func ReadNamed(r io.Reader, path string, most int) ([]byte, error) {
	text, err := Read(r, most)
	var fault *Fault
	var large *TooLargeError
	switch {
	case errors.As(err, &fault):
		return nil, &fileFault{path, fault}
	case errors.As(err, &large):
		return nil, fmt.Errorf("%s is larger than %d bytes, the most that is read", path, most)
	case err != nil:
		return nil, Unreadable(path, err)
	}
	return text, nil
}

// fileFault is a fault that names the file.
type fileFault struct {
	path string
	*Fault
}

func (f *fileFault) Error() string { return fmt.Sprintf("%s:%d: %s", f.path, f.Line, f.Why()) }

// Unwrap returns the fault.
func (f *fileFault) Unwrap() error { return f.Fault }

// Unreadable wraps an error of the operating system about a file, and names the file once.
func Unreadable(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
