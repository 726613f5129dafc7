package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// TestBust: the whole request reaches the ledger, and its event comes back as in the history.
func TestBust(t *testing.T) {
	f := newFixture(t, "")
	want := TakenBack{Event: newEvent(f.server.cfg.Universe, &f.desk.event)}
	got, err := f.client.Bust(t.Context(), BustRequest{Trade: "100017-42", Reason: "价格 wrong"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("bust: %+v, %v; want %+v", got, err, want)
	}
	asked := positions.BustRequest{Account: 100017, TradeSeq: 42, Reason: "价格 wrong", Actor: "operator"}
	if !reflect.DeepEqual(*f.desk.asked, asked) {
		t.Errorf("the ledger was asked %+v, want %+v", *f.desk.asked, asked)
	}
	f.desk.repeated, want.Repeated = true, true
	revision := uint32(3)
	all := BustRequest{Trade: "100017-42", Reason: "mistyped", Policy: "cascade", BustID: "b-1", Actor: "ann"}
	got, err = f.client.Correct(t.Context(), CorrectionRequest{all, 9_9800, 100, &revision})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("correction: %+v, %v; want %+v", got, err, want)
	}
	r := positions.BustRequest{
		Account: 100017, TradeSeq: 42, Price: 9_9800, Quantity: 100, Revision: &revision, Reason: "mistyped",
		Actor: "operator", ID: "b-1", Policy: positions.PolicyCascade, Correct: true,
	}
	if !reflect.DeepEqual(*f.desk.asked, r) {
		t.Errorf("the ledger was asked %+v, want %+v", *f.desk.asked, r)
	}
}

// TestBustStatus: the answer is the event as in the history, to the byte, apart from "repeated"
// at its end.
func TestBustStatus(t *testing.T) {
	f := newFixture(t, "")
	const body = `{"trade":"100017-42","reason":"mistyped","bust_id":"b-1"}`
	var history struct{ Events []json.RawMessage }
	if err := json.Unmarshal(f.ask("GET", "/api/v1/accounts/100017/history?limit=1", "").Body.Bytes(),
		&history); err != nil {
		t.Fatal(err)
	}
	want := string(history.Events[0])
	if w := f.ask("POST", "/api/v1/busts", body); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("done: %d %s, want 200 %s", w.Code, w.Body, want)
	}
	f.desk.repeated = true
	want = strings.TrimSuffix(want, "}") + `,"repeated":true}`
	if w := f.ask("POST", "/api/v1/busts", body); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("done before: %d %s, want 200 %s", w.Code, w.Body, want)
	}
}

// TestBustMalformed: malformed requests never reach the ledger.
func TestBustMalformed(t *testing.T) {
	const bust, correct = "/api/v1/busts", "/api/v1/corrections"
	for _, c := range []struct{ target, body, message string }{
		{bust, ``,
			"the body is not what is expected here: it is empty; " +
				"write an object with trade, reason, policy, bust_id, actor, preview and expect_cascade"},
		{bust, `{}`, `the trade is missing: write {"trade": "100017-42", "reason": "why"}`},
		{bust, `{"trade":"100017","reason":"r"}`,
			`"100017" is not the name of a trade; write its account and sequence, as in 100017-42`},
		{bust, `{"trade":"100017-0","reason":"r"}`, `"100017-0" is not the name of a trade`},
		{bust, `{"trade":"0-42","reason":"r"}`, `"0-42" is not the name of a trade`},
		{bust, `{"trade":"100017--42","reason":"r"}`, `is not the name of a trade`},
		{bust, `{"trade":"100017-18446744073709551616","reason":"r"}`, `is not the name of a trade`},
		{bust, `{"trade":100017,"reason":"r"}`,
			"the body is not what is expected here: trade must be a string, and is a number"},
		{bust, `{"trade":"100017-42"}`, "bust 100017-42: the reason must be one line of 1 to 200 bytes"},
		{bust, `{"trade":"100017-42","reason":"a\nb"}`, "the reason must be one line"},
		{bust, `{"trade":"100017-42","reason":"r","policy":"force"}`,
			`"force" is not a policy; it must be reject or cascade`},
		{bust, `{"trade":"100017-42","reason":"r","bust_id":"é"}`,
			"the bust id must be at most 64 printable ASCII characters"},
		{bust, `{"trade":"100017-42","reason":"r","actor":"a\tb"}`, "the actor must be one line"},
		{bust, `{"trade":"100017-42","reason":"r","price":"9.98"}`,
			`there is no "price" here; it takes trade, reason, policy, bust_id, actor, preview and expect_cascade`},
		{bust, `{"trade":"100017-42","reason":"r"}{}`, "at byte 34, invalid character '{' after top-level value"},
		{correct, `{"trade":"100017-42","reason":"r","price":"9.98"}`,
			"correct 100017-42 to 0 @ 9.98: the quantity must be 1 to 1000000000 shares"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":100}`, "the price must be above 0"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":100,"price":"9.98765"}`, "an amount has at most 4"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":100,"price":"-9.98"}`, "the price must be above 0"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":100,"price":9.98}`,
			"price must be a string, and is a number"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":1.5,"price":"9.98"}`,
			"quantity must be a whole number, and is 1.5"},
		{correct, `{"trade":"100017-42","reason":"r","quantity":100,"price":"9.98","revision":-1}`,
			"revision must be a whole number, 0 or more, and is -1"},
	} {
		f := newFixture(t, "")
		w := f.ask("POST", c.target, c.body)
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v in %s", c.body, err, w.Body)
		}
		if w.Code != 400 || got.Error.Code != "bad_request" || !strings.Contains(got.Error.Message, c.message) {
			t.Errorf("%s: %d %+v, want 400 %s", c.body, w.Code, got.Error, c.message)
		}
	}
}

