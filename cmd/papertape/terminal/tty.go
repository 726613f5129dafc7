package terminal

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/papertape/papertape/usertext"
)

// What is said to a terminal, and what it says (ECMA-48 and xterm's control sequences).
const (
	askCursor    = "\x1b[6n"   // where is the cursor?
	firstColumn  = "\x1b[1;1R" // the answer: in the first column
	pasteOn      = "\x1b[?2004h"
	pasteOff     = "\x1b[?2004l"
	pasteBegins  = "\x1b[200~"
	pasteEnds    = "\x1b[201~"
	ctrlC        = '\x03'
	escape       = '\x1b'
	sequenceMost = 32 // bytes of a sequence that a key sends
)

// lineBreak stands in a line where a paste of several lines ended one. Enter does them one after the other.
const lineBreak = "⏎"

// pasteBytesMax bounds a paste. It is for the line, on which all of it is seen and can be changed; more belongs in a
// file.
const pasteBytesMax = 4 << 10

// tty stands between readline and the terminal, and puts three things right.
//
// Before each prompt readline asks the terminal where the cursor is, and waits: with one that does not answer there
// would be no prompt, and no Ctrl-C. But all that is written here ends its line before a prompt comes. So the answer
// is known, and the terminal is not asked.
//
// To readline a paste is so many keys, Enter among them. The terminal puts marks around a paste (pasteOn), and what
// is between them becomes letters of the line.
//
// A sequence that a key sends is handed on when it is whole, and if readline can know it. Of others it would take a
// part for letters.
type tty struct {
	in      io.Reader
	out     io.Writer
	quiet   func() bool // waits a moment; whether nothing has come meanwhile
	tooLong func(bytes int)
	crashed func() // is called before a panic goes on

	asked atomic.Bool // by Write, which Read answers

	// Owned by Read.
	err   error
	raw   []byte // what has come and was not looked at
	keys  []byte // what is for readline
	paste []byte
	size  int // of the paste, with what was not kept
	state pasteState
}

// pasteState says what it is that comes.
type pasteState int

const (
	typed pasteState = iota
	pasted
	givenUp // the rest of a paste during which Ctrl-C was pressed
)

// Write is called by readline.
func (t *tty) Write(p []byte) (int, error) {
	if string(p) == askCursor {
		t.asked.Store(true)
		return len(p), nil
	}
	return t.out.Write(p)
}

// Read is called by readline, on a goroutine of its own, which reads on when a key is wanted.
func (t *tty) Read(p []byte) (int, error) {
	defer onPanic(t.crashed)
	for {
		switch {
		case t.asked.Swap(false):
			return copy(p, firstColumn), nil
		case len(t.keys) > 0:
			n := copy(p, t.keys)
			t.keys = t.keys[n:]
			return n, nil
		case t.err != nil:
			return 0, t.err
		case t.state == givenUp && t.quiet():
			t.state, t.raw = typed, nil // its end has not come
		}
		var chunk [1024]byte
		n, err := t.in.Read(chunk[:])
		t.raw, t.err = append(t.raw, chunk[:n]...), err
		for t.take() {
			continue
		}
	}
}

// take looks at what has come. It returns false where that is not enough to go on.
func (t *tty) take() bool {
	switch t.state {
	case pasted:
		return t.takePaste()
	case givenUp:
		_, found := t.untilEnd()
		if found {
			t.state = typed
		}
		return found
	}
	n := keyLength(t.raw)
	if n == 0 {
		return false
	}
	key := t.raw[:n]
	t.raw = t.raw[n:]
	switch {
	case string(key) == pasteBegins:
		t.state, t.paste, t.size = pasted, nil, 0
	case isKey(key):
		t.keys = append(t.keys, key...)
	}
	return true
}

// takePaste takes of a paste what has come. Ctrl-C gives it up: were its end lost on the way, nothing else could be
// typed.
func (t *tty) takePaste() bool {
	if at := bytes.IndexByte(t.raw, ctrlC); at >= 0 && !bytes.Contains(t.raw[:at], []byte(pasteEnds)) {
		t.state, t.raw, t.keys = givenUp, t.raw[at+1:], append(t.keys, ctrlC)
		return true
	}
	text, whole := t.untilEnd()
	t.size += len(text)
	if t.size <= pasteBytesMax {
		t.paste = append(t.paste, text...)
	}
	if !whole {
		return false
	}
	t.state = typed
	if t.size > pasteBytesMax {
		t.tooLong(t.size)
	} else {
		t.keys = append(t.keys, onOneLine(string(t.paste))...)
	}
	return true
}

// untilEnd cuts off what comes before the end of a paste; the end may yet have to come, and be there in part.
func (t *tty) untilEnd() (text []byte, whole bool) {
	text, rest, whole := bytes.Cut(t.raw, []byte(pasteEnds))
	for n := len(pasteEnds) - 1; !whole && n > 0; n-- {
		if before, found := bytes.CutSuffix(t.raw, []byte(pasteEnds[:n])); found {
			text, rest = before, t.raw[len(before):]
			break
		}
	}
	t.raw = rest
	return text, whole
}

// onOneLine is what becomes of a paste: what ends a line is shown, and empty lines are none. What cannot be seen is a
// question mark, so that no command is made of it.
func onOneLine(paste string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(paste), "\n") {
		if line = usertext.Shown(strings.TrimPrefix(line, "\ufeff")); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " "+lineBreak+" ")
}

// keyLength is how many bytes the first key has sent; 0: there is more to come. An ESC that begins nothing is a key
// by itself.
func keyLength(p []byte) int {
	switch {
	case len(p) == 0, len(p) == 1 && p[0] == escape:
		return 0
	case p[0] != escape:
		return letterLength(p)
	case p[1] == '[', p[1] == 'O':
		return sequenceLength(p)
	case p[1] == escape: // Alt and another key
		n := keyLength(p[1:])
		if n > 0 && p[2] == '[' {
			return 1 + n
		}
		return min(n, 1)
	case p[1] < ' ':
		return 1
	}
	n := letterLength(p[1:])
	return n + min(n, 1)
}

func letterLength(p []byte) int {
	if !utf8.FullRune(p) {
		return 0
	}
	_, n := utf8.DecodeRune(p)
	return n
}

// sequenceLength is the length of a sequence: parameters, and one byte that ends it. One that breaks off is none.
func sequenceLength(p []byte) int {
	for i := 2; i < len(p); i++ {
		switch c := p[i]; {
		case c == '[' && i == 2: // a function key of the Linux console, which has a letter after it
		case c >= '@' && c <= '~':
			return i + 1
		case c < ' ' || c > '?' || i == sequenceMost:
			return i
		}
	}
	return 0
}

// sequences are those that readline takes whole, and knows or leaves. The cursor's place (R) is not among them:
// nobody asked.
var sequences = regexp.MustCompile(`^\x1b(?:[fb]|\x1b\[[@-~]|[\[O][0-9;]*[@-QS-~])$`)

// isKey says that readline can be given what came.
func isKey(key []byte) bool { return key[0] != escape || sequences.Match(key) }

// onPanic is deferred. A panic goes on when the terminal has been given back, so that what is said of it can be read.
func onPanic(giveBack func()) {
	if p := recover(); p != nil {
		giveBack()
		panic(p)
	}
}
