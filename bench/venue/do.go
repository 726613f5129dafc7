package venue

import (
	"slices"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/positions"
)

// loginsMax is the number of failed logins that a connection may make.
const loginsMax = 3

// Do handles a request of a session and sends the results. With storage it may return
// before that is done. Answers keep the order of their requests.
func (v *Venue) Do(s *Session, r *Request) {
	if a := s.account.Load(); a != nil {
		v.serialise(a, s, r)
		return
	}
	switch {
	case r.Refusal != nil:
		v.refuse(s, r.ID, r.Refusal)
	case r.Type == codec.TypeLogin:
		v.enter(s, r)
	case r.Type == codec.TypePing:
		s.peer.Send(codec.AppendPong(nil, r.ID, 0))
	}
}

// enter passes a LOGIN to its account.
func (v *Venue) enter(s *Session, r *Request) {
	if a := v.accountOf(r.Login.Account); a != nil {
		v.serialise(a, s, r)
		return
	}
	v.refuse(s, r.ID, refusal(papertapev1.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT,
		"there is no account %d; there are %d, from %d on", r.Login.Account, len(v.accounts), simulator.FirstAccount))
	if s.logins++; s.logins >= loginsMax {
		v.sendAway(s, "three logins were refused")
	}
}

func (v *Venue) accountOf(number uint64) *account {
	if number < simulator.FirstAccount || number-simulator.FirstAccount >= uint64(len(v.accounts)) {
		return nil
	}
	return &v.accounts[number-simulator.FirstAccount]
}

// handle handles a request of an account. The caller holds the account's mu. s is nil for a
// simulated fill.
func (v *Venue) handle(a *account, s *Session, r *Request) {
	switch {
	case r.Refusal != nil:
		v.refuse(s, r.ID, r.Refusal)
	case s == nil:
		v.fill(a, r.Draw)
	case r.Type == codec.TypeOrder:
		v.order(a, s, r)
	case r.Type == codec.TypeHoldings:
		h := v.holdings(a)
		s.peer.Send(codec.AppendHoldings(nil, r.ID, &h, v.universe))
	case r.Type == codec.TypePing:
		s.peer.Send(codec.AppendPong(nil, r.ID, a.head))
	case r.Type == codec.TypeInstruments:
		s.peer.Send(codec.AppendInstruments(nil, r.ID, &r.Instruments, v.feed.Snapshot(), v.universe))
	case r.Type == codec.TypeLogin:
		v.login(a, s, r)
	}
}

func (v *Venue) refuse(s *Session, id uint64, why *codec.Error) {
	s.peer.Send(codec.AppendReject(nil, id, why.Code, why.Text, 0))
	if why.Fatal {
		v.sendAway(s, why.Text)
	}
}

func (v *Venue) sendAway(s *Session, text string) {
	s.peer.Send(codec.AppendGoodbye(nil, papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL, text, 0))
	s.peer.End()
}

// login answers with the current state, whatever mode was requested, except for QUICK,
// which omits it. Live events follow.
func (v *Venue) login(a *account, s *Session, r *Request) {
	if !s.account.CompareAndSwap(nil, a) {
		v.refuse(s, r.ID, refusal(papertapev1.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN,
			"this connection is logged in to account %d; open another one for another login", s.account.Load().number))
		return
	}
	reply := codec.LoginReply{
		Account: a.number, HeadSeq: a.head, OldestSeq: 0, Epoch: v.cfg.Epoch,
		Mode: papertapev1.ResumeMode_RESUME_MODE_QUICK,
	}
	if r.Login.Mode != papertapev1.ResumeMode_RESUME_MODE_QUICK {
		h := v.holdings(a)
		reply.Holdings = &h
		reply.Mode = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT
		reply.Resynced = r.Login.Mode == papertapev1.ResumeMode_RESUME_MODE_RESUME
	}
	if s.left.Load() {
		return
	}
	a.sessions = append(a.sessions, s)
	s.peer.Send(codec.AppendLoginReply(nil, r.ID, &reply, v.universe))
}

func (v *Venue) holdings(a *account) positions.Holdings {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, _, _ := v.book.Holdings(a.number, v.feed.Snapshot(), nil)
	return h
}

// order executes or refuses an order.
func (v *Venue) order(a *account, s *Session, r *Request) {
	v.stats.Orders.Add(1)
	r.Order.Account, r.Order.Origin = a.number, positions.OriginClient
	var ev positions.Event
	v.mu.Lock()
	refused := v.book.Decide(&r.Order, v.feed.Snapshot(), time.Now().UnixNano(), &ev)
	if refused.Reason == positions.NoRefusal {
		v.book.Apply(&ev)
	}
	v.mu.Unlock()
	if refused.Reason != positions.NoRefusal {
		v.stats.Refused.Add(1)
		s.peer.Send(codec.AppendReject(nil, r.ID, codec.CodeOf(refused.Reason),
			refused.Sentence(&r.Order, v.universe), 0))
		return
	}
	v.publish(a, s, r.ID, &ev)
}

// eventBytes is enough room for most events.
const eventBytes = 320

// publish stores an event and sends it: as EXECUTION to the session that ordered it, as
// EVENT to the account's other sessions.
func (v *Venue) publish(a *account, orderer *Session, id uint64, ev *positions.Event) {
	v.stats.Events.Add(1)
	frame := codec.AppendEvent(make([]byte, 0, eventBytes), codec.TypeEvent, 0, 0, ev, v.universe)
	if v.storage != nil {
		if err := v.storage.save(frame); err != nil {
			v.fail(err)
		}
		if v.failed.Load() {
			return
		}
	}
	a.head = ev.Seq
	pushes := 0
	for _, s := range a.sessions {
		if s != orderer {
			s.peer.Send(frame)
			pushes++
		}
	}
	v.stats.Pushes.Add(uint64(pushes))
	if orderer == nil {
		return
	}
	if pushes > 0 { // other sessions share this frame
		frame = slices.Clone(frame)
	}
	codec.PutHeader(frame, codec.TypeExecution, codec.FlagReply, id)
	orderer.peer.Send(frame)
}
