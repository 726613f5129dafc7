package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/market"
)

const (
	liveWriteTimeout = 5 * time.Second // a stream to which nothing can be written for so long ends
	liveRetrySeconds = 5               // when who found no room may try again
	streamAccounts   = 8               // of one stream
)

// topics are what a stream is about.
type topics struct {
	names    []string // overview, sessions, prices
	accounts []uint64
}

func (t *topics) has(name string) bool { return slices.Contains(t.names, name) }

const accountTopic = "account:"

// parseTopics parses topics with commas between them. "" is the overview.
func parseTopics(text string) (t topics, err error) {
	if text == "" {
		return topics{names: []string{"overview"}}, nil
	}
	for _, topic := range strings.Split(text, ",") {
		number, isAccount := strings.CutPrefix(topic, accountTopic)
		switch {
		case isAccount:
			account, err := parseNumber(number)
			if err != nil || account == 0 {
				return t, fmt.Errorf("%q is not an account; write its number, as in account:100017", clip(topic))
			}
			if slices.Contains(t.accounts, account) {
				return t, fmt.Errorf("%s is there twice; write it once", topic)
			}
			t.accounts = append(t.accounts, account)
		case !slices.Contains([]string{"overview", "sessions", "prices"}, topic):
			return t,
				fmt.Errorf("%q is no topic; topics are overview, sessions, prices and account:NUMBER, with commas "+
					"between them", clip(topic))
		case slices.Contains(t.names, topic):
			return t, fmt.Errorf("%s is there twice; write it once", topic)
		default:
			t.names = append(t.names, topic)
		}
	}
	if len(t.accounts) > streamAccounts {
		return t, fmt.Errorf("%d accounts are more than the %d of a stream", len(t.accounts), streamAccounts)
	}
	return t, nil
}

var liveQuery = acceptParameters(parameter{name: "topics", check: func(value string) error {
	_, err := parseTopics(value)
	return err
}})

// live streams ticks until the client goes away, takes nothing for a while, or the server stops.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	about, _ := parseTopics(r.URL.Query().Get("topics")) // it has been checked
	if !s.sampler.join(about) {
		busy(w, liveRetrySeconds, fmt.Sprintf("%d streams, or %d accounts on them, are watched already; try again",
			streamsMax, accountsWatched))
		return
	}
	defer s.sampler.leave(about)
	header(w, "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	p := s.sampler
	t := p.current.Load()
	event := p.appendEvent([]byte("retry: 2000\n"), "start", t, about, p.latestOf, p.ringsJSON(about.has("prices")))
	for writeEvent(w, event) {
		event = event[:0]
		if cap(event) > eventKept {
			event = nil // the first one has the rings in it
		}
		select {
		case <-t.next:
		case <-r.Context().Done():
			return
		}
		t = p.current.Load()
		event = p.appendEvent(event, "tick", t, about, func(number uint64) []byte { return t.accounts[number] }, nil)
	}
}

// eventKept is the largest buffer that a stream keeps between two events.
const eventKept = 16 << 10

// writeEvent reports whether the client has taken an event in time.
func writeEvent(w http.ResponseWriter, event []byte) bool {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(liveWriteTimeout)) // an error means that there is no deadline
	if _, err := w.Write(event); err != nil {
		return false
	}
	return c.Flush() == nil
}

// InstrumentPrices is the price of an instrument in the last minutes.
type InstrumentPrices struct {
	Market        string     `json:"market"`
	Code          string     `json:"code"`
	Name          string     `json:"name"`
	Price         Money      `json:"price"`
	PreviousClose Money      `json:"previous_close"`
	StepSeconds   int        `json:"step_seconds"`
	To            *time.Time `json:"to,omitempty"` // of the newest
	Prices        []*Money   `json:"prices"`       // oldest first; nil: nobody watched
}

func (s *Server) instrumentPrices(w http.ResponseWriter, r *http.Request) {
	id, ok := s.instrumentOf(w, r)
	if !ok {
		return
	}
	s.sampler.touch()
	in := s.cfg.Universe.At(id)
	prices, to := s.sampler.ringOfPrices(id)
	answer(w, InstrumentPrices{
		Market: in.Market, Code: in.Code, Name: in.Name, Price: Money(s.cfg.Prices().At(id)),
		PreviousClose: Money(in.PreviousClose), StepSeconds: int(sampleEvery / time.Second), To: &to, Prices: prices,
	})
}

// ringOfPrices returns the prices of an instrument, oldest first, and the time of the newest. Of one whose
// prices are not kept there are none.
func (p *sampler) ringOfPrices(id market.ID) ([]*Money, time.Time) {
	p.taking.Lock()
	defer p.taking.Unlock()
	if at := placeOf(p.kept, id); at >= 0 {
		return p.pricesOf(at), p.rings.to.UTC()
	}
	return []*Money{}, p.rings.to.UTC()
}
