package terminal

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
)

const (
	detailMost = 10 // instruments that are shown in detail; more are a table
	// detailPatience is how long to wait for quotes in detail, which a server that is short of memory holds back.
	detailPatience = 20 * time.Second
)

// quoteDetail are the fields of a quote that only quotes in detail have, for -o json.
type quoteDetail struct {
	Status  string        `json:"status"` // open, closed, halted, auction
	Bid     console.Money `json:"bid"`    // 0.00: nobody is on that side
	Ask     console.Money `json:"ask"`
	BidSize int64         `json:"bid_size"`
	AskSize int64         `json:"ask_size"`
	Size    int64         `json:"size"`           // of the last trade
	Time    *time.Time    `json:"time,omitempty"` // of the last change
	Open    console.Money `json:"open"`           // of the day, as are those that follow; 0.00: no trade yet
	High    console.Money `json:"high"`
	Low     console.Money `json:"low"`
	Volume  int64         `json:"volume"`
}

// awaited are the quotes that a command waits for. It is safe for concurrent use.
type awaited struct {
	mu     sync.Mutex
	quotes map[instrument]client.Quote // nil: none are waited for; a Status of 0: it has not come
	left   int                         // how many have not come
	all    chan struct{}               // closed when none is left
}

// begin begins to wait for the quotes of instruments. The channel is closed when all have come.
func (a *awaited) begin(list []client.Instrument) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quotes, a.all = make(map[instrument]client.Quote, len(list)), make(chan struct{})
	for i := range list {
		a.quotes[instrumentOf(list[i].Market, list[i].Code)] = client.Quote{}
	}
	a.left = len(a.quotes)
	return a.all
}

// take keeps the newest of the quotes that are waited for.
func (a *awaited) take(quotes []client.Quote) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range quotes {
		of := instrumentOf(q.Market, q.Code)
		before, wanted := a.quotes[of]
		if !wanted || q.Status == 0 {
			continue
		}
		a.quotes[of] = q
		if before.Status == 0 {
			if a.left--; a.left == 0 {
				close(a.all)
			}
		}
	}
}

// end ends the waiting. It returns the quotes if all have come, else nil.
func (a *awaited) end() map[instrument]client.Quote {
	a.mu.Lock()
	defer a.mu.Unlock()
	quotes := a.quotes
	if a.quotes = nil; a.left > 0 {
		return nil
	}
	return quotes
}

// askDetails returns the quotes of instruments in detail, or nil if the server does not send such. It has them sent by
// a subscription, which then ends; what else is subscribed to stays.
func (s *session) askDetails(ctx context.Context, list []client.Instrument) (map[instrument]client.Quote, error) {
	if len(list) == 0 || len(list) > detailMost || list[0].Status == 0 { // 0: the server is of before there were any
		return nil, nil
	}
	wanted := client.QuotesOptions{Detail: true}
	for i := range list {
		wanted.Codes = append(wanted.Codes, list[i].Market+"."+list[i].Code)
	}
	all := s.awaited.begin(list)
	s.quoting = true
	err := s.account.SubscribeQuotes(ctx, wanted, s.topics()...)
	if err == nil {
		patience := time.NewTimer(detailPatience)
		defer patience.Stop()
		select {
		case <-all:
		case <-patience.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	quotes := s.awaited.end()
	if ending := s.endQuotes(ctx); err == nil {
		err = ending
	}
	return quotes, err
}

// topics are what the person has subscribed to.
func (s *session) topics() []client.Topic {
	if s.watching {
		return []client.Topic{client.TopicPresence}
	}
	return nil
}

// endQuotes ends the subscription to quotes. If the command is given up before that, the next one tries again.
func (s *session) endQuotes(ctx context.Context) error {
	err := s.account.Subscribe(ctx, s.topics()...)
	s.quoting = err != nil
	return err
}

// details shows quotes in detail, three lines for each instrument.
func (p *printer) details(list []client.Instrument, quotes map[instrument]client.Quote) string {
	lines := make([]string, 0, 3*len(list))
	for i := range list {
		of := instrumentOf(list[i].Market, list[i].Code)
		q := quotes[of]
		move := int64(q.Price - q.PreviousClose)
		lines = append(lines, p.words.say(keyQuoteTitle, of, tidy(list[i].Name), p.bold(q.Price.String()),
			p.byDirection(move, percent(move, int64(q.PreviousClose))), p.status(q.Status)),
			"  "+p.words.say(keyQuoteSides, side(q.Bid), side(q.Ask), q.BidSize, q.AskSize),
			"  "+p.day(&q))
	}
	return strings.Join(lines, "\n")
}

// side returns a bid or an ask, and a dash if nobody is there.
func side(price client.Money) string {
	if price == 0 {
		return "-"
	}
	return price.String()
}

// day returns the figures of the day.
func (p *printer) day(q *client.Quote) string {
	if q.Open == 0 {
		return p.words.say(keyQuoteUntraded, q.PreviousClose)
	}
	return p.words.say(keyQuoteDay, q.Open, q.High, q.Low, q.Volume, q.PreviousClose)
}

// status returns the word for a status. One that is newer than this program is shown as it is.
func (p *printer) status(of client.MarketStatus) string {
	switch of {
	case client.MarketIsOpen:
		return p.words.say(keyIsOpen)
	case client.MarketIsClosed:
		return p.words.say(keyIsClosed)
	case client.MarketIsHalted:
		return p.words.say(keyIsHalted)
	case client.MarketIsInAuction:
		return p.words.say(keyIsInAuction)
	}
	return of.String()
}

// detailsJSON are quotes in detail, in the order of the list.
func detailsJSON(list []client.Instrument, quotes map[instrument]client.Quote) quotesLine {
	line := quotesJSON(list)
	for i := range line.Quotes {
		q := quotes[instrumentOf(list[i].Market, list[i].Code)]
		line.Quotes[i].Price, line.Quotes[i].PreviousClose = console.Money(q.Price), console.Money(q.PreviousClose)
		line.Quotes[i].quoteDetail = &quoteDetail{
			Status: enumJSON(q.Status), Bid: console.Money(q.Bid), Ask: console.Money(q.Ask), BidSize: q.BidSize,
			AskSize: q.AskSize, Size: q.Size, Time: timeJSON(q.Time), Open: console.Money(q.Open),
			High: console.Money(q.High), Low: console.Money(q.Low), Volume: q.Volume,
		}
	}
	return line
}

// timeJSON returns a time as the admin API writes it, or nil for none.
func timeJSON(t time.Time) *time.Time {
	if !t.After(time.Unix(0, 0)) {
		return nil
	}
	t = t.UTC()
	return &t
}
