package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
)

// quotes are what has changed from one snapshot to a later one. They are shared and never changed.
type quotes struct {
	before, prices *market.Prices
	moved          changes       // of plain quotes: the last price is another
	any            changes       // of quotes in detail
	all            func() []byte // plain QUOTES of everything, encoded when the first subscriber needs it
}

// changes are instruments whose quotes changed.
type changes struct {
	ids    []market.ID
	set    idSet
	frames func() []byte // QUOTES of them, encoded when the first subscriber needs it
}

func (g *Gateway) newQuotes(before, prices *market.Prices) *quotes {
	u := g.cfg.Universe
	q := &quotes{before: before, prices: prices}
	q.any.ids = slices.DeleteFunc(prices.Changed(before, nil), func(id market.ID) bool { return u.At(id).Delisted })
	for _, id := range q.any.ids {
		if before == nil || before.At(id) != prices.At(id) {
			q.moved.ids = append(q.moved.ids, id)
		}
	}
	q.any.set, q.moved.set = setOf(q.any.ids, u), setOf(q.moved.ids, u)
	q.any.frames = sync.OnceValue(func() []byte { return codec.AppendDetailedQuotes(nil, q.any.ids, prices, u) })
	q.moved.frames = sync.OnceValue(func() []byte { return codec.AppendQuotes(nil, q.moved.ids, prices, u) })
	q.all = sync.OnceValue(func() []byte { return g.appendAllQuotes(nil, prices) })
	return q
}

func setOf(ids []market.ID, u *market.Universe) idSet {
	s := newIDSet(u.Len())
	for _, id := range ids {
		s.add(int(id))
	}
	return s
}

