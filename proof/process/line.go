package process

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Line is one line of a server's log, without its end.
type Line struct {
	Text string
	// false for a line that is not of the log, as those of a panic; the other fields are then
	// unreliable
	JSON bool

	Level, Message       string
	Listen, Admin, Debug string // the addresses for clients, of the console, and of the profiles
}

// announces says whether this line tells where the server listens. A server without a log prints
// only such a line.
func (l *Line) announces() bool {
	return l.JSON && l.Listen != "" && (l.Message == "" || l.Message == "listening")
}

// lineBytesMax bounds what is kept of a line. The rest of a longer line is read and dropped.
const lineBytesMax = 1 << 20

// readLines passes each line of a log to a function until the log ends or reading fails.
func readLines(log io.Reader, each func(Line)) {
	in := bufio.NewReaderSize(log, 1<<16)
	var text []byte
	for {
		piece, err := in.ReadSlice('\n')
		text = append(text, piece[:min(len(piece), lineBytesMax-len(text))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // the line continues
		}
		if err == nil || len(text) > 0 {
			each(parse(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))))
		}
		if err != nil {
			return
		}
		text = text[:0]
	}
}

func parse(text []byte) Line {
	var said struct{ Level, Message, Listen, Admin, Debug string }
	err := json.Unmarshal(text, &said)
	return Line{
		Text: string(text), JSON: err == nil, Level: said.Level, Message: said.Message,
		Listen: said.Listen, Admin: said.Admin, Debug: said.Debug,
	}
}
