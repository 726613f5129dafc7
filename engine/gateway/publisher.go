package gateway

import (
	"fmt"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// pieceBytes is how much a session that is catching up is sent at a time: about what the socket
// takes at once, and no more than half of the outbox, so that its other answers have room.
func (g *Gateway) pieceBytes() int { return min(64<<10, g.cfg.OutboxBytesMax/2) }

// tooMuch reports whether adding a frame would exceed the outbox, and counts it if so. A single
// frame always fits into an empty outbox.
func (g *Gateway) tooMuch(before, frame int) bool {
	if before == 0 || before+frame <= g.cfg.OutboxBytesMax {
		return false
	}
	g.stats.CutOutbox.Add(1)
	return true
}

// publisher is one shard's way out. It belongs to the shard's drainer.
type publisher struct {
	gw    *Gateway
	frame []byte
	dirty [][]*Session // by index of the loop: sessions that this step made dirty
	added int64        // bytes appended in this step
}

// Publisher returns a shard's way out.
func (g *Gateway) Publisher() engine.Publisher { return &publisher{gw: g} }

// Event encodes once, and appends to the outbox of each session.
func (p *publisher) Event(ev *positions.Event, live []*engine.Session, owner *engine.Session, id uint64) {
	p.frame = codec.AppendEvent(p.frame[:0], codec.TypeEvent, 0, 0, ev, p.gw.cfg.Universe)
	for _, to := range live {
		if to != owner {
			p.sequenced(to, ev.Seq)
		}
	}
	if owner != nil {
		codec.PutHeader(p.frame, codec.TypeExecution, codec.FlagReply, id)
		p.gw.replied(owner.Peer.(*Session), p.frame)
		p.sequenced(owner, ev.Seq)
	}
}

// sequenced appends the frame, which carries the account's sequence seq.
func (p *publisher) sequenced(to *engine.Session, seq uint64) {
	s := to.Peer.(*Session)
	s.mu.Lock()
	if p.add(s) {
		s.head = seq
	}
	s.mu.Unlock()
}

// send appends the frame, which answers a request.
func (p *publisher) send(to *engine.Session) {
	s := to.Peer.(*Session)
	p.gw.replied(s, p.frame)
	s.mu.Lock()
	p.add(s)
	s.mu.Unlock()
}

// add appends the frame to the outbox, or ends the session if that makes too much. s.mu must be held.
func (p *publisher) add(s *Session) bool {
	before := s.waiting()
	if !s.append(p.frame) {
		return false
	}
	p.added += int64(len(p.frame))
	if p.gw.tooMuch(before, len(p.frame)) {
		p.finish(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, slowText)
	}
	p.mark(s)
	return true
}

// finish ends the session after what it has been sent. s.mu must be held.
func (p *publisher) finish(s *Session, reason papertapev1.GoodbyeReason, text string) {
	p.added += int64(s.finish(reason, text))
	p.mark(s)
}

// mark notes the session as dirty. s.mu must be held.
func (p *publisher) mark(s *Session) {
	if s.dirty || s.detached {
		return
	}
	s.dirty = true
	for len(p.dirty) <= s.loop.index {
		p.dirty = append(p.dirty, nil)
	}
	p.dirty[s.loop.index] = append(p.dirty[s.loop.index], s)
}

// Flush hands each loop the sessions that became dirty and rings it once.
func (p *publisher) Flush() {
	p.gw.outboxBytes.Add(p.added)
	p.added = 0
	for i, list := range p.dirty {
		if len(list) == 0 {
			continue
		}
		l := (*p.gw.loops.Load())[i]
		l.mu.Lock()
		l.dirty = append(l.dirty, list...)
		l.mu.Unlock()
		l.ring()
		clear(list)
		p.dirty[i] = list[:0]
	}
}

// Replay adds an event from history unless the piece is full.
func (p *publisher) Replay(ev *positions.Event, to *engine.Session, id uint64, replay bool) bool {
	t, flags := codec.TypeEvent, codec.Flags(0)
	if id != 0 {
		t, flags = codec.TypeExecution, codec.FlagReply
	}
	if replay {
		flags |= codec.FlagReplay
	}
	p.frame = codec.AppendEvent(p.frame[:0], t, flags, id, ev, p.gw.cfg.Universe)
	s := to.Peer.(*Session)
	s.mu.Lock()
	if waiting := s.waiting(); waiting > 0 && waiting+len(p.frame) > p.gw.pieceBytes() {
		s.catchUp = true
		s.mu.Unlock()
		return false
	}
	if p.add(s) {
		s.head = ev.Seq
	}
	s.mu.Unlock()
	if id != 0 {
		p.gw.replied(s, p.frame)
	}
	return true
}

// Answer answers a request.
func (p *publisher) Answer(a engine.Answer) {
	universe := p.gw.cfg.Universe
	switch a.Kind {
	case engine.AnswerLoggedIn:
		p.loggedIn(a.Session, a.ID, a.Login)
		return
	case engine.AnswerLoginRefused:
		p.loginRefused(a.Session, a.ID, a.Account, a.Failure)
		return
	case engine.AnswerRepeat:
		flags := codec.FlagReply | codec.FlagReplay
		p.frame = codec.AppendEvent(p.frame[:0], codec.TypeExecution, flags, a.ID, a.Event, universe)
	case engine.AnswerHoldings:
		p.frame = codec.AppendHoldings(p.frame[:0], a.ID, a.Holdings, universe)
	case engine.AnswerHistory:
		p.frame = codec.AppendHistory(p.frame[:0], a.ID, a.History, a.Oldest, universe)
	case engine.AnswerRefused:
		text := a.Refusal.Sentence(a.Order, universe)
		p.frame = codec.AppendReject(p.frame[:0], a.ID, codec.CodeOf(a.Refusal.Reason), text, 0)
	case engine.AnswerDeclined:
		p.declined(a.ID, a.Decider)
	default:
		p.failed(a.ID, a.Order, a.Failure)
	}
	p.send(a.Session)
}

// loggedIn answers a login and lets the session in. Both under the mutex, so that a PING cannot
// slip in before the reply.
func (p *publisher) loggedIn(to *engine.Session, id uint64, r *engine.LoginReply) {
	p.frame = codec.AppendLoginReply(p.frame[:0], id, &codec.LoginReply{
		Account: r.Account, HeadSeq: r.HeadSeq, OldestSeq: r.OldestSeq, Epoch: r.Epoch,
		Mode: papertapev1.ResumeMode(r.Mode), Resynced: r.Resynced, Holdings: r.Holdings,
	}, p.gw.cfg.Universe)
	s := to.Peer.(*Session)
	s.mu.Lock()
	in := s.phase.CompareAndSwap(phaseLoggingIn, phaseIn)
	if in && p.add(s) {
		s.head, s.announced, s.greet = r.After, r.HeadSeq, true
	}
	s.mu.Unlock()
	if !in {
		return // it is ending, or gone
	}
	p.gw.prelogin.Add(-1)
	p.gw.stats.Logins.Add(1)
	p.gw.replied(s, p.frame)
}

// loginRefused answers a login that did not succeed; the third ends the session.
func (p *publisher) loginRefused(to *engine.Session, id, account uint64, f engine.Failure) {
	s := to.Peer.(*Session)
	p.gw.stats.LoginsRefused.Add(1)
	code, retry := papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT, time.Duration(0)
	text := fmt.Sprintf("there is no account %d", account)
	if f == engine.FailureTooManySessions {
		code, retry = papertapev1.RejectCode_REJECT_CODE_BUSY, busyRetryAfter
		text = fmt.Sprintf("account %d has as many sessions as it may", account)
	}
	p.frame = codec.AppendReject(p.frame[:0], id, code, text, retry)
	p.send(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f == engine.FailureTooManySessions:
		p.finish(s, papertapev1.GoodbyeReason_GOODBYE_REASON_FULL, text)
	case s.outOfLogins():
		p.finish(s, protocolViolated, loginsText)
	default:
		s.phase.CompareAndSwap(phaseLoggingIn, phaseNew)
	}
}

// failed answers a request that failed for another reason than a refusal of the book. o is its
// order, nil if it is not an order.
func (p *publisher) failed(id uint64, o *positions.Order, f engine.Failure) {
	code, text := papertapev1.RejectCode_REJECT_CODE_INTERNAL, "the server failed at this request; nothing was executed"
	var retry time.Duration
	switch f {
	case engine.FailureDuplicateOrderID:
		code = papertapev1.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID
		text = fmt.Sprintf("order id %q was used for an order with other content; use a fresh id", o.ID.String())
	case engine.FailureOrderIDClash:
		code = papertapev1.RejectCode_REJECT_CODE_DUPLICATE_ORDER_ID
		text = fmt.Sprintf("order id %q cannot be told from one that was used long ago, "+
			"so nothing was executed; use a fresh id", o.ID.String())
	case engine.FailureRateLimited:
		code, retry = papertapev1.RejectCode_REJECT_CODE_RATE_LIMITED, time.Second
		text = "this account sends more orders a second than it may: slow down"
	case engine.FailureHistoryBusy:
		code, retry = papertapev1.RejectCode_REJECT_CODE_BUSY, busyRetryAfter
		text = "too many reads of history are under way: try again"
	case engine.FailureUncheckpointed:
		code, retry = papertapev1.RejectCode_REJECT_CODE_BUSY, busyRetryAfter
		text = "too many events wait for a checkpoint, nothing was executed: try again"
	case engine.FailureReadOnly:
		code, retry = papertapev1.RejectCode_REJECT_CODE_READ_ONLY, readOnlyRetryAfter
		text = "the server's disk is nearly full, so no orders are taken: " +
			"queries are answered, and orders again when there is room"
	case engine.FailureUnknownAccount:
		code, text = papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT, "there is no such account"
	}
	p.frame = codec.AppendReject(p.frame[:0], id, code, text, retry)
}

// readOnlyRetryAfter is when to retry a request that was refused because the disk is nearly full:
// somebody has to make room first.
const readOnlyRetryAfter = 5 * time.Second

// Lost ends a session whose next event is no longer kept.
func (p *publisher) Lost(to *engine.Session) {
	s := to.Peer.(*Session)
	p.gw.stats.Lost.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.because(causeLost)
	p.finish(s, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW,
		"what comes next is no longer kept: come back, and start from a snapshot")
}