// Quote sends new quotes to their subscribers. What is the same for many is encoded once, and handed to each loop
// once. Only the newest quotes matter: a loop that has not sent the previous ones sends what differs from those that it
// sent last. The owner of the price feed calls it.
func (g *Gateway) Quote(prices *market.Prices) {
	q := g.newQuotes(g.quoted, prices)
	g.quoted = prices
	if len(q.any.ids) == 0 {
		return
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

// quotesInPieces reports whether plain quotes of everything are too many for the outbox of a session.
func (g *Gateway) quotesInPieces() bool {
	return g.cfg.Universe.Len()*codec.QuoteBytesMax > g.pieceBytes()
}

// subscribe switches quotes on or off for the session. When they are switched on, all that it wants are sent.
func (l *loop) subscribe(s *Session, in codec.Subscribe) {
	l.goroutine.Check()
	switch {
	case in.Quotes && s.quotesSeat == 0:
		l.subscribers, l.subscriptions = append(l.subscribers, s), append(l.subscriptions, nil)
		s.quotesSeat = int32(len(l.subscribers))
	case !in.Quotes && s.quotesSeat != 0:
		at, end := s.quotesSeat-1, len(l.subscribers)-1
		last := l.subscribers[end]
		l.subscribers[at], l.subscriptions[at], last.quotesSeat = last, l.subscriptions[end], s.quotesSeat
		l.subscribers[end], l.subscriptions[end] = nil, nil
		l.subscribers, l.subscriptions = l.subscribers[:end], l.subscriptions[:end]
		s.quotesSeat = 0
	}
	if !in.Quotes {
		return
	}
	sub := &subscription{detail: in.Detail, codes: in.Codes}
	sub.whole = !sub.detail && sub.codes == nil && !l.gw.quotesInPieces()
	l.subscriptions[s.quotesSeat-1] = sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.whole {
		l.frame = l.gw.appendAllQuotes(l.frame[:0], l.gw.cfg.Prices())
		l.send(s)
		return
	}
	sub.noteAll(l.gw.cfg.Universe)
	l.appendPiece(s, sub)
}

// subscription returns what the session wants of quotes, nil if it wants none.
func (l *loop) subscription(s *Session) *subscription {
	if s.quotesSeat == 0 {
		return nil
	}
	return l.subscriptions[s.quotesSeat-1]
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
	if len(l.subscribers) > 0 && l.prices != nil && l.prices != q.before {
		q = l.gw.newQuotes(l.prices, q.prices) // since those that this loop sent
	}
	l.quoted, l.quotedAll, l.prices = q, skipped, q.prices
	l.quoting.begin(len(l.subscribers))
	l.goOnQuoting()
}

func (l *loop) goOnQuoting() {
	l.sweepOn(&l.quoting, func() []*Session { return l.subscribers }, l.quoteTo, l.tasks.quoteOn)
	if !l.quoting.underWay && l.quotes.Load() != nil {
		_ = l.el.Execute(context.Background(), l.tasks.quote) // fails only when the loop has stopped
	}
}

// quoteTo writes quotes to a subscriber.
func (l *loop) quoteTo(s *Session) {
	if sub := l.subscription(s); sub.whole {
		l.quoteWhole(s, sub)
	} else {
		l.quoteChanges(s, sub)
	}
}

// quoteWhole writes what has changed of all instruments, or everything, in one go. Quotes are the first to be left out:
// they are skipped if the subscriber has not taken most of what it was sent, or if all outboxes together are near
// their bound.
func (l *loop) quoteWhole(s *Session, sub *subscription) {
	s.mu.Lock()
	if !l.roomForQuotes(s) {
		sub.missed = true
		s.mu.Unlock()
		return
	}
	switch {
	case sub.missed || l.quotedAll:
		l.frame, sub.missed = append(l.frame[:0], l.quoted.all()...), false
	case len(l.quoted.moved.ids) == 0:
		s.mu.Unlock()
		return
	default:
		l.frame = append(l.frame[:0], l.quoted.moved.frames()...)
	}
	l.send(s)
	s.mu.Unlock()
	l.write(s)
}

// roomForQuotes reports whether the session may be sent quotes, and counts it if not. s.mu must be held.
func (l *loop) roomForQuotes(s *Session) bool {
	if l.quotesHeldBack() || s.waiting() > l.gw.pieceBytes() {
		l.gw.stats.QuotesSkipped.Add(1)
		return false
	}
	return true
}

// quotesHeldBack reports whether all outboxes together are near their bound.
func (l *loop) quotesHeldBack() bool { return l.gw.holds() > l.gw.cfg.OutboxTotalBytesMax/2 }

// quoteChanges writes what has changed to a subscriber that has everything else, and notes it for one that has not.
func (l *loop) quoteChanges(s *Session, sub *subscription) {
	c := sub.changed(l.quoted)
	if sub.pending != nil || !l.quoteNow(s, sub, c) {
		sub.note(c, l.gw.cfg.Universe)
		l.pieceSoon(s)
	}
}

// quoteNow writes what has changed, if that fits.
func (l *loop) quoteNow(s *Session, sub *subscription, c *changes) bool {
	if l.frame = l.frame[:0]; !l.appendChanges(sub, c) {
		return false
	}
	if len(l.frame) == 0 {
		return true
	}
	s.mu.Lock()
	room := l.roomForQuotes(s)
	if room {
		l.send(s)
	}
	s.mu.Unlock()
	if room {
		l.write(s)
	}
	return room
}

// appendChanges appends QUOTES of what has changed, unless they are more than a piece.
func (l *loop) appendChanges(sub *subscription, c *changes) bool {
	most := l.gw.pieceBytes() / sub.quoteBytesMax()
	if sub.codes == nil {
		if len(c.ids) > most {
			return false
		}
		if len(c.ids) > 0 {
			l.frame = append(l.frame, c.frames()...)
		}
		return true
	}
	l.ids = l.ids[:0]
	for _, id := range sub.codes {
		if c.set.has(int(id)) {
			l.ids = append(l.ids, id)
		}
	}
	if len(l.ids) > most {
		return false
	}
	if len(l.ids) > 0 {
		l.frame = sub.appendQuotes(l.frame, l.ids, l.quoted.prices, l.gw.cfg.Universe)
	}
	return true
}

// appendPiece adds the next quotes that are pending to the outbox. s.mu must be held.
func (l *loop) appendPiece(s *Session, sub *subscription) {
	if l.prices == nil { // none were sent yet
		l.prices = l.gw.cfg.Prices()
	}
	l.ids = sub.take(l.ids[:0], max(1, l.gw.pieceBytes()/sub.quoteBytesMax()))
	if len(l.ids) > 0 {
		l.frame = sub.appendQuotes(l.frame[:0], l.ids, l.prices, l.gw.cfg.Universe)
		l.send(s)
	}
}

// sendPiece writes the next piece to a session that has read the one before. If it has not, it comes when it has.
func (l *loop) sendPiece(s *Session) {
	sub := l.subscription(s)
	if sub == nil || sub.pending == nil || s.closing != nil {
		return
	}
	s.mu.Lock()
	room := s.waiting() <= l.gw.pieceBytes()
	if room {
		l.appendPiece(s, sub)
	}
	s.mu.Unlock()
	if room {
		l.write(s)
	}
}

// pieceSoon has the loop send the session its next piece, if quotes are pending.
func (l *loop) pieceSoon(s *Session) {
	if sub := l.subscription(s); sub == nil || sub.pending == nil || s.inPieces {
		return
	}
	s.inPieces = true
	l.pieces = append(l.pieces, s)
	l.piecesLater(pause)
}

func (l *loop) piecesLater(d time.Duration) {
	if !l.piecesPosted && len(l.pieces) > 0 {
		l.piecesPosted = true
		l.later(d, l.tasks.pieces)
	}
}

// piecesRetry is how soon a loop looks again whether there is room for quotes.
const piecesRetry = 20 * time.Millisecond

// sendPieces sends a piece to each session whose turn it is, for a spell.
func (l *loop) sendPieces() {
	l.piecesPosted = false
	l.tellTime()
	if l.quotesHeldBack() {
		l.piecesLater(piecesRetry)
		return
	}
	began, served := time.Now(), 0
	for due := len(l.pieces); served < due && (served == 0 || time.Since(began) < spell); served++ {
		s := l.pieces[served]
		s.inPieces = false
		l.visit(s, l.sendPiece) // when all of it has been taken, the session queues up again
	}
	left := copy(l.pieces, l.pieces[served:])
	clear(l.pieces[left:])
	l.pieces = l.pieces[:left]
	l.piecesLater(pause)
}
