package torture

import (
	"fmt"

	"github.com/papertape/papertape/client"
)

// takeback is a bust or a correction that was requested at least once. The account's mutex guards
// it.
type takeback struct {
	request
	id       string
	trade    shownTrade
	correct  bool
	price    int64
	quantity int64
	cascade  bool
}

// shownTrade is a trade that a stream has shown.
type shownTrade struct {
	seq             uint64
	price, quantity int64
}

func (t shownTrade) name(account uint64) string { return fmt.Sprintf("%d-%d", account, t.seq) }

// recentMax is how many of an account's latest trades may be taken back.
const recentMax = 64

// rememberTrade records a trade that a stream has shown. The caller holds the mutex.
func (a *account) rememberTrade(seq uint64, t *client.Trade) {
	if len(a.recent) == recentMax {
		a.recent = append(a.recent[:0], a.recent[1:]...)
	}
	a.recent = append(a.recent, shownTrade{seq, int64(t.Price), t.Quantity})
}

// recentTrade picks one of the recent trades: the n-th, modulo their number.
func (a *account) recentTrade(n int) (t shownTrade, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.recent) == 0 {
		return shownTrade{}, false
	}
	return a.recent[n%len(a.recent)], true
}

// takebackSent records a request before it is sent.
func (a *account) takebackSent(b *takeback) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takebacks[b.id] = b
	b.sent++
}

// takenBack records which event a request led to. The caller holds the mutex.
func (a *account) takenBack(bust *client.Bust, seq uint64) {
	b := a.takebacks[bust.BustID]
	switch {
	case b == nil:
		a.findings.add(other, 1, "account %d: event %d is of bust id %q, which nobody gave", a.number, seq, bust.BustID)
	case b.refused:
		a.findings.add(other, 1, "account %d: event %d is of bust id %q, which was refused", a.number, seq, b.id)
	case b.seq != 0 && b.seq != seq:
		a.findings.add(twice, 1, "account %d: bust id %q was carried out twice, as event %d and as event %d",
			a.number, b.id, b.seq, seq)
	case b.answered != 0 && b.answered != seq:
		a.findings.add(twice, 1, "account %d: bust id %q, answered with event %d, was carried out as event %d",
			a.number, b.id, b.answered, seq)
	case bust.TradeID != b.trade.name(a.number) || b.correct != (bust.Replacement != nil):
		a.findings.add(other, 1, "account %d: event %d, of bust id %q, is not what was asked for: %+v", a.number, seq,
			b.id, *bust)
	case b.seq == 0:
		b.seq = seq
		a.carried = append(a.carried, b)
	}
}

// takebackDone records the answer to a request that was carried out.
func (a *account) takebackDone(b *takeback, id string, seq uint64, repeated bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := b.known()
	switch {
	case id != b.id:
		a.findings.add(other, 1, "account %d: bust id %q was answered with event %d, of %q", a.number, b.id, seq, id)
	case before != 0 && before != seq, !repeated && b.answered != 0:
		a.findings.add(twice, 1, "account %d: bust id %q, carried out as event %d, was answered with event %d",
			a.number, b.id, before, seq)
	case repeated && b.sent == 1:
		a.findings.add(other, 1, "account %d: bust id %q, sent once, was answered as a repeat", a.number, b.id)
	}
	b.answered = seq
}

// takebackRefused records that a request was refused.
func (a *account) takebackRefused(b *takeback, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.seq != 0 || b.answered != 0 {
		a.findings.add(other, 1, "account %d: bust id %q, carried out as event %d, was refused: %v", a.number, b.id,
			max(b.seq, b.answered), why)
	}
	b.refused = true
}

// carriedOut picks a request that was carried out: the n-th, modulo their number. It returns nil if
// that one was not answered.
func (a *account) carriedOut(n int) *takeback {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.carried) == 0 {
		return nil
	}
	if b := a.carried[n%len(a.carried)]; b.answered != 0 {
		return b
	}
	return nil
}

// countTakebacks returns how many busts and corrections were carried out.
func (a *account) countTakebacks() (busts, corrections int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.carried {
		if b.correct {
			corrections++
		} else {
			busts++
		}
	}
	return busts, corrections
}
