package torture

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestTooLittle: a run that found nothing because it did too little says so.
func TestTooLittle(t *testing.T) {
	whole := func() *Report {
		return &Report{Kills: 3, CleanStops: 1, Verified: 4, Orders: 1, ReadAgain: 1, Holdings: 1}
	}
	if said := whole().tooLittle(3); len(said) > 0 {
		t.Errorf("a run that did enough: %q", said)
	}
	for want, spoil := range map[string]func(*Report){
		"2 of 3 kills struck":       func(r *Report) { r.Kills, r.CleanStops = 2, 2 },
		"3 of 4 directories":        func(r *Report) { r.Verified = 3 },
		"no order was executed":     func(r *Report) { r.Orders = 0 },
		"no event was read again":   func(r *Report) { r.ReadAgain = 0 },
		"no holdings were compared": func(r *Report) { r.Holdings = 0 },
	} {
		r := whole()
		spoil(r)
		if said := r.tooLittle(3); len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
}

// TestFinish: such a run fails, and leaves its directory.
func TestFinish(t *testing.T) {
	r := newRun(Config{Kills: 1, Accounts: 1, Data: "here"})
	if r.finish(); r.report.OK() || r.report.Data != "here" ||
		!strings.HasPrefix(r.report.Failures[0], "0 of 1 kills struck") {
		t.Errorf("a run in which nothing was done: %q, files in %q", r.report.Failures, r.report.Data)
	}
}

// TestAwaitOrder: a kill waits for the first executed order, unless there will be none.
func TestAwaitOrder(t *testing.T) {
	never, now, one := make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	close(now)
	one <- struct{}{}
	if err := awaitOrder(t.Context(), never, one); err != nil {
		t.Errorf("an order was executed, and: %v", err)
	}
	if err := awaitOrder(t.Context(), now, never); err == nil ||
		!strings.Contains(err.Error(), "ended before it executed an order") {
		t.Errorf("the server has ended, and: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitOrder(ended, never, never); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more, and: %v", err)
	}
}
