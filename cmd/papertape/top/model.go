package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rowsMax is how many rows a table can have.
const rowsMax = 1000

// model is what the screen shows and what the keys have done to it. It knows neither terminal nor network.
type model struct {
	server string
	query  Query
	paused bool
	exact  bool // bytes in full
	help   bool

	before, now *sample // the last two that were answered; nil: none yet
	failure     *sample // the newest, if it was not answered
	asking      *question
	said        string // the answer to a key; the next key takes it away
}

// question is a line at the bottom in which something is typed.
type question struct {
	text   string
	typed  string
	accept func(m *model, typed string) action
}

// action is what the loop is to do after a key.
type action struct {
	quit    bool
	refresh bool   // ask at once: another query is shown
	kick    uint64 // end this session
}

func newModel(server string, q Query) *model { return &model{server: server, query: q} }

// take puts an answer into the model. During a pause it is of use only if something else is asked for than is shown.
func (m *model) take(s *sample) {
	if s.err != nil {
		m.failure = s
		return
	}
	m.failure = nil
	if m.paused && m.now != nil && m.now.query == s.query {
		return
	}
	m.before, m.now = m.now, s
}

// The keys that are more than a letter.
const (
	keyInterrupt = '\x03'
	keyEnter     = '\r'
	keyNewline   = '\n'
	keyEscape    = '\x1b'
	keyBackspace = '\x7f'
	keyErase     = '\b'
	keyClear     = '\x15'
)

// key handles a key.
func (m *model) key(k rune) action {
	if k == keyInterrupt {
		return action{quit: true}
	}
	if m.asking != nil {
		return m.answerKey(k)
	}
	m.said = ""
	switch k {
	case 'q':
		return action{quit: true}
	case 's':
		return m.show(Sessions)
	case 'a':
		return m.show(Accounts)
	case 'i':
		return m.show(Instruments)
	case 'o':
		m.query.Sort = m.nextSort()
		return action{refresh: true}
	case 'O':
		m.query.Sort = reversed(m.query.Sort)
		return action{refresh: true}
	case 'p':
		m.paused = !m.paused
		return action{refresh: !m.paused}
	case 'b':
		m.exact = !m.exact
	case '?', 'h':
		m.help = !m.help
	case 'n':
		m.ask("rows (1 to "+strconv.Itoa(rowsMax)+")", (*model).setRows)
	case 'f':
		m.ask(filterHelp[m.query.View], (*model).setFilter)
	case 'k':
		m.ask("end the session with the uid", (*model).askKick)
	}
	return action{}
}

var filterHelp = map[View]string{
	Sessions:    "sessions of (beginning of an address, account, live, catching_up, not_logged_in; nothing: all)",
	Accounts:    "accounts that begin with (nothing: all)",
	Instruments: "instruments of (a market, the beginning of a code, a part of a name; nothing: all)",
}

func (m *model) ask(text string, accept func(*model, string) action) {
	m.asking = &question{text: text, accept: accept}
}

// answerKey is a key in the line at the bottom.
func (m *model) answerKey(k rune) action {
	q := m.asking
	switch {
	case k == keyEscape:
		m.asking = nil
	case k == keyEnter || k == keyNewline:
		m.asking = nil
		return q.accept(m, strings.TrimSpace(q.typed))
	case k == keyBackspace || k == keyErase:
		_, size := utf8.DecodeLastRuneInString(q.typed)
		q.typed = q.typed[:len(q.typed)-size]
	case k == keyClear:
		q.typed = ""
	case k >= ' ' && k != utf8.RuneError && len(q.typed) < 64:
		q.typed += string(k)
	}
	return action{}
}

func (m *model) show(v View) action {
	if m.query.View != v {
		m.query.View, m.query.Sort, m.query.Filter = v, "-"+SortKeys(v)[0], ""
	}
	return action{refresh: true}
}

// nextSort returns the next key, in the direction that suits it: the largest first, but names from the first.
func (m *model) nextSort() string {
	keys := SortKeys(m.query.View)
	at := slices.Index(keys, strings.TrimPrefix(m.query.Sort, "-"))
	next := (at + 1) % len(keys)
	if next == len(keys)-1 {
		return keys[next]
	}
	return "-" + keys[next]
}

func reversed(sort string) string {
	if rest, ok := strings.CutPrefix(sort, "-"); ok {
		return rest
	}
	return "-" + sort
}

func (m *model) setRows(typed string) action {
	n, err := strconv.Atoi(typed)
	if err != nil || n < 1 || n > rowsMax {
		m.said = fmt.Sprintf("%q is no number of rows; write 1 to %d", typed, rowsMax)
		return action{}
	}
	m.query.Rows = n
	return action{refresh: true}
}

func (m *model) setFilter(typed string) action {
	if err := CheckFilter(m.query.View, typed); err != nil {
		m.said = err.Error()
		return action{}
	}
	m.query.Filter = typed
	return action{refresh: true}
}

// askKick asks once more, as an end cannot be taken back.
func (m *model) askKick(typed string) action {
	uid, err := strconv.ParseUint(typed, 10, 64)
	if err != nil || uid == 0 {
		m.said = fmt.Sprintf("%q is not the uid of a session; the table of sessions has them", typed)
		return action{}
	}
	m.ask(fmt.Sprintf("end session %d? y or n", uid), func(m *model, typed string) action {
		if typed != "y" {
			m.said = fmt.Sprintf("session %d goes on", uid)
			return action{}
		}
		return action{kick: uid}
	})
	return action{}
}

// kicked shows what became of it.
func (m *model) kicked(uid uint64, err error) {
	m.said = fmt.Sprintf("session %d was ended", uid)
	if err != nil {
		m.said = err.Error()
	}
}
