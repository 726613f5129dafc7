package synced

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// script builds a trace by hand.
type script struct {
	strings.Builder
	moments int
}

func quoted(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteString(`\x` + hex.EncodeToString([]byte{c}))
	}
	return s.String()
}

func (s *script) line(thread int, format string, args ...any) {
	s.moments++
	_, _ = fmt.Fprintf(s, "%d 1795723543.%06d %s\n", thread, s.moments, fmt.Sprintf(format, args...))
}

const logFile = "/d/data/000002.log"

func (s *script) log(thread int, b []byte) {
	s.line(thread, `write(16<%s>, "%s", %d) = %d`, quoted([]byte(logFile)), quoted(b), len(b), len(b))
}

func (s *script) sync(thread int) { s.line(thread, `fdatasync(16<%s>) = 0`, quoted([]byte(logFile))) }

func (s *script) socket(thread int, b []byte) {
	s.line(thread, `writev(20<%s>, [{iov_base="%s", iov_len=%d}, {iov_base="%s", iov_len=%d}], 2) = %d`,
		quoted([]byte("socket:[77]")),
		quoted(b[:7]), 7, quoted(b[7:]), len(b)-7, len(b))
}

// chunk returns a chunk of Pebble's log, of a kind: 9 is a whole record.
func chunk(kind byte, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint16(make([]byte, 4, chunkHead), uint16(len(payload)))
	b = append(b, kind, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(b, payload...)
}

// stored returns the beginning of an event as the journal stores it.
func stored(account, seq uint64, at int64) []byte {
	b := binary.AppendUvarint(binary.AppendUvarint([]byte("before it"), account), seq)
	return append(binary.LittleEndian.AppendUint64(b, uint64(at)), "after it"...)
}

// frame returns an event as a client is told of it.
func frame(account, seq uint64, at int64) []byte {
	return codec.Append(nil, codec.TypeEvent, 0, 0, &papertapev1.AccountEvent{Account: account, Seq: seq, Time: at})
}

// TestOrder tells a trace in which the sync came first from those in which it did not.
func TestOrder(t *testing.T) {
	const account, seq, at = 100017, 300, 1795723543575240123
	record, told := chunk(chunkFull, stored(account, seq, at)), frame(account, seq, at)
	half := len(record) / 2
	for name, c := range map[string]struct {
		trace func(s *script)
		want  string
	}{
		"written, synced, told": {func(s *script) { s.log(1, record); s.sync(1); s.socket(2, told) }, ""},
		"told before the sync": {func(s *script) { s.log(1, record); s.socket(2, told); s.sync(1) },
			"before it was on the disk (line 3)"},
		"never synced": {func(s *script) { s.log(1, record); s.socket(2, told) },
			"before it was on the disk (never)"},
		"synced before it was written": {func(s *script) { s.sync(1); s.log(1, record); s.socket(2, told) }, "(never)"},
		"never written":                {func(s *script) { s.sync(1); s.socket(2, told) }, "is in no log"},
		"another's": {func(s *script) {
			s.log(1,
				chunk(chunkFull, stored(account+1, seq, at)))
			s.sync(1)
			s.socket(2, told)
		}, "is in no log"},
		"half of it synced": {func(s *script) {
			s.log(1, record[:half])
			s.sync(1)
			s.log(1, record[half:])
			s.socket(2, told)
		}, "(never)"},
		"told while the sync is under way": {func(s *script) {
			s.log(1, record)
			s.line(1, "fdatasync(16<%s> <unfinished ...>", quoted([]byte(logFile)))
			s.socket(2, told)
			s.line(1, "<... fdatasync resumed>) = 0")
		}, "(line 4)"},
		"the sync began while it was being written": {func(s *script) {
			s.line(1, `write(16<%s>, "%s", %d <unfinished ...>`, quoted([]byte(logFile)), quoted(record), len(record))
			s.sync(3)
			s.line(1, "<... write resumed>) = %d", len(record))
			s.socket(2, told)
		}, "(never)"},
		"the sync failed": {func(s *script) {
			s.log(1, record)
			s.line(1, "fdatasync(16<%s>) = -1 EIO (Input/output error)", quoted([]byte(logFile)))
			s.socket(2, told)
		}, "(never)"},
		"the record goes on in another chunk": {func(s *script) {
			s.log(1, chunk(10, stored(account, seq, at)))
			s.sync(1)
			s.socket(2, told)
			s.log(1, chunk(chunkLast, []byte("the rest")))
			s.sync(1)
		}, "(line 5)"},
		"another log was synced": {func(s *script) {
			s.log(1, record)
			s.line(1, "fdatasync(17<%s>) = 0", quoted([]byte("/d/data/000003.log")))
			s.socket(2, told)
		}, "(never)"},
		"an answer of the console": {func(s *script) {
			s.log(1, record)
			s.socket(2, []byte(`HTTP/1.1 201 Created\r\n\r\n`+
				`{"seq":300,"time":"2026-11-26T20:05:43.575240123Z","bust":{"trade_id":"100017-2"`))
			s.sync(1)
		}, "the answer to a bust"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			s := new(script)
			c.trace(s)
			calls, err := readTrace(strings.NewReader(s.String()))
			if err != nil {
				t.Fatal(err)
			}
			report := new(Report)
			if err := judge(calls, "/d/data", report); err != nil {
				t.Fatal(err)
			}
			switch {
			case report.Tellings != 1 && c.want != "is in no log":
				t.Errorf("%d tellings were checked", report.Tellings)
			case c.want == "" && !report.OK():
				t.Errorf("found %q", report.Failures)
			case c.want != "" && (report.Early != 1 || !strings.Contains(report.Failures[0], c.want)):
				t.Errorf("found %q, want %q", report.Failures, c.want)
			}
		})
	}
}

