package synced

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// eventName identifies an event.
type eventName struct{ account, seq uint64 }

// telling is the sending of an event to a client.
type telling struct {
	eventName
	time uint64 // 0 if only the event's name was sent
	line int    // of the trace, where the write with its first byte begins
	as   string
}

// stream is what was written to one socket, or to one log.
type stream struct {
	data   []byte
	pieces []piece
	syncs  []*syscall // of a log, by when they began
}

// piece is one write: the data up to end.
type piece struct {
	end          int
	began, ended int
}

func (s *stream) add(c *syscall) {
	s.data = append(s.data, c.data...)
	s.pieces = append(s.pieces, piece{len(s.data), c.began, c.ended})
}

// pieceAt returns the write with the byte at a place.
func (s *stream) pieceAt(place int) piece {
	i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].end > place })
	return s.pieces[i]
}

// syncedBy returns the line at which the first successful sync that began after a given line
// returned, or never if there was none.
func (s *stream) syncedBy(line int) int {
	i := sort.Search(len(s.syncs), func(i int) bool { return s.syncs[i].began > line })
	for _, c := range s.syncs[i:] {
		if c.ended > 0 && c.result == 0 {
			// a sync that began later cannot have returned earlier: there is one at a time
			return c.ended
		}
	}
	return never
}

const never = math.MaxInt

// judgement is what a trace shows.
type judgement struct {
	logs, sockets map[string]*stream
	tellings      []telling
	durable       map[eventName]int // the line at which an event was on the disk
	report        *Report
}

// judge checks the trace of a server on a data directory against the rule in the package comment.
func judge(calls []*syscall, data string, report *Report) error {
	j := &judgement{logs: make(map[string]*stream), sockets: make(map[string]*stream), durable: make(map[eventName]int),
		report: report}
	j.sort(calls, data)
	for _, socket := range j.sockets {
		if err := j.listen(socket); err != nil {
			return err
		}
	}
	wanted := make(map[uint64][]eventName)
	for _, t := range j.tellings {
		if t.time != 0 && !slices.Contains(wanted[t.time], t.eventName) {
			wanted[t.time] = append(wanted[t.time], t.eventName)
		}
	}
	for path, log := range j.logs {
		if err := j.find(log, wanted); err != nil {
			return fmt.Errorf("the log %s: %w", path, err)
		}
	}
	j.compare()
	return nil
}

// sort assigns each write to its socket or log, and each sync to its log.
func (j *judgement) sort(calls []*syscall, data string) {
	of := func(streams map[string]*stream, file string) *stream {
		if streams[file] == nil {
			streams[file] = new(stream)
		}
		return streams[file]
	}
	for _, c := range calls {
		j.report.Calls++
		log := strings.HasPrefix(c.file, data+"/") && strings.HasSuffix(c.file, ".log")
		switch {
		case log && (c.name == "fdatasync" || c.name == "fsync"):
			s := of(j.logs, c.file)
			s.syncs = append(s.syncs, c)
			j.report.Syncs++
		case log && len(c.data) > 0:
			of(j.logs, c.file).add(c)
			j.report.LogWrites++
		case strings.HasPrefix(c.file, "socket:") && len(c.data) > 0:
			of(j.sockets, c.file).add(c)
			j.report.SocketWrites++
		}
	}
}

// listen reads what was written to a socket: frames, or the answer of the console.
func (j *judgement) listen(s *stream) error {
	if bytes.HasPrefix(s.data, []byte("HTTP/")) {
		return j.listenConsole(s)
	}
	for place := 0; place < len(s.data); {
		f, n, err := codec.Cut(s.data[place:], codec.LimitToClient)
		if err != nil {
			return fmt.Errorf("what was written to a client is no frame: %w", err)
		}
		if n == 0 {
			return nil // the last frame was not written whole
		}
		if err := j.frame(&f, s.pieceAt(place).began); err != nil {
			return err
		}
		place += n
	}
	return nil
}

