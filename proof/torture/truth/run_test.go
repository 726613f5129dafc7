package truth

import (
	"strings"
	"testing"
)

// TestTooLittle: a run whose verdict means nothing says why.
func TestTooLittle(t *testing.T) {
	whole := func() *Report {
		return &Report{Accounts: 30, Compared: 30, Digested: 1, Faults: Faults{Freezes: 1}, Counts: Counts{Orders: 1}}
	}
	if said := whole().tooLittle(); len(said) > 0 {
		t.Errorf("a run that did enough: %q", said)
	}
	for want, spoil := range map[string]func(*Report){
		"0 of 30 states were compared":  func(r *Report) { r.Compared = 0 },
		"29 of 30 states were compared": func(r *Report) { r.Compared = 29 },
		"no event was digested":         func(r *Report) { r.Digested = 0 },
		"no fault was made":             func(r *Report) { r.Faults = Faults{} },
		"no order was answered":         func(r *Report) { r.Orders = 0 },
	} {
		r := whole()
		spoil(r)
		if said := r.tooLittle(); len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
}
