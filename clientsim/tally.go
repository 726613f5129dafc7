package clientsim

import "time"

// Tally counts what one simulated user saw, did and checked.
type Tally struct {
	Events      int `json:"events"`      // that came; each was checked against the shadow
	Pushed      int `json:"pushed"`      // of these, trades made by the server's simulator
	Executions  int `json:"executions"`  // of these, trades that clients of the account ordered
	Operator    int `json:"operator"`    // of these, trades made or taken back by an operator
	Busts       int `json:"busts"`       // of the latter, trades taken back or corrected
	Adjustments int `json:"adjustments"` // of these, movements of cash
	Resets      int `json:"resets"`      // of these, accounts that an operator began anew
	Replayed    int `json:"replayed"`    // of these, sent again from history

	Orders  int `json:"orders"`  // its own that were executed
	Refused int `json:"refused"` // its own that were refused
	Busy    int `json:"busy"`    // requests that the server put off: busy or draining
	Broken  int `json:"broken"`  // requests whose connection broke before the answer

	Lists   int `json:"lists"`   // lists pulled and checked, state hash included
	History int `json:"history"` // events of history read and checked

	Logins     int     `json:"logins"`
	Reconnects int     `json:"reconnects"` // how often it came back after its connection was lost
	Restarts   int     `json:"restarts"`   // of the server, by its WELCOME messages
	Resumes    int     `json:"resumes"`    // reconnects that continued after the last event
	Resyncs    int     `json:"resyncs"`    // reconnects that began anew from a snapshot
	Missed     uint64  `json:"missed"`     // events that happened while it was away and came afterwards
	Away       float64 `json:"away_seconds"`

	Gaps       int      `json:"gaps"`       // sequences left out
	Repeats    int      `json:"repeats"`    // sequences that came twice
	Wrong      int      `json:"wrong"`      // differences, including gaps and repeats, and other failures
	Mismatches []string `json:"mismatches"` // the first of these, as sentences
}

// mismatchesMax bounds the sentences kept per client; the first ones say enough.
const mismatchesMax = 50

func (t *Tally) wrong(sentence string) {
	t.Wrong++
	if len(t.Mismatches) < mismatchesMax {
		t.Mismatches = append(t.Mismatches, sentence)
	}
}

func (t *Tally) away(d time.Duration) { t.Away += d.Seconds() }

// right reports whether nothing was wrong.
func (t *Tally) right() bool {
	return t.Gaps == 0 && t.Repeats == 0 && t.Wrong == 0 && len(t.Mismatches) == 0
}

// add adds the numbers of another tally, but not its sentences.
func (t *Tally) add(o *Tally) {
	t.Events += o.Events
	t.Pushed += o.Pushed
	t.Executions += o.Executions
	t.Operator += o.Operator
	t.Busts += o.Busts
	t.Adjustments += o.Adjustments
	t.Resets += o.Resets
	t.Replayed += o.Replayed
	t.Orders += o.Orders
	t.Refused += o.Refused
	t.Busy += o.Busy
	t.Broken += o.Broken
	t.Lists += o.Lists
	t.History += o.History
	t.Logins += o.Logins
	t.Reconnects += o.Reconnects
	t.Restarts += o.Restarts
	t.Resumes += o.Resumes
	t.Resyncs += o.Resyncs
	t.Missed += o.Missed
	t.Away += o.Away
	t.Gaps += o.Gaps
	t.Repeats += o.Repeats
	t.Wrong += o.Wrong
}
