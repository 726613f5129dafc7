package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// TestBookings: the whole request reaches the ledger, and its event comes back as in the history.
func TestBookings(t *testing.T) {
	f := newFixture(t, "")
	u := f.server.cfg.Universe
	cash := func(m Money) *Money { return &m }
	want := Booked{Account: 100017, Event: newEvent(u, &f.booked.event)}
	for _, c := range []struct {
		name  string
		ask   func() (Booked, error)
		asked positions.BookingRequest
	}{
		{"deposit", func() (Booked, error) {
			return f.client.Deposit(t.Context(), 100017, CashRequest{7_0000, "价格", "d-1", "ann"})
		}, positions.BookingRequest{Kind: positions.Deposit, Amount: 7_0000, Reason: "价格", ID: "d-1"}},
		{"withdrawal", func() (Booked, error) {
			return f.client.Withdraw(t.Context(), 100017, CashRequest{Amount: 1, Reason: "r"})
		}, positions.BookingRequest{Kind: positions.Withdrawal, Amount: 1, Reason: "r"}},
		{"reset", func() (Booked, error) {
			return f.client.Reset(t.Context(), 100017, ResetRequest{cash(0), "r", "r-1", ""})
		}, positions.BookingRequest{Kind: positions.ResetTo, Reason: "r", ID: "r-1"}},
		{"reset to the opening cash", func() (Booked, error) {
			return f.client.Reset(t.Context(), 100017, ResetRequest{Reason: "r"})
		}, positions.BookingRequest{Kind: positions.ResetTo, Amount: 777_0000, Reason: "r"}},
	} {
		c.asked.Account, c.asked.Actor = 100017, "operator"
		if got, err := c.ask(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, want)
		}
		if *f.booked.asked != c.asked {
			t.Errorf("%s: the ledger was asked %+v, want %+v", c.name, *f.booked.asked, c.asked)
		}
		f.booked.repeated, want.Repeated = !f.booked.repeated, !want.Repeated
	}
	for asked, number := range map[uint64]uint64{0: 200001, 300000: 300000} {
		got, err := f.client.OpenAccount(t.Context(), OpenRequest{asked, cash(5_0000), "a pupil", "ann"})
		opening := positions.Adjustment{Cash: 5_0000, Reason: "a pupil", Actor: "operator"}
		if err != nil || got.Account != number || got.Seq != 1 || got.Adjustment.Cash != 5_0000 ||
			f.booked.opened != opening || f.booked.number != asked {
			t.Errorf("open %d: %+v, %v; the ledger was asked %d %+v", asked, got, err, f.booked.number, f.booked.opened)
		}
	}
}

// TestBookingMalformed: malformed requests never reach the ledger.
func TestBookingMalformed(t *testing.T) {
	const open, deposit, reset = "", "/100017/deposit", "/100017/reset"
	for _, c := range []struct{ target, body, message string }{
		{open, `{}`, `the cash is missing: write {"cash": "1000000.00", "reason": "why"}`},
		{open, `{"cash":"-1.00","reason":"r"}`, "the cash of an account cannot be -1.00; it must be 0 or more"},
		{open, `{"cash":"1.00"}`, "the reason must be one line of 1 to 200 bytes; it has 0"},
		{open, `{"cash":"1.00","reason":"r","actor":"a\tb"}`, "the actor must be one line"},
		{open, `{"cash":"1.00","reason":"r","account":-1}`, "account must be a whole number"},
		{open, `{"cash":"1.00","reason":"r","account":9007199254740992}`,
			"the number of an account is at most 9007199254740991"},
		{open, `{"cash":1,"reason":"r"}`, "cash must be a string, and is a number"},
		{open, `{"cash":null,"reason":"r"}`, "cash: null is no value; write one, or leave the member out"},
		{deposit, ``, "it is empty; write an object with amount, reason, request_id and actor"},
		{deposit, `{"amount":"1.00","reason":"r","request_id":" x"}`,
			`the request id " x" begins or ends with a blank, which nobody sees; write it without`},
		{deposit, `{"amount":"1.00","reason":"r","actor":"a\tb"}`, "the actor must be one line"},
		{deposit, `{"cash":"1.00","reason":"r"}`, `there is no "cash" here`},
		{"/ann/deposit", `{"amount":"1.00","reason":"r"}`, `"ann" is not an account; write its number, as in 100001`},
		{"/ann/reset", `{"reason":"r"}`, `"ann" is not an account; write its number, as in 100001`},
		{reset, `{"amount":"1.00","reason":"r"}`,
			`there is no "amount" here; it takes cash, reason, request_id and actor`},
		{reset, `{"reason":"r","request_id":"x "}`, "begins or ends with a blank"},
	} {
		f := newFixture(t, "")
		f.booked.event.Reset, f.booked.asked = nil, nil
		w := f.ask("POST", accountsPath+c.target, c.body)
		var got failure
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v in %s", c.body, err, w.Body)
		}
		if w.Code != 400 || got.Error.Code != "bad_request" || !strings.Contains(got.Error.Message, c.message) {
			t.Errorf("%s: %d %+v, want 400 %s", c.body, w.Code, got.Error, c.message)
		}
		if f.booked.asked != nil || f.booked.opened != (positions.Adjustment{}) {
			t.Errorf("%s reached the ledger", c.body)
		}
	}
}