// TestTooLittle: a trace that lacks what clients were answered does not pass.
func TestTooLittle(t *testing.T) {
	whole := func() (*Report, *answers) {
		heard := new(answers)
		heard.executions.Store(3)
		heard.holdings.Store(2)
		heard.busts.Store(1)
		return &Report{Events: 3, Syncs: 1, Frames: 4, Holdings: 2, Busts: 1}, heard
	}
	if r, heard := whole(); len(r.tooLittle(heard)) > 0 {
		t.Errorf("a trace that shows all: %q", r.tooLittle(heard))
	}
	for want, spoil := range map[string]func(r *Report, heard *answers){
		"the trace shows 0 events told":                       func(r *Report, _ *answers) { r.Events = 0 },
		"the trace shows 3 events told and 0 syncs":           func(r *Report, _ *answers) { r.Syncs = 0 },
		"3 answers with events came, and the trace shows 2":   func(r *Report, _ *answers) { r.Frames = 2 },
		"2 answers with holdings came, and the trace shows 0": func(r *Report, _ *answers) { r.Holdings = 0 },
		"1 answers with busts came, and the trace shows 0":    func(r *Report, _ *answers) { r.Busts = 0 },
		"no answer with busts came": func(r *Report,
			heard *answers) {
			r.Busts = 0
			heard.busts.Store(0)
		},
	} {
		r, heard := whole()
		spoil(r, heard)
		if said := r.tooLittle(heard); len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
}

// TestNoStrace: a run that could trace nothing fails.
func TestNoStrace(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	r, err := Run(t.Context(), Config{})
	if err != nil || r.OK() || r.Skipped == "" || r.Early != 0 ||
		!strings.HasPrefix(r.Failures[0], "nothing was traced: strace is not installed") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPartOfAWrite: what the kernel did not accept was not written.
func TestPartOfAWrite(t *testing.T) {
	record := chunk(chunkFull, stored(7, 2, 1795723543575240123))
	s := new(script)
	s.line(1, `write(16<%s>, "%s", %d) = %d`, quoted([]byte(logFile)), quoted(record), len(record), len(record)-1)
	calls, err := readTrace(strings.NewReader(s.String()))
	if err != nil || len(calls) != 1 || len(calls[0].data) != len(record)-1 {
		t.Errorf("%d calls, %v", len(calls), err)
	}
}

// TestTracesThatAreNone: text that is no trace is refused, and so is a trace in which strace has
// cut data.
func TestTracesThatAreNone(t *testing.T) {
	for trace, want := range map[string]string{
		"1 1.1 write(3<\\x2f>, \"\\x01\"..., 9) = 9\n": "larger -s",
		"1 1.1 write(3<\\x2f>, \"\\x01\", 1)\n":        "has no result",
		"1 1.1 write(3<\\x2f>, \"\\x0\", 1) = 1\n":     "line 1 of the trace",
		"1 1.1 hello\n": "is no call",
	} {
		if _, err := readTrace(strings.NewReader(trace)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", trace, err, want)
		}
	}
	for _, fine := range []string{"1 1.1 --- SIGURG {si_signo=SIGURG} ---\n", "1 1.1 +++ exited with 0 +++\n",
		"1 1.1 write(3<\\x2f>, \"\\x01\", 1) = ?\n"} {
		if _, err := readTrace(strings.NewReader(fine)); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
}
