package usertext

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll returns the lines of a text.
func readAll(r io.Reader, most int) (lines []string, err error) {
	for l := NewLines(r, most); ; {
		line, err := l.Next()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
		if l.Number() != len(lines) {
			return lines, errors.New("the number is wrong")
		}
	}
}

// TestLines: a text has the same lines on whatever system it was written.
func TestLines(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"one\ntwo\n":                 "one|two",
		"one\ntwo":                   "one|two",
		"one\r\ntwo\r\n":             "one|two",
		"one\rtwo\r":                 "one|two",
		"one\r\rthree":               "one||three",
		"one\r\n\r\nthree":           "one||three",
		"one\n\rthree":               "one||three",
		"\n":                         "",
		"\ufeffone\n":                "one",
		"\ufeff":                     "",
		"\ufeff\n\n":                 "|",
		"\ufeffone\r\n\ufefftwo\r\n": "one|two",
		"a\u2028二\n":                 "a\u2028二",
		"12345678\n12345678":         "12345678|12345678",
		"\ufeff12345678\n":           "12345678",
		"one \ufeff\n":               "one \ufeff",
	} {
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"with the end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			lines, err := readAll(r, 8)
			if err != nil || strings.Join(lines, "|") != want {
				t.Errorf("%q, %s: %q, %v, want %q", text, how, lines, err, want)
			}
		}
	}
}

// TestLinesFaults: if a line is not text, the error is a sentence with the line number, and
// the lines before it are returned.
func TestLinesFaults(t *testing.T) {
	for text, want := range map[string]string{
		"one\n123456789\n":         "one: line 2: it is longer than 8 bytes, the most that a line may have",
		"123456789":                ": line 1: it is longer than 8 bytes, the most that a line may have",
		"\xff\xfeo\x00n\x00e\x00":  ": line 1: this is UTF-16; save it as UTF-8",
		"\xfe\xff\x00o\x00n\x00e":  ": line 1: this is UTF-16; save it as UTF-8",
		"\xff\xfeo\x00n\x00\n\x00": ": line 1: this is UTF-16; save it as UTF-8",
		"o\x00n\x00e\x00\n\x00": ": line 1: there is a NUL byte, which no text has; if this is UTF-16, save " +
			"it as UTF-8",
		"o\x00n\x00e\x00t\x00w\x00": ": line 1: there is a NUL byte, which no text has; if this is UTF-16, save " +
			"it as UTF-8",
		"one\r\n\xc2\xf2\xc8\xeb\r\n": "one: line 2: this is not text in UTF-8; save it as UTF-8",
		"one\n\n\xff":                 "one|: line 3: this is not text in UTF-8; save it as UTF-8",
	} {
		lines, err := readAll(iotest.OneByteReader(strings.NewReader(text)), 8)
		var fault *Fault
		if !errors.As(err, &fault) || strings.Join(lines, "|")+": "+err.Error() != want {
			t.Errorf("%q: %q, %v, want %s", text, lines, err, want)
		}
	}
	if _, err := readAll(iotest.ErrReader(io.ErrClosedPipe), 8); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("what reading came to: %v", err)
	}
}

// TestLineByLine: a line is returned as soon as its ending arrives, before anything
// follows.
func TestLineByLine(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		r, w := io.Pipe()
		lines := NewLines(r, 8)
		for range 2 {
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(w, "one"+end)
				sent <- err
			}()
			if line, err := lines.Next(); line != "one" || err != nil {
				t.Errorf("%q: %q, %v", end, line, err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
		_ = w.Close()
		if line, err := lines.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%q: at the end %q, %v", end, line, err)
		}
	}
}

// endless is a reader that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil // zeros
}

func TestReadBounded(t *testing.T) {
	source := new(endless)
	_, err := Read(source, 1000)
	var large *TooLargeError
	if !errors.As(err, &large) || err.Error() != "it is larger than 1000 bytes, the most that is read" {
		t.Errorf("%v", err)
	}
	if source.read > 2000 {
		t.Errorf("%d bytes were read to see that there are more than 1000", source.read)
	}
	if text, err := Read(strings.NewReader("\ufeffa: 1\r\nb: 2"), 16); string(text) != "a: 1\nb: 2\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestReadFile: errors name the file, and the line in the form that editors understand.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "text")
	for text, want := range map[string]string{
		"one\r\ntwo":         "",
		"one\n\x00":          path + ":2: there is a NUL byte, which no text has; if this is UTF-16, save it as UTF-8",
		"0123456789abcdefgh": path + " is larger than 16 bytes, the most that is read",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := ReadFile(path, 16)
		if want == "" && (string(read) != "one\ntwo\n" || err != nil) ||
			want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: %q, %v, want %s", text, read, err, want)
		}
	}
	_, err := ReadFile(filepath.Join(dir, "none"), 16)
	if !errors.Is(err, os.ErrNotExist) ||
		err.Error() != filepath.Join(dir, "none")+" cannot be read: no such file or directory" {
		t.Errorf("%v", err)
	}
	if _, err := ReadFile(dir, 16); err == nil || err.Error() != dir+" cannot be read: is a directory" {
		t.Errorf("%v", err)
	}
}

// FuzzLines: a text has the same lines with CR LF and with LF endings, and each is valid
// UTF-8 and within the limit.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"one\ntwo", "\ufeffone\r\n", "\xff\xfea\x00", "a\rb", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := readAll(strings.NewReader(text), 8)
		for _, line := range lines {
			if len(line) > 8 || CheckLine(line, 8) == nil && Shown(line) != line &&
				!strings.ContainsFunc(line, isBlank) {
				t.Errorf("%q has the line %q", text, line)
			}
		}
		if again, errAgain := readAll(strings.NewReader(strings.Join(lines, "\r\n")+"\r\n"), 8); err == nil &&
			len(lines) > 0 &&
			(errAgain != nil || strings.Join(again, "\n") != strings.Join(lines, "\n")) {
			t.Errorf("%q has the lines %q, and with other ends %q, %v", text, lines, again, errAgain)
		}
	})
}