func (j *judgement) frame(f *codec.Frame, line int) error {
	switch f.Type {
	case codec.TypeExecution, codec.TypeEvent:
		ev := new(papertapev1.AccountEvent)
		if err := codec.Unmarshal(f.Payload, ev); err != nil {
			return fmt.Errorf("an event that was written to a client: %w", err)
		}
		j.tellings = append(j.tellings, telling{eventName{ev.GetAccount(), ev.GetSeq()}, uint64(ev.GetTime()), line,
			f.Type.String()})
		j.report.Frames++
	case codec.TypeHoldingsReply:
		h := new(papertapev1.Holdings)
		if err := codec.Unmarshal(f.Payload, h); err != nil {
			return fmt.Errorf("holdings that were written to a client: %w", err)
		}
		j.tellings = append(j.tellings, telling{eventName{h.GetAccount(), h.GetAsOfSeq()}, 0, line, f.Type.String()})
		j.report.Holdings++
	}
	return nil
}

// bustAnswer matches the event of a bust in the console's answer.
var bustAnswer = regexp.MustCompile(`"seq":(\d+),"time":"([^"]+)","bust":\{"trade_id":"(\d+)-`)

func (j *judgement) listenConsole(s *stream) error {
	found := bustAnswer.FindSubmatch(s.data)
	if found == nil {
		return nil // an answer to another request
	}
	seq, err1 := strconv.ParseUint(string(found[1]), 10, 64)
	account, err2 := strconv.ParseUint(string(found[3]), 10, 64)
	at, err3 := time.Parse(time.RFC3339Nano, string(found[2]))
	if err1 != nil || err2 != nil || err3 != nil {
		return fmt.Errorf("the answer to a bust, %q", found[0])
	}
	j.tellings = append(j.tellings, telling{eventName{account, seq}, uint64(at.UnixNano()), s.pieces[0].began,
		"the answer to a bust"})
	j.report.Busts++
	return nil
}

// A log of Pebble consists of 32 KiB blocks of chunks. engine/journal/wal.go has the layout.
const (
	logBlock  = 32 << 10
	chunkHead = 19
	chunkFull = 9 // and first, middle, last
	chunkLast = 12
)

// find looks for the wanted events in a log, and records when each was on the disk.
func (j *judgement) find(log *stream, wanted map[uint64][]eventName) error {
	var record []byte
	for place := 0; ; {
		if left := logBlock - place%logBlock; left < chunkHead {
			place += left // the rest of a block is empty
		}
		if place+chunkHead > len(log.data) {
			return nil
		}
		head := log.data[place:]
		size, kind := chunkHead+int(binary.LittleEndian.Uint16(head[4:])), head[6]
		if kind < chunkFull || kind > chunkLast {
			return nil // the end of the log, or nothing yet in the rest of a block
		}
		if size > len(head) {
			return fmt.Errorf("the chunk at byte %d is not whole", place)
		}
		record = append(record, head[chunkHead:size]...)
		place += size
		if kind == chunkFull || kind == chunkLast {
			written := log.pieceAt(place - 1).ended
			if written == 0 {
				written = never // the write did not return
			}
			j.findIn(record, log.syncedBy(written), wanted)
			record = record[:0]
		}
	}
}

// findIn looks for events (account and sequence, then the time) in a record. The record was on the
// disk by the given line.
func (j *judgement) findIn(record []byte, line int, wanted map[uint64][]eventName) {
	j.report.Records++
	for at := 0; at+8 <= len(record); at++ {
		for _, n := range wanted[binary.LittleEndian.Uint64(record[at:])] {
			if !bytes.HasSuffix(record[:at], binary.AppendUvarint(binary.AppendUvarint(nil, n.account), n.seq)) {
				continue
			}
			if before, found := j.durable[n]; !found || line < before {
				j.durable[n] = line
			}
		}
	}
}

// compare finds the events that were sent too early.
func (j *judgement) compare() {
	events := make(map[eventName]struct{})
	for _, t := range j.tellings {
		line, found := j.durable[t.eventName]
		switch {
		case !found && t.time == 0: // it is older than the connections to which it could be sent
			continue
		case !found:
			j.report.fail("event %d of account %d was told (%s, line %d of the trace), and is in no log", t.seq,
				t.account, t.as, t.line)
		case line >= t.line:
			j.report.fail("event %d of account %d was told (%s, line %d of the trace) before it was on the disk (%s)",
				t.seq, t.account, t.as, t.line, sayLine(line))
		}
		events[t.eventName] = struct{}{}
		j.report.Tellings++
	}
	j.report.Events = len(events)
}

func sayLine(line int) string {
	if line == never {
		return "never"
	}
	return fmt.Sprintf("line %d", line)
}
