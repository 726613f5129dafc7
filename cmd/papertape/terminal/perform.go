package terminal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/client"
)

const (
	// answerPatience is how long to wait for an answer, including times without a connection.
	answerPatience = 30 * time.Second
	historyPage    = 100 // events that the server returns at once
)

// answer is the result of a command.
type answer struct {
	err    error
	text   string // empty if the result is seen as an event
	object any    // the same for -o json
	after  uint64 // the sequence of the event after which it is shown
}

// perform executes a command and returns its answer. It runs beside the session and touches nothing
// that run owns.
func (s *session) perform(ctx context.Context, cmd *command, orderID string) *answer {
	a, err := s.ask(ctx, cmd, orderID)
	if err != nil {
		return &answer{err: err}
	}
	return a
}

func (s *session) ask(ctx context.Context, cmd *command, orderID string) (*answer, error) {
	if s.quoting && !cmd.isOrder() {
		if err := s.endQuotes(ctx); err != nil {
			return nil, err
		}
	}
	switch cmd.verb {
	case verbBuy, verbSell:
		return s.order(ctx, cmd, orderID)
	case verbHolding:
		return s.askHoldings(ctx)
	case verbHistory:
		return s.askHistory(ctx, cmd.count)
	case verbQuote:
		return s.askQuotes(ctx, cmd.words)
	case verbChart:
		return s.askChart(ctx, cmd.words)
	case verbPresence:
		return s.askPresence(ctx, cmd.on)
	}
	return nil, fmt.Errorf("command %d is not one of the server's", cmd.verb)
}

func (s *session) order(ctx context.Context, cmd *command, id string) (*answer, error) {
	in, err := s.resolve(ctx, strings.Join(cmd.words, " "))
	if err != nil {
		return nil, err
	}
	o := client.Order{
		Side: client.Buy, Market: in.Market, Code: in.Code, Quantity: cmd.quantity,
		LimitPrice: client.Money(cmd.limit), ClientOrderID: id,
	}
	if cmd.verb == verbSell {
		o.Side = client.Sell
	}
	ev, err := s.account.Order(ctx, o)
	if err != nil {
		return nil, err
	}
	return &answer{after: ev.Seq}, nil
}

func (s *session) askHoldings(ctx context.Context) (*answer, error) {
	h, err := s.account.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	text := s.words.say(keyHoldingsOf, h.Account, h.AsOfSeq) + "\n" +
		s.holdings(h.Positions, h.TotalMarketValue, cashOf(h.Cash))
	return &answer{text: text, object: holdingsLine{"holdings", holdingsJSON(h)}, after: h.AsOfSeq}, nil
}

// askHistory fetches pages until it has enough events, or there are no more.
func (s *session) askHistory(ctx context.Context, count int) (*answer, error) {
	var events []*client.Event // newest first
	var account, before, oldest uint64
	for len(events) < count {
		page, err := s.account.History(ctx, before, min(count-len(events), historyPage))
		if err != nil {
			return nil, err
		}
		oldest = page.OldestSeq
		if len(page.Events) == 0 {
			break
		}
		events = append(events, page.Events...)
		last := events[len(events)-1]
		account, before = last.Account, last.Seq
		if before <= oldest {
			break
		}
	}
	a := &answer{}
	if len(events) > 0 {
		a.after = events[0].Seq
	}
	slices.Reverse(events)
	a.text = s.history(events, oldest, s.mine)
	line := historyLine{Type: "history"}
	line.Account, line.OldestSeq = account, oldest
	for _, ev := range events {
		line.Events = append(line.Events, eventJSON(ev))
	}
	a.object = line
	return a, nil
}

func (s *session) askQuotes(ctx context.Context, words []string) (*answer, error) {
	var codes []string
	for _, typed := range splitInstruments(words) {
		in, err := s.resolve(ctx, typed)
		if err != nil {
			return nil, err
		}
		codes = append(codes, in.String())
	}
	list, err := s.account.Instruments(ctx, codes...)
	if err != nil {
		return nil, err
	}
	if len(codes) == 0 {
		text := s.quotes(list[:min(len(list), listingPage)])
		if len(list) >= listingPage {
			text += "\n" + s.words.say(keyFirstOfAll, listingPage)
		}
		return &answer{text: text, object: quotesJSON(list)}, nil
	}
	details, err := s.askDetails(ctx, list)
	switch {
	case err != nil:
		return nil, err
	case details == nil:
		return &answer{text: s.quotes(list), object: quotesJSON(list)}, nil
	}
	return &answer{text: s.quotes(list) + "\n" + s.details(list, details), object: detailsJSON(list, details)}, nil
}

func (s *session) askPresence(ctx context.Context, on bool) (*answer, error) {
	var topics []client.Topic
	k := keyPresenceOff
	if on {
		topics, k = []client.Topic{client.TopicPresence}, keyPresenceOn
	}
	if err := s.account.Subscribe(ctx, topics...); err != nil {
		return nil, err
	}
	s.watching = on
	return &answer{text: s.words.say(k), object: subscriptionLine{"subscription", on}}, nil
}

// explain returns the sentence for a command that failed.
func (s *session) explain(r *running, err error) error {
	isOrder := r.isOrder()
	var refused *client.Reject
	switch {
	case r.canceled && isOrder, isOrder && errors.Is(err, context.DeadlineExceeded):
		return s.words.sentenceError(keyOrderGaveUp, r.line)
	case r.canceled, errors.Is(err, context.DeadlineExceeded):
		return s.words.sentenceError(keyGaveUp, r.line)
	case errors.Is(err, client.ErrOutcomeUnknown):
		return s.words.sentenceError(keyOrderUnknown, s.reason(err), s.words.name(verbHistory))
	case errors.As(err, &refused):
		return errors.New(s.reason(err))
	case errors.Is(err, client.ErrDisconnected):
		return s.words.sentenceError(keyNoAnswer, s.reason(err))
	}
	return err
}

// reason returns the reason for which the server, or the connection, did not do something.
func (p *printer) reason(err error) string {
	var refused *client.Reject
	var bye *client.Goodbye
	var network *net.OpError
	switch {
	case errors.As(err, &refused):
		return p.words.say(keyRefused, named(p.words.refused, refused.Code), tidy(refused.Text))
	case errors.As(err, &bye):
		return p.words.say(keyGoodbye, named(p.words.goodbye, bye.Reason), tidy(bye.Text))
	case errors.As(err, &network):
		return tidy(network.Err.Error()) // without the addresses, which are known
	}
	return tidy(err.Error())
}

// named returns the name of a value. A value that is newer than this program is shown as a number.
func named[V ~int32](names map[V]string, v V) string {
	if name, known := names[v]; known {
		return name
	}
	return fmt.Sprint(int32(v))
}
