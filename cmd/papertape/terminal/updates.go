package terminal

import (
	"context"
	"strings"
	"time"

	"github.com/papertape/papertape/client"
)

// pump passes the account's updates to run until the account ends, and returns the reason.
func (s *session) pump(ctx context.Context) error {
	for {
		u, err := s.account.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case s.updates <- u:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// batch shows an update and those that wait behind it in one write, so that a screen redraws its
// line only once.
func (s *session) batch(u client.Update) {
	s.gathering = true
	s.update(u)
	s.showWaiting()
	s.gathering = false
	s.flush()
}

// showWaiting shows the updates that are waiting, at most batchMax of them.
func (s *session) showWaiting() {
	for range batchMax {
		select {
		case u := <-s.updates:
			s.update(u)
		default:
			return
		}
	}
}

func (s *session) update(u client.Update) {
	switch u := u.(type) {
	case *client.Event:
		s.event(u)
	case *client.Connected:
		s.connected(u)
	case *client.Disconnected:
		s.disconnected(u)
	case *client.Quotes:
		s.awaited.take(u.Quotes)
	case *client.Presence:
		s.show(s.presence(u), presenceLine{"presence", u.Account, u.UID, u.Online, u.Sessions})
	}
}

// event shows an event and applies it to the picture.
func (s *session) event(ev *client.Event) {
	mine := ev.Execution || s.mine(ev.Trade)
	switch {
	case s.hidden > 0:
		s.hidden--
	case s.quiet && !mine:
	default:
		s.show(s.printer.event(ev, s.picture, mine),
			eventLine{Type: "event", Account: ev.Account, Mine: mine, Replay: ev.Replay, Event: eventJSON(ev)})
	}
	s.picture.apply(ev)
	if s.head > 0 && s.picture.seq >= s.head {
		s.notice(s.words.say(keyUpToDate, s.picture.seq))
		s.head = 0
	}
}

// mine says whether a trade belongs to an order of this run.
func (s *session) mine(t *client.Trade) bool {
	return t != nil && t.ClientOrderID != "" && strings.HasPrefix(t.ClientOrderID, s.orderID)
}

// connected says that the connection is back, and what was missed. The first connection is shown by
// login.
func (s *session) connected(c *client.Connected) {
	away := c.Away.Round(time.Millisecond)
	if away > time.Second {
		away = c.Away.Round(time.Second / 10)
	}
	if s.json {
		s.show("", connectedLine{"connected", c.UID, c.Server, c.Away.Seconds(), c.Resynced, c.Missed})
	}
	s.head, s.hidden = 0, 0
	if c.After != nil {
		s.resynced(c, away)
		return
	}
	s.notice(s.words.say(keyAgain, away, c.UID, c.Addr))
	if c.Missed == 0 {
		s.notice(s.words.say(keyNothingMissed))
		return
	}
	s.notice(s.words.say(keyMissed, c.Missed))
	s.head = c.HeadSeq
	if c.Missed > missedMax {
		s.hidden = c.Missed - missedMax
		s.notice(s.words.say(keyMissedHidden, s.hidden, s.words.name(verbHistory)))
	}
}

// resynced starts anew from a snapshot.
func (s *session) resynced(c *client.Connected, away time.Duration) {
	s.notice(s.words.say(keyResynced, away, c.UID, c.Addr))
	if c.Missed > 0 {
		s.notice(s.words.say(keyResyncSkipped, c.Missed, s.words.name(verbHistory)))
	}
	if c.Before != nil {
		s.notice(s.printer.resynced(c.Before, c.After))
	}
	s.show("", holdingsLine{"holdings", stateJSON(c.After)})
	s.picture = pictureOf(c.After)
	if s.running != nil && s.running.answer != nil {
		s.running.answer.after = 0 // the event that it waited for belongs to the old history
	}
}

// disconnected says that the connection is lost. Of the attempts to restore it, it shows only those
// after which there is time to read.
func (s *session) disconnected(d *client.Disconnected) {
	s.head, s.hidden = 0, 0
	switch {
	case d.Attempt == 0:
		s.notice(s.words.say(keyLost, s.reason(d.Err)))
	case d.Retry >= time.Second:
		s.notice(s.words.say(keyTrying, d.Attempt, s.reason(d.Err), d.Retry.Round(time.Second/10)))
	}
}
