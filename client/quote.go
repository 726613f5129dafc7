package client

import (
	"slices"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// Quote is the price of an instrument. The fields from Bid on are set only with QuotesOptions.Detail.
type Quote struct {
	Market string
	Code   string
	Price  Money     // at which it was last traded
	Time   time.Time // of the server's prices; with Detail, of the instrument's last change

	Bid, Ask               Money // 0: nobody is on that side
	BidSize, AskSize, Size int64 // shares; Size is that of the last trade
	Open, High, Low        Money // of the trading day; 0: nothing was traded yet
	Volume                 int64 // of the trading day, in shares
	PreviousClose          Money
	Status                 MarketStatus
}

// QuotesOptions say which quotes to subscribe to.
type QuotesOptions struct {
	Detail bool     // all fields of a Quote, whenever one of them changes
	Codes  []string // of these instruments alone, such as "SH.600519"; none: of all
}

// subscribed is all that is subscribed to.
type subscribed struct {
	topics []Topic
	quotes QuotesOptions // if topics has TopicQuotes
}

func (s subscribed) clone() *subscribed {
	s.topics, s.quotes.Codes = slices.Clone(s.topics), slices.Clone(s.quotes.Codes)
	return &s
}

// message returns the request for it. The error is that a topic does not exist.
func (s subscribed) message() (*papertapev1.Subscribe, error) {
	m, err := subscription(s.topics)
	if err == nil && m.GetQuotes() {
		m.Detail, m.Codes = s.quotes.Detail, s.quotes.Codes
	}
	return m, err
}

// withQuotes returns topics with TopicQuotes among them.
func withQuotes(topics []Topic) []Topic {
	if slices.Contains(topics, TopicQuotes) {
		return topics
	}
	return append(slices.Clone(topics), TopicQuotes)
}
