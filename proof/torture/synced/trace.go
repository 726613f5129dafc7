package synced

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// syscall is one system call of the trace. Lines are numbered from 1, in the order in which strace
// saw them.
type syscall struct {
	name   string
	file   string // the path, or socket:[…], behind the descriptor
	data   []byte // what was written
	began  int    // line
	ended  int    // line; 0 if it never ended
	result int64
}

// readTrace reads the output of strace -f -ttt -y -xx.
func readTrace(r io.Reader) (calls []*syscall, err error) {
	lines := 0
	in := bufio.NewReaderSize(r, 1<<20)
	under := make(map[string]*syscall) // by thread: begun and not ended
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 {
			if errors.Is(err, io.EOF) {
				return calls, nil
			}
			return calls, err
		}
		lines++
		call, err := readLine(string(bytes.TrimSpace(line)), lines, under)
		if err != nil {
			return calls, fmt.Errorf("line %d of the trace: %w", lines, err)
		}
		if call != nil {
			calls = append(calls, call)
		}
	}
}

// readLine returns the call that begins in a line. If the line ends an earlier call, it records
// that instead.
func readLine(line string, number int, under map[string]*syscall) (*syscall, error) {
	thread, rest, _ := strings.Cut(line, " ")
	_, rest, ok := strings.Cut(strings.TrimSpace(rest), " ") // the time
	switch {
	case !ok, strings.HasPrefix(rest, "---"), strings.HasPrefix(rest, "+++"):
		return nil, nil
	case strings.HasPrefix(rest, "<... "):
		call := under[thread]
		if call == nil {
			return nil, nil // from before the trace
		}
		delete(under, thread)
		return nil, call.end(rest, number)
	}
	name, arguments, ok := strings.Cut(rest, "(")
	if !ok {
		return nil, fmt.Errorf("%.80q is no call", rest)
	}
	call := &syscall{name: name, began: number}
	var err error
	if call.file, err = fileOf(arguments); err == nil {
		call.data, err = dataOf(arguments)
	}
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(rest, "<unfinished ...>") {
		under[thread] = call
		return call, nil
	}
	return call, call.end(rest, number)
}

// end parses the result at the end of a line.
func (c *syscall) end(line string, number int) error {
	at := strings.LastIndex(line, ") = ")
	if at < 0 {
		if strings.HasSuffix(line, "= ?") { // the process ended in this call
			return nil
		}
		return fmt.Errorf("%.80q has no result", line[max(0, len(line)-80):])
	}
	text, _, _ := strings.Cut(line[at+len(") = "):], " ")
	if text == "?" {
		return nil
	}
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return fmt.Errorf("the result %q: %w", text, err)
	}
	c.ended, c.result = number, n
	if len(c.data) > int(max(0, n)) {
		c.data = c.data[:max(0, n)] // the part that was accepted
	}
	return nil
}

// fileOf returns the file behind the first argument, a descriptor.
func fileOf(arguments string) (string, error) {
	_, rest, ok := strings.Cut(arguments, "<")
	text, _, closed := strings.Cut(rest, ">")
	if !ok || !closed {
		return "", nil // AT_FDCWD, or no descriptor
	}
	if !strings.HasPrefix(text, `\x`) {
		return text, nil
	}
	b, err := unhex(text)
	return string(b), err
}

// dataOf returns all that stands between quotes: what is written, in one piece or in several.
func dataOf(arguments string) ([]byte, error) {
	var data []byte
	for {
		_, rest, ok := strings.Cut(arguments, `"`)
		if !ok {
			return data, nil
		}
		text, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return nil, errors.New("a string is not closed")
		}
		if strings.HasPrefix(after, "...") {
			return nil, errors.New("a string was cut short: strace must be given a larger -s")
		}
		b, err := unhex(text)
		if err != nil {
			return nil, err
		}
		data, arguments = append(data, b...), after
	}
}

func unhex(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		return nil, fmt.Errorf("%.40q: %w", text, err)
	}
	return b, nil
}
