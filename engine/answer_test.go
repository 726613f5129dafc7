package engine

import (
	"testing"

	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/positions"
)

// deaf is a publisher that ignores answers.
type deaf struct{ tallyPublisher }

func (*deaf) Answer(Answer) {}

// TestAnswersCostNoMemory: passing an answer to the publisher does not allocate.
func TestAnswersCostNoMemory(t *testing.T) {
	if owner.Checked {
		t.Skip("the checks allocate")
	}
	s := &shard{publisher: new(deaf)}
	var ses Session
	r := &Request{Kind: KindOrder, Session: &ses, ID: 1}
	s.step.repeats = []positions.Event{{Kind: positions.KindTrade}}
	for name, act := range map[string]*action{
		"refused":  {outcome: outcomeRefused, req: r, refusal: positions.Refusal{Reason: positions.InsufficientCash}},
		"failed":   {outcome: outcomeFailed, req: r, failure: FailureReadOnly},
		"repeated": {outcome: outcomeRepeated, req: r},
		"declined": {outcome: outcomeDeclined, req: r},
	} {
		if n := testing.AllocsPerRun(100, func() { s.publish(act) }); n != 0 {
			t.Errorf("%s: %v allocations an answer", name, n)
		}
	}
}
