package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// line is a line of the screen.
type line struct {
	text  string
	style string // of the whole line; empty: plain
}

const (
	styleHead  = "7" // the names of columns, in reverse
	styleAlarm = "1;31"
	styleFaint = "2"
)

// frame returns the lines of a screen of this height; height 0 is as many as there are. now is for the age of what is
// shown.
func (m *model) frame(height int, now time.Time) (lines []line) {
	lines = append(lines, m.title(now)...)
	if m.now != nil {
		lines = append(lines, m.figures()...)
		lines = append(lines, m.alarms()...)
	}
	if m.help {
		lines = append(lines, line{text: keysHelp, style: styleFaint})
	}
	if m.now != nil {
		lines = append(lines, line{})
		lines = append(lines, m.tableLines()...)
	}
	bottom := m.bottom()
	if height > 0 {
		room := max(height-1, 0)
		lines = lines[:min(len(lines), room)]
		for len(lines) < room {
			lines = append(lines, line{})
		}
		lines = append(lines, bottom)
	}
	return lines
}

const keysHelp = "s sessions  a accounts  i instruments  o sort  O turn round  n rows  f filter  p pause  " +
	"b bytes in full  k kick  ? help  q quit"

// bottom is the last line: what is typed, what a key led to, or which keys there are.
func (m *model) bottom() line {
	switch {
	case m.asking != nil:
		return line{text: m.asking.text + ": " + m.asking.typed + "_"}
	case m.said != "":
		return line{text: usertext.Shown(m.said)}
	default:
		return line{text: "? keys  q quit", style: styleFaint}
	}
}

// stale is how old a sample may be before its age is shown.
const stale = 3 * time.Second

func (m *model) title(now time.Time) []line {
	state := "asking"
	if m.now != nil {
		state = "ready"
		if m.now.unready != "" {
			state = "NOT READY: " + m.now.unready
		}
	}
	parts := []string{"papertape top", m.server, "SIMULATED", state}
	if m.now != nil {
		parts = append(parts, m.now.at.Format(time.TimeOnly))
		if age := now.Sub(m.now.at); age > stale {
			parts = append(parts, fmt.Sprintf("%d s old", int(age.Seconds())))
		}
	}
	if m.paused {
		parts = append(parts, "PAUSED")
	}
	lines := []line{{text: usertext.Shown(strings.Join(parts, "  "))}}
	if m.failure != nil {
		lines = append(lines, line{text: usertext.Shown(m.failure.err.Error()), style: styleAlarm})
	}
	return lines
}

// figures are the lines about the server as a whole.
func (m *model) figures() []line {
	per := ratesBetween(m.before, m.now)
	rate := func(name string) string {
		if v, ok := per[name]; ok {
			return number(v) + "/s"
		}
		return "-"
	}
	n := m.now.counters
	slow := per["cut_outbox"] + per["cut_stalled"] + per["cut_total"]
	lines := []line{
		{text: fmt.Sprintf("events %s  requests %s  steps %s  orders refused %s  busy %s", rate("events"),
			rate("requests"), rate("steps"), rate("orders_refused"), rate("busy"))},
		{text: fmt.Sprintf("connections %s  logins %s  accepted %s  refused %s  cut as slow %s/s  protocol errors %s",
			m.connections(), rate("logins"), rate("accepted"), rate("refused_full"), number(slow),
			rate("protocol_errors"))},
	}
	lines = append(lines, m.latencyLine()...)
	history := "history " + m.bytes(n["history_bytes"]) + " in " + whole(n["history_events"]) + " events"
	if _, durable := n["journal_commits"]; !durable {
		return append(lines, line{text: "no journal  " + history})
	}
	each := "-"
	if commits := per["journal_commits"]; commits > 0 {
		each = number(per["journal_events"] / commits)
	}
	written := "-"
	if v, ok := per["journal_bytes"]; ok {
		written = m.bytes(uint64(v)) + "/s"
	}
	return append(lines, line{text: fmt.Sprintf("journal %s commits of %s events, %s  checkpoint %d ms  on disk %s  %s",
		rate("journal_commits"), each, written, n["journal_checkpoint_ms"], m.bytes(n["journal_disk_bytes"]), history)})
}

// connections are those that are open, of as many as there may be.
func (m *model) connections() string {
	for _, l := range m.now.limits {
		if l.Name == "connections" {
			return whole(l.Value) + " of " + whole(l.Limit)
		}
	}
	return whole(m.now.counters["connections"])
}

// near is the part of a limit from which on it is shown.
const near = 0.8

// fillsUp is a limit that is reached sooner or later, and is meant to be.
const fillsUp = "history_memory"

