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

// What can be wrong with a text, as the Err of a Fault.
var (
	ErrTooLong = errors.New("the line is too long")
	ErrUTF16   = errors.New("this is UTF-16; save it as UTF-8")
	ErrNUL     = errors.New("there is a NUL byte, which no text has; if this is UTF-16, save it as UTF-8")
	ErrNotUTF8 = errors.New("this is not text in UTF-8; save it as UTF-8")
)

// Fault is what is wrong with a text, and where.
type Fault struct {
	Line int   // from 1
	Most int   // ErrTooLong: how many bytes a line may have
	Err  error // one of the above
}

// Error names the line.
func (f *Fault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Why()) }

// Unwrap is which of the faults it is.
func (f *Fault) Unwrap() error { return f.Err }

// Why is the sentence without the line, for those who name it in a way of their own.
func (f *Fault) Why() string {
	if errors.Is(f.Err, ErrTooLong) {
		return fmt.Sprintf("it is longer than %d bytes, the most that a line may have", f.Most)
	}
	return f.Err.Error()
}

const byteOrderMark = "\ufeff"

// Lines reads a text line by line. A line is handed out as soon as its end is there, so it serves a person at the
// other end of a pipe as well as a file.
type Lines struct {
	in     *bufio.Reader
	most   int // bytes of a line
	number int // of the line that Next returned last
	cr     bool
	line   []byte
}

// NewLines reads from r lines of at most that many bytes.
func NewLines(r io.Reader, most int) *Lines { return &Lines{in: bufio.NewReader(r), most: most} }

// Number is that of the line that Next returned last, from 1.
func (l *Lines) Number() int { return l.number }

// Next is the next line, without its end and without a byte order mark before it: files that were put one behind the
// other have one in the middle. The error is io.EOF where there are no more lines, a *Fault where one is not text, or
// what reading came to. After an error there is nothing more.
func (l *Lines) Next() (string, error) {
	l.line = l.line[:0]
	for {
		c, err := l.in.ReadByte()
		if errors.Is(err, io.EOF) && len(l.line) > 0 {
			return l.text()
		}
		if err != nil {
			return "", err
		}
		after := l.cr && c == '\n' // the other half of CR LF
		l.cr = c == '\r'
		switch {
		case after:
		case c == '\n', c == '\r':
			return l.text()
		case len(l.line) >= l.most:
			return "", l.fault(cmp.Or(l.foreign(), ErrTooLong))
		default:
			l.add(c)
		}
	}
}

// add takes a byte of the line. A mark before the line is none of it.
func (l *Lines) add(c byte) {
	if l.line = append(l.line, c); string(l.line) == byteOrderMark {
		l.line = l.line[:0]
	}
}

// text is the line that has been read to its end.
func (l *Lines) text() (string, error) {
	if err := l.foreign(); err != nil {
		return "", l.fault(err)
	}
	if !utf8.Valid(l.line) {
		return "", l.fault(ErrNotUTF8)
	}
	l.number++
	return string(l.line), nil
}

// foreign says what the line is that is no text of one byte after the other.
func (l *Lines) foreign() error {
	switch {
	case l.number == 0 && (bytes.HasPrefix(l.line, []byte{0xff, 0xfe}) || bytes.HasPrefix(l.line, []byte{0xfe, 0xff})):
		return ErrUTF16
	case bytes.IndexByte(l.line, 0) >= 0:
		return ErrNUL
	}
	return nil
}

// fault is about the line that is being read.
func (l *Lines) fault(err error) error { return &Fault{Line: l.number + 1, Most: l.most, Err: err} }

// TooLargeError is a text that is larger than it may be.
type TooLargeError struct{ Most int }

// Error says how large it may be.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("it is larger than %d bytes, the most that is read", e.Most)
}

// Read reads a whole text of at most that many bytes, however large r is: its lines, each with LF behind it. The
// error is a *TooLargeError, a *Fault, or what reading came to.
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

// ReadFile is Read of a file. Its errors name the file: as FILE:3: where a line is at fault.
func ReadFile(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Unreadable(path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return ReadNamed(f, path, most)
}

// ReadNamed is Read of a file that is open. Its errors name it as those of ReadFile do.
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

// fileFault is a fault with the file before it.
type fileFault struct {
	path string
	*Fault
}

func (f *fileFault) Error() string { return fmt.Sprintf("%s:%d: %s", f.path, f.Line, f.Why()) }

// Unwrap is the fault.
func (f *fileFault) Unwrap() error { return f.Fault }

// Unreadable is an error of the operating system about a file, which names it once.
func Unreadable(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
