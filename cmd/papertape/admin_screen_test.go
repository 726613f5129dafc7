package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// TestOnScreen checks that no text from a console can move the cursor, and that -o json prints it
// completely.
func TestOnScreen(t *testing.T) {
	const bad = "x\x1b[2J\x1b]0;owned\x07\u202e\u2066\u200b\u2028\u009b31m\r\ny"
	trade := console.Trade{ID: bad, Side: bad, Market: bad, Code: bad, Name: bad, Origin: bad, ClientOrderID: bad}
	bust := &console.Bust{TradeID: bad, Reason: bad, Actor: bad, BustID: bad, Original: trade, Replacement: &trade,
		Cascade: []string{bad}}
	row := console.Position{Market: bad, Code: bad, Name: bad}
	busted := console.Event{Seq: 2, Bust: bust, Change: bad, Positions: []console.Position{row}}
	events := []console.Event{
		busted, {Seq: 1, Trade: &trade, Change: bad, Positions: []console.Position{row}},
		{Seq: 3, Adjustment: &console.Adjustment{Reason: bad, Actor: bad}},
	}
	f := fates{by: make(map[string]*console.Event)}
	f.add(events)
	history := console.History{Events: events}
	session := console.Session{Remote: bad}
	done := console.TakenBack{Event: busted}
	record := console.TradeRecord{ID: bad, Executed: trade, State: console.TradeTakenBack,
		TakenBack: &console.Struck{BustID: bad, Reason: bad}, Changes: []console.Event{busted}}
	for what, render := range map[string]func(w io.Writer) error{
		"holdings": func(w io.Writer) error {
			return renderHoldings(w, &console.Holdings{Positions: []console.Position{row}})
		},
		"history":  func(w io.Writer) error { return renderHistory(w, &history, f) },
		"sessions": func(w io.Writer) error { return renderSessions(w, []console.Session{session}) },
		"kicked":   func(w io.Writer) error { return renderKicked(w, &session) },
		"bust":     func(w io.Writer) error { return renderTakenBack(w, &done, nil) },
		"preview": func(w io.Writer) error {
			return renderPreview(w, &console.BustPreview{TradeID: bad, Cascade: []string{bad}, Original: trade,
				Rows: []console.RowChange{{Market: bad, Code: bad, Name: bad, After: &row}}})
		},
		"trade": func(w io.Writer) error { return renderTrade(w, &record) },
		"errors": func(w io.Writer) error {
			printError(w, errors.Join(errors.New("one"+bad), &console.Error{Text: bad}))
			return nil
		},
		"swarm": func(w io.Writer) error {
			newSwarmScreen(w, false, 0).line("the server said " + bad)
			return screenSafe(func(w io.Writer) error {
				_, err := io.WriteString(w, "wrong: "+bad+"\n")
				return err
			})(w)
		},
		"JSON": func(w io.Writer) error { return printAs(w, "json", &history, nil) },
	} {
		var out bytes.Buffer
		if err := render(&out); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for line := range strings.Lines(out.String()) {
			if c, hides := usertext.Hidden(strings.TrimSuffix(line, "\n")); hides {
				t.Errorf("%s has %U in %q", what, c, line)
			}
		}
		if what == "JSON" {
			var again console.History
			if err := json.Unmarshal(out.Bytes(), &again); err != nil || !reflect.DeepEqual(again, history) {
				t.Errorf("JSON means %+v, %v", again, err)
			}
		}
	}
	var out bytes.Buffer
	if printError(&out, errors.Join(errors.New("one"), errors.New("two"))); out.String() != "papertape: one\ntwo\n" {
		t.Errorf("two errors are %q", &out)
	}
}