// refusedBusts are all refusals of the ledger, and how they are answered.
var refusedBusts = []struct {
	outcome       positions.BustOutcome
	status        int
	code, message string
	inTheWay      []string
}{
	{positions.BustOutcome{Reason: positions.BustUnknownAccount}, 404, "unknown_account",
		"account 100017 is not open", nil},
	{positions.BustOutcome{Reason: positions.BustUnknownTrade, Seq: 41}, 404, "unknown_trade", "its newest is 41",
		nil},
	{positions.BustOutcome{Reason: positions.BustNotATrade, Seq: 42}, 404, "not_a_trade",
		"event 42 of account 100017 is an adjustment", nil},
	{positions.BustOutcome{Reason: positions.BustBeforeReset, Seq: 50}, 409, "before_reset",
		"event 50 has reset the account since", nil},
	{positions.BustOutcome{Reason: positions.BustNotKept, Seq: 7}, 409, "not_kept", "older than the history kept",
		nil},
	{positions.BustOutcome{Reason: positions.BustIDReused, Seq: 50, TradeSeq: 9, ID: "b-1"}, 409,
		"bust_id_reused", "bust id b-1 is that of event 50", nil},
	{positions.BustOutcome{Reason: positions.BustAlready, Seq: 50, ID: "b-0"}, 409, "already_busted",
		"bust 100017-42: already busted by b-0 (event 50)", nil},
	{positions.BustOutcome{Reason: positions.BustStaleRevision, Have: 2, Need: 1}, 409, "stale_revision",
		"it stands at revision 2", nil},
	{positions.BustOutcome{Reason: positions.BustNothingToCorrect}, 409, "nothing_to_correct",
		"that is how it stands already", nil},
	{
		positions.BustOutcome{
			Reason: positions.BustSharesGone, Seq: 44, Have: 1, Need: 50, InTheWay: []uint64{47, 44},
		}, 409, "shares_gone",
		"in the way, newest first: 100017-47, 100017-44; take these back first, or choose the policy cascade",
		[]string{"100017-47", "100017-44"},
	},
	{positions.BustOutcome{Reason: positions.BustCashGone, Have: -1}, 409, "cash_gone", "cash would be -0.0001",
		nil},
	{
		positions.BustOutcome{Reason: positions.BustCascadeTooLong, InTheWay: []uint64{47}, More: true}, 409,
		"cascade_too_long",
		"more than 100 trades", []string{"100017-47"},
	},
	{positions.BustOutcome{Reason: positions.BustTooLarge}, 409, "too_large",
		"would pass the largest the ledger holds", nil},
	{positions.BustOutcome{Reason: positions.BustDelisted}, 409, "delisted", "is not traded here any more", nil},
	{positions.BustOutcome{Reason: positions.BustTooManyRows, Have: 513, Need: 512}, 409, "too_many_rows",
		"513 instruments", nil},
	{positions.BustOutcome{Reason: positions.BustCascadeChanged, InTheWay: []uint64{47}}, 409, "cascade_changed",
		"other trades would go with it than were expected; in the way, newest first: 100017-47; look at it again",
		[]string{"100017-47"}},
	{positions.BustOutcome{Reason: positions.BustDamaged}, 500, "damaged",
		"stop the server and verify its journal", nil},
}

