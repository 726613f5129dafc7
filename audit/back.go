package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// backBytes is how much of a file is read at a time. It holds at least one line.
const backBytes = 2 * lineBytesMax

// Back calls see with the lines whose numbers are below before (0: all), newest first, until it returns
// false. It reads the files as they are when it is called, and keeps nobody from writing meanwhile. A file
// that was moved away ends it: what was in it is not seen.
func (l *Log) Back(before uint64, see func(*Record) bool) error {
	files, lines, err := l.hold()
	defer func() {
		for _, f := range files {
			_ = f.file.Close() // it was read
		}
	}()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, line := range slices.Backward(lines) {
		r, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if (before == 0 || r.Number < before) && !see(&r) {
			return nil
		}
	}
	for i := range files {
		more, err := files[i].back(before, see)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// heldFile is the part of a file that is whole lines.
type heldFile struct {
	file *os.File
	size int64
}

// hold opens the files of the log, newest first, or returns its lines where it has none.
func (l *Log) hold() (files []heldFile, lines [][]byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return nil, slices.Clone(l.memory), nil
	}
	names, err := l.full()
	if err != nil {
		return nil, nil, err
	}
	for i, name := range append([]string{l.path}, names...) {
		f, err := os.Open(name) //nolint:gosec // the log's own files
		if i == 0 && errors.Is(err, fs.ErrNotExist) {
			continue // the last one is full, and the next not begun
		}
		if err != nil {
			return files, nil, err
		}
		held := heldFile{f, l.size}
		files = append(files, held)
		if i > 0 {
			info, err := f.Stat()
			if err != nil {
				return files, nil, err
			}
			files[len(files)-1].size = info.Size()
		}
	}
	return files, nil, nil
}

// full returns the names of the files that are full, newest first.
func (l *Log) full() ([]string, error) {
	names, err := filepath.Glob(escapeGlob(l.path) + ".*")
	if err != nil {
		return nil, err
	}
	numbers := make(map[string]uint64)
	for _, name := range names {
		if n, err := strconv.ParseUint(strings.TrimPrefix(name, l.path+"."), 10, 64); err == nil {
			numbers[name] = n
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return numbers[name] == 0 })
	slices.SortFunc(names, func(a, b string) int { // newest first
		switch {
		case numbers[a] > numbers[b]:
			return -1
		case numbers[a] < numbers[b]:
			return 1
		}
		return 0
	})
	return names, nil
}

// back calls see with the lines of a file, last first. more says that see wants more.
func (f *heldFile) back(before uint64, see func(*Record) bool) (more bool, err error) {
	end, err := f.endBefore(before)
	for err == nil && end > 0 {
		var lines [][]byte
		if lines, end, err = f.linesUpTo(end); err != nil {
			break
		}
		for _, line := range slices.Backward(lines) {
			r, err := parseLine(line)
			if err != nil {
				return false, fmt.Errorf("%s: %w; papertape audit verify says more", f.file.Name(), err)
			}
			if (before == 0 || r.Number < before) && !see(&r) {
				return false, nil
			}
		}
	}
	return err == nil, err
}

// linesUpTo returns the last lines before end, which is the end of one, and where the first of them begins.
func (f *heldFile) linesUpTo(end int64) (lines [][]byte, begin int64, err error) {
	begin = max(0, end-backBytes)
	text := make([]byte, end-begin)
	if _, err := f.file.ReadAt(text, begin); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	if begin > 0 { // the first one may have begun earlier
		cut := bytes.IndexByte(text, '\n') + 1
		if cut == 0 || cut == len(text) {
			return nil, 0, fmt.Errorf("%s has a line longer than any that is written", f.file.Name())
		}
		text, begin = text[cut:], begin+int64(cut)
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'}), begin, nil
}

// endBefore returns the end of a line such that all lines with numbers below before come before it, and few others do.
// Lines are numbered in order, so it halves the file.
func (f *heldFile) endBefore(before uint64) (int64, error) {
	low, high := int64(0), f.size // low and high are ends of lines; what is after high has higher numbers
	for before != 0 && high-low > 2*backBytes {
		middle, number, err := f.lineAfter(low + (high-low)/2)
		switch {
		case err != nil:
			return 0, err
		case number < before:
			low = middle
		default:
			high = middle
		}
	}
	return high, nil
}

// lineAfter returns where the first line begins that begins after a place, and its number. There must be one within
// backBytes.
func (f *heldFile) lineAfter(at int64) (begin int64, number uint64, err error) {
	text := make([]byte, min(backBytes, f.size-at))
	if _, err := f.file.ReadAt(text, at); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	cut := bytes.IndexByte(text, '\n') + 1
	end := bytes.IndexByte(text[cut:], '\n')
	if cut == 0 || end < 0 {
		return 0, 0, fmt.Errorf("%s has a line longer than any that is written", f.file.Name())
	}
	r, err := parseLine(text[cut : cut+end])
	return at + int64(cut), r.Number, err
}
