package tape

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineBytesMax bounds a line, with its ending.
const lineBytesMax = 64 << 10

// errLongLine means that a line is longer than lineBytesMax. It was skipped.
var errLongLine = errors.New("the line is longer than 65536 bytes")

// lines reads a text line by line, within a buffer of its own.
type lines struct {
	in     *bufio.Reader
	number int64 // of the line last returned, from 1
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, lineBytesMax)} }

// next returns the next line, without its ending and a leading byte order mark. It is valid
// until the next call. The error is errLongLine, after which one can read on, io.EOF, or that
// of the reader below.
func (l *lines) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if len(line) > 0 || err == nil {
		l.number++
	}
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, l.skip()
	case errors.Is(err, io.EOF) && len(line) > 0: // the last line may lack its ending
	default:
		return nil, err
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if l.number == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return line, nil
}

// skip reads to the end of a line that is too long.
func (l *lines) skip() error {
	for {
		_, err := l.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return errLongLine
	}
}

// ready reports whether the next line is there without waiting for the reader below.
func (l *lines) ready() bool {
	waiting, err := l.in.Peek(l.in.Buffered())
	return err == nil && bytes.IndexByte(waiting, '\n') >= 0
}