// TestBustRefused: each refusal has its status, its code, its sentence, and the trades in the
// way.
func TestBustRefused(t *testing.T) {
	const body = `{"trade":"100017-42","reason":"mistyped","bust_id":"b-1"}`
	for _, c := range refusedBusts {
		f := newFixture(t, "")
		var log bytes.Buffer
		f.server.cfg.Log = zerolog.New(&log)
		f.desk.outcome = c.outcome
		w := f.ask("POST", "/api/v1/busts", body)
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%v: %v in %s", c.outcome.Reason, err, w.Body)
		}
		e := got.Error
		if w.Code != c.status || e.Code != c.code || !strings.Contains(e.Message, c.message) ||
			!slices.Equal(e.InTheWay, c.inTheWay) || e.MoreInTheWay != c.outcome.More {
			t.Errorf("%v: %d %+v, want %d %s %q %v",
				c.outcome.Reason, w.Code, e, c.status, c.code, c.message, c.inTheWay)
		}
		if worth := strings.Contains(log.String(), `"level":"error"`); worth != (c.status == 500) {
			t.Errorf("%v: the log says %q", c.outcome.Reason, &log)
		}
	}
	if reasons := len(bustRefusals); reasons != int(positions.BustDelisted)+1 {
		t.Errorf("%d reasons have a code, want one for each up to %v", reasons, positions.BustDelisted)
	}
}

// TestBustLedgerErrors: errors of the ledger that are not the request's fault.
func TestBustLedgerErrors(t *testing.T) {
	for _, c := range []struct {
		err           error
		status        int
		code, message string
	}{
		{fmt.Errorf("64 are under way: %w", engine.ErrBusy), 503, "busy", "64 are under way: try again"},
		{engine.ErrReadOnly, 503, "read_only", "its disk is nearly full"},
		{engine.ErrStopped, 503, "stopping", "the server is stopping"},
		{fmt.Errorf("%w: recovering", ErrNotReady), 503, "not_ready", "recovering"},
		{context.Canceled, 503, "stopping", "the server is stopping"},
		{context.DeadlineExceeded, 504, "timeout",
			"may have done it: look at the trade, or ask again under the same bust id"},
		{errors.New("secret detail"), 500, "internal", "the server's log says why"},
	} {
		f := newFixture(t, "")
		f.desk.err = c.err
		for operation, body := range bustOperations {
			_, path, _ := strings.Cut(operation, " ")
			w := f.ask("POST", path, body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), `"`+c.code+`"`) ||
				!strings.Contains(w.Body.String(), c.message) {
				t.Errorf("%s where it is %v: %d %s, want %d %s %s",
					path, c.err, w.Code, w.Body, c.status, c.code, c.message)
			}
		}
	}
}

// TestBustLogged: a bust is logged with who, why and from where. A repeated request is not
// logged again.
func TestBustLogged(t *testing.T) {
	f := newFixture(t, "")
	var log bytes.Buffer
	f.server.cfg.Log = zerolog.New(&log)
	for operation, body := range bustOperations {
		_, path, _ := strings.Cut(operation, " ")
		f.ask("POST", path, body)
	}
	f.desk.repeated = true
	f.ask("POST", "/api/v1/busts", bustOperations["POST /api/v1/busts"])
	const fields = `"trade":"100017-42","seq":44,"cascade":["100017-43"],"reason":"mistyped",` +
		`"actor":"operator","bust_id":"b-1","by":"192.0.2.1:1234",`
	for _, message := range []string{"trade taken back by an operator", "trade corrected by an operator"} {
		if n := strings.Count(log.String(), fields+`"message":"`+message+`"`); n != 1 {
			t.Errorf("%q is %d times in the log:\n%s", message, n, &log)
		}
	}
}