// TestBookingErrors: what the ledger did not do, and what it may have done.
func TestBookingErrors(t *testing.T) {
	for _, c := range []struct {
		err           error
		status        int
		code, message string
	}{
		{fmt.Errorf("64 are under way: %w", engine.ErrBusy), 503, "busy", "64 are under way: try again"},
		{engine.ErrReadOnly, 503, "read_only", "its disk is nearly full"},
		{fmt.Errorf("%w: recovering", ErrNotReady), 503, "not_ready", "recovering"},
		{context.DeadlineExceeded, 504, "timeout", "may have done it: look at the"},
	} {
		f := newFixture(t, "")
		f.booked.err = c.err
		for operation, body := range bookingOperations {
			path := strings.Replace(strings.TrimPrefix(operation, "POST "), "{account}", "100017", 1)
			w := f.ask("POST", path, body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), `"`+c.code+`"`) ||
				!strings.Contains(w.Body.String(), c.message) {
				t.Errorf("%s where it is %v: %d %s, want %d %s %s", path, c.err, w.Code, w.Body, c.status, c.code,
					c.message)
			}
		}
	}
	f := newFixture(t, "")
	f.booked.err = engine.ErrAccountOpen
	if w := f.ask("POST", accountsPath, `{"account":7,"cash":"1.00","reason":"r"}`); w.Code != 409 ||
		!strings.Contains(w.Body.String(), "open account 7: it exists already; name a number that is free, or none") {
		t.Errorf("an account that exists: %d %s", w.Code, w.Body)
	}
	for reason := engine.BookingMalformed; reason <= engine.BookingOpeningNotKept; reason++ {
		if bookingRefusals[reason].code == "" {
			t.Errorf("reason %d has no code", reason)
		}
	}
	if len(bookingRefusals) != int(engine.BookingOpeningNotKept)+1 {
		t.Errorf("%d reasons have a code", len(bookingRefusals))
	}
}

// TestBookingLogged: a change is logged with who, why and from where. A repeated request is not logged
// again.
func TestBookingLogged(t *testing.T) {
	f := newFixture(t, "")
	var log bytes.Buffer
	f.server.cfg.Log = zerolog.New(&log)
	for _, f.booked.repeated = range []bool{false, true} {
		for operation, body := range bookingOperations {
			if !strings.HasSuffix(operation, "accounts") {
				f.ask("POST", strings.Replace(strings.TrimPrefix(operation, "POST "), "{account}", "100017", 1), body)
			}
		}
	}
	f.ask("POST", accountsPath, `{"account":7,"cash":"1000.00","reason":"anew"}`)
	for _, want := range []string{
		`"what":"deposit 1.00, account 100017","account":100017,"seq":2,"cash_after":"5.0001","reason":"anew",` +
			`"actor":"operator","request_id":"d-1","by":"192.0.2.1:1234","message":"cash booked by an operator"`,
		`"what":"withdraw 1.00, account 100017"`, `"message":"account reset by an operator"`,
		`"account":200001,"cash":"1000.00","reason":"anew","actor":"operator","by":"192.0.2.1:1234",` +
			`"message":"account opened by an operator"`,
	} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%s is %d times in the log:\n%s", want, n, &log)
		}
	}
}
