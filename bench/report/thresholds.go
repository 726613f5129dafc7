package report

import (
	"encoding/json"
	"fmt"

	"github.com/papertape/papertape/bench/scenario"
	"github.com/papertape/papertape/usertext"
)

// Threshold is a limit for a figure: what it has reached, with slack for noise. Beyond it,
// the figure got worse.
type Threshold struct {
	Figure  string  `json:"figure"`
	Least   float64 `json:"least,omitempty"`
	Most    float64 `json:"most,omitempty"` // 0: Least applies
	Reached float64 `json:"reached"`        // when the threshold was set
}

// Thresholds are the thresholds that a run must meet.
type Thresholds []Threshold

const thresholdBytesMax = 1 << 20 // of a file

// LoadThresholds reads a file of thresholds.
func LoadThresholds(file string) (Thresholds, error) {
	text, err := usertext.ReadFile(file, thresholdBytesMax)
	if err != nil {
		return nil, fmt.Errorf("the thresholds: %w", err)
	}
	var list Thresholds
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	known := make(map[string]bool)
	for _, f := range new(scenario.Results).Figures() {
		known[f.ID] = true
	}
	for _, t := range list {
		if !known[t.Figure] {
			return nil, fmt.Errorf("%s: there is no figure %q", file, t.Figure)
		}
		if (t.Least > 0) == (t.Most > 0) {
			return nil, fmt.Errorf("%s: %s must have a least or a most, and one of them alone", file, t.Figure)
		}
	}
	return list, nil
}

// holds reports whether the value is within the threshold.
func (t *Threshold) holds(v float64) bool {
	if t.Most > 0 {
		return v <= t.Most
	}
	return v >= t.Least
}

// Broken returns a sentence for each threshold that is not met. If everything was to be
// measured, a figure that was not measured breaks its threshold too.
func (list Thresholds) Broken(figures []scenario.Figure, everything bool) (sentences []string) {
	for _, t := range list {
		for i := range figures {
			f := &figures[i]
			switch {
			case f.ID != t.Figure:
			case f.Value.N == 0 && everything:
				sentences = append(sentences, fmt.Sprintf("%s (%s) was not measured; it must be "+
					"%s", f.ID, f.What, bound(t.Least, t.Most, f.Unit)))
			case f.Value.N > 0 && !t.holds(f.Value.Median):
				sentences = append(sentences, fmt.Sprintf("%s (%s) is %s; it must be %s, and was %s when that was set",
					f.ID, f.What, spread(f.Value, f.Unit), bound(t.Least, t.Most, f.Unit), number(t.Reached)))
			}
		}
	}
	return sentences
}

// thresholdsSection shows the thresholds and whether they were met.
func thresholdsSection(r *scenario.Results, list Thresholds) Section {
	t := Table{Align: "lrrrl", Head: []string{"figure", "threshold", "reached when it was set", "this run", "verdict"}}
	figures := make(map[string]scenario.Figure)
	for _, f := range r.Figures() {
		figures[f.ID] = f
	}
	for _, threshold := range list {
		f := figures[threshold.Figure]
		verdict := "holds"
		switch {
		case f.Value.N == 0:
			verdict = "not measured"
		case !threshold.holds(f.Value.Median):
			verdict = "broken"
		}
		t.Rows = append(t.Rows, []string{f.ID, bound(threshold.Least, threshold.Most, f.Unit),
			withUnit(number(threshold.Reached), f.Unit),
			spread(f.Value, f.Unit), verdict})
	}
	if len(list) == 0 {
		return Section{}
	}
	return Section{Title: "Thresholds", Tables: []Table{t}, Text: []string{
		"What was reached, with slack for noise. `make bench` ends with exit code 99 where one does not hold."}}
}

// The slack of a new threshold: machines differ, and the generator shares the two cores.
const (
	slackOfRatio    = 1.4
	slackOfAbsolute = 4
)

// ThresholdsOf makes thresholds from what a run has reached.
func ThresholdsOf(r *scenario.Results) (list Thresholds) {
	for _, f := range r.Figures() {
		if f.Value.N == 0 {
			continue
		}
		slack := slackOfRatio
		if f.Unit != "" {
			slack = slackOfAbsolute
		}
		t := Threshold{Figure: f.ID, Reached: f.Value.Median}
		if f.Most > 0 {
			t.Most = max(f.Value.Median, f.Value.High/slack, f.Most/slack) * slack
		} else {
			t.Least = min(f.Value.Median, f.Value.Low*slack) / slack
		}
		list = append(list, t)
	}
	return list
}
