package terminal

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// keysOf returns what readline gets for the input from a terminal. quiet says whether the input
// pauses before each read.
func keysOf(t *testing.T, in io.Reader, quiet bool) (keys string, tooLong []int) {
	t.Helper()
	s := &tty{in: in, quiet: func() bool { return quiet }, tooLong: func(n int) { tooLong = append(tooLong, n) },
		crashed: func() {}}
	all, err := io.ReadAll(s)
	if err != nil {
		t.Error(err)
	}
	return string(all), tooLong
}

// TestKeys: keys arrive whole, however their bytes do. An unknown sequence does not become letters.
func TestKeys(t *testing.T) {
	for sent, want := range map[string]string{
		"buy 平安\r":                                "buy 平安\r",
		"\x1b[A\x1b[1;3D\x1b[3~\x1bf\x1bb\x1bOH":  "\x1b[A\x1b[1;3D\x1b[3~\x1bf\x1bb\x1bOH",
		"\x1b\x1b[C":                              "\x1b\x1b[C",
		"a\x1b[12;40Rb":                           "ab", // the cursor's position
		"a\x1b[?1;2cb":                            "ab", // the terminal's type
		"a\x1b[[Ab\x1b[<0;1;1Mc":                  "abc",
		"a\x1b\x1b[1;5Cb":                         "ab",
		"a\x1bxb\x1b\x03c":                        "ab\x03c", // Ctrl-C after an ESC is Ctrl-C
		"a\x1b[1\x03b":                            "a\x03b",
		"a\x1b[" + strings.Repeat("1", 100) + "b": "a" + strings.Repeat("1", 70) + "b",
		"a\xffb":                                  "a\xffb",
		"a\x1b":                                   "a",
		"\x1b[200~one\x1b[201~":                   "one",
		"x\x1b[200~one\ntwo\r\n\r\n\ufeffthree\n\x1b[201~y\r":          "xone ⏎ two ⏎ threey\r",
		"\x1b[200~\n\r\n \n\x1b[201~":                                  "",
		"\x1b[200~ a\tb \x1b[201~":                                     " a b ",
		"\x1b[200~a\x1b[20\x1b[200~b\x04\x1a\u202e\x1b[201~":           "a?[20?[200~b???",
		"\x1b[200~a\xff\x1b[201~":                                      "a?",
		"\x1b[200~buy\rsell\r":                                         "", // the end has not come yet
		"\x1b[200~buy\r\x03sell\r\x1b[201~quit":                        "\x03quit",
		"\x1b[200~buy\r\x1b[201~\x03sell\r":                            "buy\x03sell\r",
		"\x1b[200~\x03\x03\rsell\r\x1b[201~x":                          "\x03x",
		"\x1b[200~" + strings.Repeat("x", pasteBytesMax) + "\x1b[201~": strings.Repeat("x", pasteBytesMax),
	} {
		for how, in := range map[string]io.Reader{"whole": strings.NewReader(sent),
			"byte by byte": iotest.OneByteReader(strings.NewReader(sent))} {
			if got, tooLong := keysOf(t, in, false); got != want || tooLong != nil {
				t.Errorf("%q, %s: %q, %v, want %q", sent, how, got, tooLong, want)
			}
		}
	}
	long := "a\x1b[200~" + strings.Repeat("x\r", pasteBytesMax) + "\x1b[201~b"
	if got, tooLong := keysOf(t, strings.NewReader(long), false); got != "ab" || len(tooLong) != 1 ||
		tooLong[0] != 2*pasteBytesMax {
		t.Errorf("too long: %q, %v", got, tooLong)
	}
}

// TestPasteGivenUp: after Ctrl-C in a paste, all input belongs to the paste until there is a pause.
func TestPasteGivenUp(t *testing.T) {
	came := io.MultiReader(strings.NewReader("\x1b[200~buy\r\x03sell\r"), strings.NewReader("quit\r"))
	if got, _ := keysOf(t, came, false); got != "\x03" {
		t.Errorf("at once: %q", got)
	}
	came = io.MultiReader(strings.NewReader("\x1b[200~buy\r\x03sell\r\x1b[20"), strings.NewReader("quit\r"))
	if got, _ := keysOf(t, came, true); got != "\x03quit\r" {
		t.Errorf("after a moment: %q", got)
	}
}

// TestCursorNotAsked: readline's question never reaches the terminal, and is answered before any
// key.
func TestCursorNotAsked(t *testing.T) {
	var out bytes.Buffer
	s := &tty{in: strings.NewReader("buy"), out: &out, crashed: func() {}}
	for _, wrote := range []string{" \b", askCursor, ">>> "} {
		if n, err := s.Write([]byte(wrote)); n != len(wrote) || err != nil {
			t.Errorf("%q: %d, %v", wrote, n, err)
		}
	}
	if out.String() != " \b>>> " {
		t.Errorf("the terminal was sent %q", &out)
	}
	if keys, err := io.ReadAll(s); string(keys) != firstColumn+"buy" || err != nil {
		t.Errorf("readline is told %q, %v", keys, err)
	}
}

// TestPanic: a panic continues after the terminal was given back, and the terminal is not taken
// again.
func TestPanic(t *testing.T) {
	var did bytes.Buffer
	l := &line{out: &did}
	l.take = func() error { did.WriteString("take "); return nil }
	l.giveBack = func() error { did.WriteString(" give back"); return nil }
	if err := errors.Join(l.begin(), l.begin()); err != nil {
		t.Fatal(err)
	}
	s := new(session)
	s.line.Store(l)
	func() {
		defer func() {
			if p := recover(); p != "oh" {
				t.Errorf("the panic is %v", p)
			}
		}()
		defer onPanic(s.crashed)
		panic("oh")
	}()
	if err := errors.Join(l.begin(), l.leave()); err != nil {
		t.Fatal(err)
	}
	if want := "take " + pasteOn + pasteOff + " give back"; did.String() != want {
		t.Errorf("it did %q, want %q", &did, want)
	}
}

// FuzzKeys: the keys are the same however their bytes arrive, and no key of a paste ends a line.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"buy\r", "\x1b[200~a\nb\x1b[201~", "\x1b[200~\x03", "\x1b\x1b[A", "\x1b[1;2",
		"\xe8\xb4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		whole, _ := keysOf(t, strings.NewReader(sent), false)
		if bytewise, _ := keysOf(t, iotest.OneByteReader(strings.NewReader(sent)), false); whole != bytewise {
			t.Errorf("%q is %q, and byte by byte %q", sent, whole, bytewise)
		}
		paste := strings.ReplaceAll(sent, pasteEnds, "")
		keys, _ := keysOf(t, strings.NewReader(pasteBegins+strings.ReplaceAll(paste, "\x03", "")+pasteEnds), false)
		if !strings.Contains(paste, pasteEnds) && strings.ContainsAny(keys, "\r\n\t\x1b\x03\x04\x1a") {
			t.Errorf("the paste %q is the keys %q", paste, keys)
		}
	})
}
