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

// What is sent to a terminal, and what it answers (ECMA-48 and xterm's control sequences).
const (
	askCursor    = "\x1b[6n"   // asks where the cursor is
	firstColumn  = "\x1b[1;1R" // the answer: in the first column
	pasteOn      = "\x1b[?2004h"
	pasteOff     = "\x1b[?2004l"
	pasteBegins  = "\x1b[200~"
	pasteEnds    = "\x1b[201~"
	ctrlC        = '\x03'
	escape       = '\x1b'
	sequenceMost = 32 // bytes of the longest sequence that a key sends
)

// lineBreak replaces a line break in a paste of several lines. Enter executes them one after the
// other.
const lineBreak = "⏎"

// pasteBytesMax bounds a paste. A paste goes into the line, where all of it can be seen and edited;
// longer input belongs in a file.
const pasteBytesMax = 4 << 10

// tty stands between readline and the terminal, and corrects three things.
//
// Before each prompt readline asks the terminal where the cursor is, and waits for the answer. A
// terminal that does not answer would get no prompt, and Ctrl-C would not work. Here the answer is
// known, because all output ends its line before a prompt is shown. So tty answers, and the
// terminal is not asked.
//
// To readline a paste is a series of keys, Enter among them. With pasteOn the terminal puts marks
// around a paste, and tty turns what is between them into letters of the line.
//
// The sequence that a key sends is passed on once it is whole, and only if readline knows how to
// read it. It would take a part of any other for letters.
type tty struct {
	in      io.Reader
	out     io.Writer
	quiet   func() bool // waits a moment, and returns whether nothing arrived
	tooLong func(bytes int)
	crashed func() // called before a panic continues

	asked atomic.Bool // set by Write; Read answers

	// Owned by Read.
	err   error
	raw   []byte // bytes that were read and not yet examined
	keys  []byte // bytes for readline
	paste []byte
	size  int // of the paste, with the bytes that were not kept
	state pasteState
}

// pasteState says what the input belongs to.
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

// Read is called by readline, on a goroutine of its own, which reads when readline wants a key.
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
			t.state, t.raw = typed, nil // the end of the paste has not come
		}
		var chunk [1024]byte
		n, err := t.in.Read(chunk[:])
		t.raw, t.err = append(t.raw, chunk[:n]...), err
		for t.takeInput() {
			continue
		}
	}
}

// takeInput examines what was read. It returns false if more input is needed.
func (t *tty) takeInput() bool {
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

// takePaste takes the part of a paste that has arrived. Ctrl-C abandons the paste: otherwise, if
// the mark of its end were lost, nothing else could be typed.
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

// untilEnd cuts off what comes before the end mark of a paste. The mark may be missing, or only its
// beginning may be there.
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

// onOneLine puts a paste on one line: line breaks become visible, and empty lines are dropped. An
// invisible character becomes a question mark, so that it cannot become part of a command.
func onOneLine(paste string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(paste), "\n") {
		if line = usertext.Shown(strings.TrimPrefix(line, "\ufeff")); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " "+lineBreak+" ")
}

// keyLength returns how many bytes the first key has sent; 0 means that more must come. An ESC that
// begins no sequence is a key by itself.
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

// sequenceLength returns the length of a sequence: parameters, and one byte that ends it. It is 0
// for a sequence that is cut off.
func sequenceLength(p []byte) int {
	for i := 2; i < len(p); i++ {
		switch c := p[i]; {
		case c == '[' && i == 2: // a function key of the Linux console, with a letter after it
		case c >= '@' && c <= '~':
			return i + 1
		case c < ' ' || c > '?' || i == sequenceMost:
			return i
		}
	}
	return 0
}

// sequences are those that readline reads whole, whether it knows them or ignores them. The answer
// with the cursor's position (R) is not among them, since nobody asked for it.
var sequences = regexp.MustCompile(`^\x1b(?:[fb]|\x1b\[[@-~]|[\[O][0-9;]*[@-QS-~])$`)

// isKey says whether readline can be given the sequence.
func isKey(key []byte) bool { return key[0] != escape || sequences.Match(key) }

// onPanic is deferred. It gives the terminal back before a panic continues, so that its message can
// be read.
func onPanic(giveBack func()) {
	if p := recover(); p != nil {
		giveBack()
		panic(p)
	}
}
