package clientsim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/papertape/papertape/decimal"
)

// Profile says what a simulated user does: it repeatedly thinks for a while, and then buys,
// sells or queries.
type Profile struct {
	Name  string
	Think Interval // between the answer to one request and the next request
	Mix   Mix
	Lots  int // the most lots in an order, if cash and shares suffice
}

// Profiles returns the named profiles. The first is the default.
func Profiles() []Profile {
	return []Profile{
		{Name: "trader", Think: Interval{time.Second, 2 * time.Second}, Mix: Mix{Buy: 40, Sell: 40, Query: 20},
			Lots: 5},
		{Name: "watcher", Think: Interval{2 * time.Second, 5 * time.Second}, Mix: Mix{Query: 100}, Lots: 1},
		{Name: "quick", Think: Interval{100 * time.Millisecond, 300 * time.Millisecond},
			Mix: Mix{Buy: 45, Sell: 45, Query: 10}, Lots: 2},
	}
}

// ProfileNamed returns a profile by its name.
func ProfileNamed(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("profile %q: it is one of %s", name, strings.Join(names, ", "))
}

// Interval is a range of durations from which values are drawn uniformly.
type Interval struct{ Min, Max time.Duration }

// intervalMax bounds a think time.
const intervalMax = time.Hour

// ParseInterval parses "1s-2s", or "1s" for a constant.
func ParseInterval(text string) (Interval, error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	var i Interval
	for _, part := range []struct {
		text string
		into *time.Duration
	}{{from, &i.Min}, {to, &i.Max}} {
		d, err := decimal.ParseDuration(strings.TrimSpace(part.text), 0, math.MaxInt64)
		if err != nil {
			return Interval{}, fmt.Errorf("interval %q: %q is not a duration; write 1s-2s, 200ms-1s, or 1s", text,
				part.text)
		}
		*part.into = d
	}
	switch {
	case i.Min <= 0 || i.Max > intervalMax:
		return Interval{}, fmt.Errorf("interval %q: it is from above 0 to %s", text, intervalMax)
	case i.Min > i.Max:
		return Interval{}, fmt.Errorf("interval %q goes backwards; write %s-%s", text, i.Max, i.Min)
	}
	return i, nil
}

func (i Interval) String() string {
	if i.Min == i.Max {
		return i.Min.String()
	}
	return i.Min.String() + "-" + i.Max.String()
}

// draw returns a random duration of the range, both ends included.
func (i Interval) draw(r *rand.Rand) time.Duration {
	return i.Min + time.Duration(r.Int64N(int64(i.Max-i.Min)+1))
}

// Mix says how often a user does what, each number relative to the sum of the three.
type Mix struct{ Buy, Sell, Query int }

// shareMax bounds each number of a mix.
const shareMax = 1_000_000

// ParseMix parses "buy=40,sell=40,query=20". A kind that is not named has the share 0.
func ParseMix(text string) (Mix, error) {
	var m Mix
	named := make(map[string]bool)
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		into, ok := map[string]*int{"buy": &m.Buy, "sell": &m.Sell, "query": &m.Query}[name]
		if !ok {
			return Mix{}, fmt.Errorf("mix %q: %q is not buy, sell or query with a number; write "+
				"buy=40,sell=40,query=20", text, part)
		}
		n, err := decimal.ParseWhole(number, 0, shareMax)
		if err != nil {
			return Mix{}, fmt.Errorf("mix %q: %q is not a share from 0 to %d; write buy=40,sell=40,query=20", text,
				part, shareMax)
		}
		if named[name] {
			return Mix{}, fmt.Errorf("mix %q names %s twice", text, name)
		}
		named[name], *into = true, n
	}
	if m == (Mix{}) {
		return Mix{}, errors.New("mix: all shares are 0; at least one of buy, sell and query has to be more")
	}
	return m, nil
}

func (m Mix) String() string { return fmt.Sprintf("buy=%d,sell=%d,query=%d", m.Buy, m.Sell, m.Query) }

// draw returns a random kind of request.
func (m Mix) draw(r *rand.Rand) Kind {
	switch n := r.IntN(m.Buy + m.Sell + m.Query); {
	case n < m.Buy:
		return KindBuy
	case n < m.Buy+m.Sell:
		return KindSell
	}
	return KindQuery
}
