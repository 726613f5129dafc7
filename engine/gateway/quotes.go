package gateway

import (
	"context"
	"sync"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// quotes are what the subscribers of all loops are sent after prices moved. They are shared and never changed.
type quotes struct {
	changed []byte        // QUOTES of what moved
	all     func() []byte // QUOTES of everything, encoded when the first subscriber needs it
}

// Quote sends new prices to the subscribers of quotes. They are encoded once, and handed to each loop once. Only the
// newest prices matter: a loop that has not sent the previous ones sends all prices instead, once, and so does a loop
// to a subscriber that had too much waiting. The owner of the price feed calls it.
func (g *Gateway) Quote(prices *market.Prices) {
	var moved []market.ID
	for _, id := range g.cfg.Universe.ListedIDs() {
		if g.quoted == nil || g.quoted.At(id) != prices.At(id) {
			moved = append(moved, id)
		}
	}
	g.quoted = prices
	if len(moved) == 0 {
		return
	}
	q := &quotes{
		changed: codec.AppendQuotes(nil, moved, prices, g.cfg.Universe),
		all:     sync.OnceValue(func() []byte { return g.appendAllQuotes(nil, prices) }),
	}
	for _, l := range *g.loops.Load() {
		if l.quotes.Load() != nil {
			l.quotesSkipped.Store(true) // before the swap: a loop that finds the new ones must know that it missed some
		}
		if l.quotes.Swap(q) != nil {
			continue // rung already
		}
		_ = l.el.Execute(context.Background(), l.tasks.quote) // fails only when the loop has stopped
	}
}

func (g *Gateway) appendAllQuotes(dst []byte, prices *market.Prices) []byte {
	return codec.AppendQuotes(dst, g.cfg.Universe.ListedIDs(), prices, g.cfg.Universe)
}

// subscribe switches quotes on or off for the session. When they are switched on, all of them are sent.
func (l *loop) subscribe(s *Session, on bool) {
	l.goroutine.Check()
	switch {
	case on && s.quotesSeat == 0:
		l.subscribers = append(l.subscribers, s)
		s.quotesSeat = int32(len(l.subscribers))
	case !on && s.quotesSeat != 0:
		last := l.subscribers[len(l.subscribers)-1]
		l.subscribers[s.quotesSeat-1], last.quotesSeat = last, s.quotesSeat
		l.subscribers[len(l.subscribers)-1] = nil
		l.subscribers = l.subscribers[:len(l.subscribers)-1]
		s.quotesSeat = 0
	}
	if on {
		l.frame = l.gw.appendAllQuotes(l.frame[:0], l.gw.cfg.Prices())
		s.mu.Lock()
		l.send(s)
		s.mu.Unlock()
	}
}

// sendQuotes writes the newest quotes to the loop's subscribers.
func (l *loop) sendQuotes() {
	if l.quoting.underWay {
		return // goOnQuoting looks for newer ones at the end of the sweep
	}
	skipped := l.quotesSkipped.Swap(false)
	q := l.quotes.Swap(nil)
	if q == nil {
		return
	}
	l.tellTime()
	l.quoted, l.quotedAll = q, skipped
	l.quoting.begin(len(l.subscribers))
	l.goOnQuoting()
}

func (l *loop) goOnQuoting() {
	l.sweepOn(&l.quoting, func() []*Session { return l.subscribers }, l.quoteTo, l.tasks.quoteOn)
	if !l.quoting.underWay && l.quotes.Load() != nil {
		_ = l.el.Execute(context.Background(), l.tasks.quote) // fails only when the loop has stopped
	}
}

// quoteTo writes quotes to a subscriber. Quotes are the first to be left out: they are skipped if the subscriber has
// not taken most of what it was sent, or if all outboxes together are near their bound.
func (l *loop) quoteTo(s *Session) {
	s.mu.Lock()
	if l.gw.holds() > l.gw.cfg.OutboxTotalBytesMax/2 || s.waiting() > l.gw.pieceBytes() {
		s.quotesMissed = true
		l.gw.stats.QuotesSkipped.Add(1)
		s.mu.Unlock()
		return
	}
	frames := l.quoted.changed
	if s.quotesMissed || l.quotedAll {
		frames, s.quotesMissed = l.quoted.all(), false
	}
	l.frame = append(l.frame[:0], frames...)
	l.send(s)
	s.mu.Unlock()
	l.write(s)
}
