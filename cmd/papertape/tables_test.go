package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/proof/soak"
)

// TestColumns checks that in every table columns of words are left-aligned and columns of figures
// right-aligned.
func TestColumns(t *testing.T) {
	history := console.History{Account: 100001, OldestSeq: 1}
	for i, quantity := range []int64{1400, 500} {
		history.Events = append(history.Events, console.Event{
			Seq: uint64(10 - i), Time: time.Unix(0, 0).UTC(), Change: "opened",
			Positions: []console.Position{{Quantity: quantity}},
			Trade: &console.Trade{
				Side: "buy", Market: "SH", Code: "600030", Quantity: quantity, Origin: []string{"operator", "user"}[i],
			},
		})
	}
	figures := soak.Report{Figures: []soak.Figure{
		{Name: "latency", Value: 1.5, Unit: "ms"}, {Name: "events", Value: 12345, Unit: "a second"},
	}}
	for _, c := range []struct {
		name   string
		render func(io.Writer) error
		want   []string
	}{
		{"history", func(w io.Writer) error { return renderHistory(w, &history, fates{}) }, []string{
			"│ seq │ time                 │ what           │ quantity │ price │ amount │ by       │ " +
				"row after    │ cash after │",
			"│  10 │ 1970-01-01T00:00:00Z │ buy SH 600030  │     1400 │  0.00 │   0.00 │ operator │ " +
				"opened: 1400 │       0.00 │",
			"│   9 │ 1970-01-01T00:00:00Z │ buy SH 600030  │      500 │  0.00 │   0.00 │ user     │ " +
				"opened: 500  │       0.00 │",
		}},
		{"soak", func(w io.Writer) error { return renderSoak(w, &figures) }, []string{
			"│ measured │ value │ unit     │", "│ latency  │  1.50 │ ms       │", "│ events   │ 12345 │ a second │",
		}},
	} {
		var b bytes.Buffer
		if err := c.render(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want+"\n") {
				t.Errorf("%s has no line\n%s in\n%s", c.name, want, &b)
			}
		}
	}
}