// nearLimits are the things of which there is nearly as much as there may be, or nearly as little.
func (m *model) nearLimits() (lines []line) {
	for i := range m.now.limits {
		l := &m.now.limits[i]
		is, most := float64(l.Value), float64(l.Limit)
		if l.Low {
			is, most = most, is
		}
		if most == 0 || is < near*most || l.Name == fillsUp {
			continue
		}
		value, limit := whole(l.Value), whole(l.Limit)
		if l.Unit == "bytes" {
			value, limit = m.bytes(l.Value), m.bytes(l.Limit)
		}
		text := fmt.Sprintf("! %s: %s, and the limit is %s", l.What, value, limit)
		lines = append(lines, line{text: usertext.Shown(text), style: styleAlarm})
	}
	return lines
}

// alarms are counters that should be 0, and limits that are near.
func (m *model) alarms() (lines []line) {
	lines, n := m.nearLimits(), m.now.counters
	for _, a := range []struct{ name, text string }{
		{"read_only", "read only: the disk is nearly full, and orders are refused"},
		{"panics", "panics contained since the start: look at the log"},
		{"pool_overflows", "drains found the pool full since the start"},
		{"log_lines_lost", "lines of the log were lost since the start"},
	} {
		if v := n[a.name]; v > 0 {
			lines = append(lines, line{text: fmt.Sprintf("! %s: %s", whole(v), a.text), style: styleAlarm})
		}
	}
	return lines
}

func (m *model) tableLines() []line {
	q, t := m.now.query, &m.now.table
	rows, words := m.rows(t)
	shown := len(rows) - 1
	what := fmt.Sprintf("%s by %s, %s of %s", q.View, usertext.Shown(q.Sort), whole(uint64(shown)),
		whole(uint64(t.Total)))
	if q.Filter != "" {
		what += ", " + usertext.Shown(q.Filter)
	}
	lines := []line{{text: what}}
	for i, text := range aligned(rows, words) {
		l := line{text: text}
		if i == 0 {
			l.style = styleHead
		}
		lines = append(lines, l)
	}
	return lines
}

// rows returns the cells of the table, the names of the columns first, and which columns are words.
func (m *model) rows(t *Table) (rows [][]string, words map[int]bool) {
	switch m.now.query.View {
	case Accounts:
		rows = [][]string{{"account", "seq", "rows", "market value", "cash", "realised", "sessions"}}
		for i := range t.Accounts {
			a := &t.Accounts[i]
			rows = append(rows, []string{
				strconv.FormatUint(a.Account, 10), whole(a.Seq), strconv.Itoa(a.Rows), a.TotalMarketValue.String(),
				a.Cash.Balance.String(), signed(a.Cash.Realised), strconv.Itoa(a.Sessions),
			})
		}
	case Instruments:
		words = map[int]bool{0: true, 1: true, 2: true}
		rows = [][]string{{"market", "code", "name", "price", "change"}}
		for i := range t.Instruments {
			in := &t.Instruments[i]
			rows = append(rows, []string{
				usertext.Shown(in.Market), usertext.Shown(in.Code), usertext.Shown(in.Name), in.Price.String(),
				fmt.Sprintf("%+.2f %%", 100*change(in)),
			})
		}
	default:
		words = map[int]bool{2: true, 7: true, 8: true, 9: true}
		rows = [][]string{
			{"uid", "account", "state", "waiting", "in flight", "received", "sent", "since", "remote", "key"},
		}
		for i := range t.Sessions {
			s := &t.Sessions[i]
			rows = append(rows, []string{
				strconv.FormatUint(s.UID, 10), strconv.FormatUint(s.Account, 10), State(s),
				m.bytes(uint64(s.WaitingBytes)), strconv.Itoa(s.InFlight), m.bytes(s.BytesReceived),
				m.bytes(s.BytesSent), s.Since.Format(time.DateTime), usertext.Shown(s.Remote), usertext.Shown(s.Key),
			})
		}
	}
	return rows, words
}

// aligned pads the cells of each column to one width: words on their right, numbers on their left.
func aligned(rows [][]string, words map[int]bool) (lines []string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-columns(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if words[i] {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// columns is how wide a text is on a screen.
func columns(s string) int { return text.StringWidthWithoutEscSequences(s) }

// bytes formats a number of bytes, in full if that is wanted.
func (m *model) bytes(n uint64) string {
	if m.exact {
		return whole(n)
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(n), 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if v == float64(int64(v)) || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[u])
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}

// number formats a rate: whole from ten on.
func number(v float64) string {
	if v == 0 || v >= 10 {
		return whole(uint64(v + 0.5))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// whole formats a number with commas.
func whole(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func signed(v console.Money) string {
	if v > 0 {
		return "+" + v.String()
	}
	return v.String()
}
