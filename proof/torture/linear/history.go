package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// history has the calls of one account. Any goroutine may add one.
type history struct {
	start *state

	mu    sync.Mutex
	calls []porcupine.Operation
	open  int // number of calls that were left open
	lane  int // the last lane handed out
	known []trade
}

// newLane returns a number for a client that makes one call after the other. An open call ends the
// lane, because what the client does next may overlap with it.
func (h *history) newLane() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lane++
	return h.lane
}

// add records a call that was made at a time and answered now. It returns the lane for the next
// call.
func (h *history) add(lane int, c *call, a *answer, made time.Duration, now time.Duration) int {
	back := int64(now)
	if a.open {
		back = math.MaxInt64
	}
	h.mu.Lock()
	h.calls = append(h.calls, porcupine.Operation{ClientId: lane, Input: c, Output: a, Call: int64(made), Return: back})
	if c.kind == order && !a.open && !a.unheard && a.refused == "" {
		h.known = append(h.known, trade{seq: a.seq, buy: c.buy, quantity: c.quantity, price: c.traded.price})
	}
	h.mu.Unlock()
	if a.open {
		return h.newLane()
	}
	return lane
}

// someTrade returns the n-th trade that a client was told of, modulo their number.
func (h *history) someTrade(n int) (trade, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) == 0 {
		return trade{}, false
	}
	return h.known[n%len(h.known)], true
}

// conclude applies what the account's history says in the end, so that the search need not try each
// open call at each place, and as not carried out. done maps the id of everything that was carried
// out to its sequence. If no client was told that its call was the first with an id, the open call
// that began first did it, or as well could have. All other open calls changed nothing and told
// nobody anything: if there is an order with them, there is one without them.
func (h *history) conclude(done map[string]uint64) {
	slices.SortStableFunc(h.calls, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range h.calls {
		if a := op.Output.(*answer); !a.open && !a.unheard && a.refused == "" && !a.repeated {
			delete(done, op.Input.(*call).id)
		}
	}
	kept := h.calls[:0]
	for _, op := range h.calls {
		a, id := op.Output.(*answer), op.Input.(*call).id
		if a.open {
			h.open++
			if a.did = done[id]; a.did == 0 {
				continue
			}
			delete(done, id)
		}
		kept = append(kept, op)
	}
	h.calls = kept
}

// model returns the porcupine model of one account.
func (h *history) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return h.start },
		Step: func(before, input, output any) (bool, any) {
			s, given := before.(*state), output.(*answer)
			if given.unheard {
				return true, s
			}
			a, after := s.step(input.(*call))
			if given.open {
				return a.refused == "" && a.seq == given.did, after
			}
			return a.matches(given), after
		},
		Equal: func(a, b any) bool { return a.(*state).equal(b.(*state)) },
		Hash:  func(s any) uint64 { return s.(*state).seq },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%v: %v", input.(*call),
				output.(*answer))
		},
		DescribeState: func(s any) string {
			a, _ := s.(*state).step(&call{kind: holdings})
			return fmt.Sprint(a)
		},
	}
}

// linearizable searches for an order of the calls, within a time limit. If there is none, it writes
// a picture of the history to the file place.
func (h *history) linearizable(limit time.Duration, place string) (porcupine.CheckResult, error) {
	model := h.model()
	result, info := porcupine.CheckOperationsVerbose(model, h.calls, limit)
	if result == porcupine.Ok {
		return result, nil
	}
	return result, porcupine.VisualizePath(model, info, place)
}

func (c *call) String() string {
	switch c.kind {
	case holdings:
		return "holdings"
	case bust:
		return fmt.Sprintf("bust %d (%s, cascade %t)", c.trade, c.id, c.cascade)
	case correct:
		return fmt.Sprintf("correct %d to %d at %d (%s, cascade %t)", c.trade, c.quantity, c.price, c.id, c.cascade)
	case book:
		return fmt.Sprintf("book %d (%s)", c.cash, c.id)
	case reset:
		return fmt.Sprintf("reset to %d (%s)", c.cash, c.id)
	}
	side := "sell"
	if c.buy {
		side = "buy"
	}
	return fmt.Sprintf("%s %d %s %s (%s)", side, c.quantity, c.traded.market, c.traded.code, c.id)
}

func (a *answer) String() string {
	switch {
	case a.open:
		return fmt.Sprintf("no answer; carried out as event %d", a.did)
	case a.unheard:
		return "busy"
	case a.refused != "":
		return a.refused
	}
	return fmt.Sprintf("seq %d, again %t, rows %v, cash %d, realised %d, cascade %v", a.seq, a.repeated, a.rows,
		a.balance, a.realised, a.cascade)
}
