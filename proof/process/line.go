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
	JSON bool // false: it is no line of a log, as those of a panic; what follows is then not to be relied on

	Level, Message       string
	Listen, Admin, Debug string // where the server is: of clients, of the console, of its profiles
}

// announces says whether the server tells by this line where it listens. Those that have no log say nothing else in it.
func (l *Line) announces() bool {
	return l.JSON && l.Listen != "" && (l.Message == "" || l.Message == "listening")
}

// lineBytesMax is how much is kept of a line; the rest of a longer one is read and dropped.
const lineBytesMax = 1 << 20

// readLines gives each line of a log to each, until there are no more or reading fails.
func readLines(log io.Reader, each func(Line)) {
	in := bufio.NewReaderSize(log, 1<<16)
	var text []byte
	for {
		piece, err := in.ReadSlice('\n')
		text = append(text, piece[:min(len(piece), lineBytesMax-len(text))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // the line goes on
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
