package linear

import (
	"strings"
	"testing"
)

// TestTooLittle: a run that found nothing because it did too little says so.
func TestTooLittle(t *testing.T) {
	whole := func() *Report { return &Report{Histories: 4, Kills: 3, Executed: 1, Holdings: 1} }
	if said := whole().tooLittle(4); len(said) > 0 {
		t.Errorf("a run that did enough: %q", said)
	}
	for want, spoil := range map[string]func(*Report){
		"3 of 4 histories":      func(r *Report) { r.Histories = 3 },
		"no order was executed": func(r *Report) { r.Executed = 0 },
		"no holdings were":      func(r *Report) { r.Holdings = 0 },
		"no server was killed":  func(r *Report) { r.Kills = 0 },
	} {
		r := whole()
		spoil(r)
		if said := r.tooLittle(4); len(said) != 1 || !strings.HasPrefix(said[0], want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
}

// TestNothingToJudge: a run without histories fails.
func TestNothingToJudge(t *testing.T) {
	if r, err := Run(t.Context(), Config{}); err != nil || r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
}
