package conformance

import (
	"errors"
	"fmt"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// judge checks a frame against the rules for every frame of every session, and applies it to the
// session's state.
func (s *session) judge(f frame) error {
	if err := s.judgeHeader(f); err != nil {
		return err
	}
	if f.reply() {
		asked, ok := s.asked[f.id]
		if !ok {
			return errors.New("it answers a request that was not made, or was answered before")
		}
		if f.kind != kReject && f.kind != answerTo[asked] {
			return fmt.Errorf("it answers a request of type %d", asked)
		}
		delete(s.asked, f.id)
	}
	switch m := f.body.(type) {
	case *pb.Reject:
		if m.Code == pb.RejectCode_REJECT_CODE_UNSPECIFIED {
			return errors.New("a reject names its code")
		}
		return sentence(m.Text)
	case *pb.Goodbye:
		if m.Reason == pb.GoodbyeReason_GOODBYE_REASON_UNSPECIFIED {
			return errors.New("a goodbye names its reason")
		}
	case *pb.LoginReply:
		return s.judgeLogin(m)
	case *pb.AccountEvent:
		return s.judgeEvent(f, m)
	case *pb.Holdings:
		return s.judgeHoldings(m)
	case *pb.History:
		return s.judgeHistory(m)
	case *pb.Ping:
		s.pings++
		return s.judgeHead(m.HeadSeq)
	case *pb.Pong:
		return s.judgeHead(m.HeadSeq)
	case *pb.Quotes:
		for _, q := range m.Quotes {
			s.quotes[instrument{q.Market, q.Code}] = q.Price
		}
	}
	return nil
}

// judgeHeader checks the flags and the id of a frame by its type.
func (s *session) judgeHeader(f frame) error {
	if f.flags&^(flagReply|flagReplay) != 0 {
		return errors.New("only the flags REPLY and REPLAY are defined")
	}
	if f.replay() && f.kind != kEvent && f.kind != kExecution {
		return errors.New("only an event can be a REPLAY")
	}
	switch f.kind {
	case kWelcome, kGoodbye, kEvent, kQuotes, kPresence:
		if f.reply() || f.id != 0 {
			return errors.New("a push has id 0 and no REPLY")
		}
		if f.kind == kWelcome && s.welcome != nil {
			return errors.New("a second WELCOME")
		}
	case kPing:
		if f.reply() || f.id == 0 || s.reply == nil {
			return errors.New("a server's ping has an id, no REPLY, and comes only after login")
		}
	case kReject:
		if f.reply() != (f.id != 0) {
			return errors.New("a reject has REPLY and the request's id, or neither")
		}
	default:
		if !f.reply() || f.id == 0 {
			return errors.New("an answer has REPLY and the request's id")
		}
	}
	return nil
}

// judgeLogin checks a login reply and sets the session's position in the account's sequence.
func (s *session) judgeLogin(m *pb.LoginReply) error {
	if m.Account != s.account || m.Epoch != s.welcome.Epoch {
		return fmt.Errorf("want account %d and the epoch of WELCOME, %#x", s.account, s.welcome.Epoch)
	}
	if m.OldestSeq > m.HeadSeq || (m.OldestSeq == 0) != (m.HeadSeq == 0) {
		return errors.New("want oldest_seq from 1 to head_seq, or both 0")
	}
	if (m.Mode == pb.ResumeMode_RESUME_MODE_SNAPSHOT) != (m.Holdings != nil) {
		return errors.New("a snapshot carries holdings, other modes do not")
	}
	s.reply = m
	fixed := !s.server.walks
	switch m.Mode {
	case pb.ResumeMode_RESUME_MODE_SNAPSHOT:
		if m.Holdings.Account != m.Account || m.Holdings.AsOfSeq != m.HeadSeq {
			return errors.New("want holdings of the account as of head_seq")
		}
		s.cursor, s.book = m.HeadSeq, shadowOf(m.Holdings, fixed)
		return consistent(m.Holdings)
	case pb.ResumeMode_RESUME_MODE_RESUME:
		// book, if the test has set it, is the account up to here
		if s.from+1 < m.OldestSeq || s.from > m.HeadSeq {
			return fmt.Errorf("it cannot resume after %d", s.from)
		}
		s.cursor = s.from
	case pb.ResumeMode_RESUME_MODE_RESTART:
		s.cursor = max(m.OldestSeq, 1) - 1
		if s.cursor == 0 {
			s.book = newShadow(m.Account, fixed)
		}
	case pb.ResumeMode_RESUME_MODE_QUICK:
		s.cursor = m.HeadSeq
	default:
		return errors.New("want the mode that the server does")
	}
	return nil
}

// judgeEvent checks that an event comes in its place, once, and that its figures follow from its
// trade.
func (s *session) judgeEvent(f frame, ev *pb.AccountEvent) error {
	if s.reply == nil {
		return errors.New("an event before the login reply")
	}
	if ev.Account != s.account {
		return fmt.Errorf("an event of another account than %d", s.account)
	}
	if f.kind == kExecution && f.replay() {
		for _, a := range s.events {
			if a.event.Seq == ev.Seq && !proto.Equal(a.event, ev) {
				return fmt.Errorf("it repeats an event that was {%v}", a.event)
			}
		}
		return nil // it does not move the cursor
	}
	if ev.Seq != s.cursor+1 {
		return fmt.Errorf("it follows sequence %d", s.cursor)
	}
	if f.replay() != (ev.Seq <= s.reply.HeadSeq) {
		return fmt.Errorf("REPLAY is for events up to the login reply's head_seq %d", s.reply.HeadSeq)
	}
	s.cursor = ev.Seq
	s.events = append(s.events, arrival{f.kind, f.flags, f.id, ev})
	if s.book != nil {
		return s.book.fold(ev)
	}
	return nil
}

// judgeHoldings checks that a list is consistent and agrees with the events so far.
func (s *session) judgeHoldings(m *pb.Holdings) error {
	if m.Account != s.account {
		return fmt.Errorf("holdings of another account than %d", s.account)
	}
	if m.AsOfSeq > s.cursor {
		return fmt.Errorf("events up to %d should have come before; the newest is %d", m.AsOfSeq, s.cursor)
	}
	if err := consistent(m); err != nil {
		return err
	}
	if s.book != nil && m.AsOfSeq == s.book.seq {
		return s.book.agrees(m)
	}
	return nil
}

// judgeHistory checks that a page is of the account, newest first and without a hole.
func (s *session) judgeHistory(m *pb.History) error {
	for i, ev := range m.Events {
		if ev.Account != s.account {
			return fmt.Errorf("an event of another account than %d", s.account)
		}
		if i > 0 && ev.Seq != m.Events[i-1].Seq-1 {
			return fmt.Errorf("event %d comes after %d, want newest first without a hole", ev.Seq, m.Events[i-1].Seq)
		}
		if ev.Seq < m.OldestSeq {
			return fmt.Errorf("event %d is older than oldest_seq", ev.Seq)
		}
	}
	return nil
}

// judgeHead checks the sequence in a heartbeat: the newest at that place of the stream, or 0 before
// login.
func (s *session) judgeHead(head uint64) error {
	if head != s.cursor {
		return fmt.Errorf("head_seq %d, but the newest sequence in this stream is %d", head, s.cursor)
	}
	return nil
}
