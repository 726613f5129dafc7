package console

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/papertape/papertape/positions"
)

// TestClient asks for everything and gets what the ledger holds, to the last digit.
func TestClient(t *testing.T) {
	f := newFixture(t, "")
	u := f.server.cfg.Universe
	h, err := f.client.Holdings(t.Context(), 100017)
	if want := newHoldings(u, &f.ledger.holdings); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("holdings %+v, %v, want %+v", h, err, want)
	}
	history, err := f.client.History(t.Context(), 100017, 45, 4)
	if want := newHistory(u, 100017, 1, f.ledger.events); err != nil || !reflect.DeepEqual(history, want) {
		t.Errorf("history %+v, %v, want %+v", history, err, want)
	}
	if f.ledger.before != 45 || f.ledger.limit != 4 {
		t.Errorf("asked for before %d and limit %d, want 45 and 4", f.ledger.before, f.ledger.limit)
	}
	want := Simulator{Rate: 1, Fills: 2, Refused: 3, None: 4, Skipped: 5, Script: &Script{6, 5, true, 1, 2, 3, 4}}
	if st, err := f.client.Simulator(t.Context()); err != nil || !reflect.DeepEqual(st, want) {
		t.Errorf("simulator %+v, %v, want %+v", st, err, want)
	}
	want.Rate, want.Remembered = 2.5, 2.5
	if st, err := f.client.SetRate(t.Context(), 2.5); err != nil || !reflect.DeepEqual(st, want) ||
		f.flow.state.Rate != 2.5 {
		t.Errorf("after SetRate: %+v, %v, want %+v", st, err, want)
	}
}

func TestClientErrors(t *testing.T) {
	f := newFixture(t, "")
	_, err := f.client.Holdings(t.Context(), 7)
	var answered *Error
	if !errors.As(err, &answered) ||
		!reflect.DeepEqual(*answered, Error{Status: 404, Code: "unknown_account", Text: "there is no account 7"}) {
		t.Errorf("unknown account: %+v", err)
	}
	if _, err := f.client.SetRate(t.Context(), 11); err == nil || err.Error() != "the rate must be between 0 and 10" {
		t.Errorf("a rate out of range: %v", err)
	}
	if _, err := f.client.SetRate(t.Context(), math.NaN()); err == nil ||
		!strings.HasPrefix(err.Error(), "a rate of NaN cannot be sent") {
		t.Errorf("a rate that is none: %v", err)
	}
	_, err = NewClient("not an address", "").Simulator(t.Context())
	const wrongAddress = `"not an address" is not the address of a console; write host:port, as in 127.0.0.1:7301`
	if err == nil || err.Error() != wrongAddress {
		t.Errorf("%v, want %s", err, wrongAddress)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	err = NewClient(address, "").Ready(t.Context())
	want := "no answer from the console at " + address + " (is the server running? --admin names another address): "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s...", err, want)
	}
}

// TestClientStrangers calls servers that are not consoles.
func TestClientStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	var followed atomic.Bool
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>"))
		}, "is not that of a console"},
		"404": {http.NotFound, "answered 404 Not Found, and not as a console does"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, answerBytesMax+1))
		}, "is longer than"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Store(true)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "answered 302 Found"},
	} {
		s := httptest.NewServer(c.answer)
		_, err := NewClient(s.Listener.Addr().String(), "secret").Simulator(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		s.Close()
	}
	if followed.Load() {
		t.Error("a redirect was followed, with the token")
	}
}

// TestShutdownCancels shuts down a console while a handler waits for a ledger that never
// answers.
func TestShutdownCancels(t *testing.T) {
	f := newFixture(t, "")
	f.ledger.wait = make(chan struct{})
	got := make(chan error, 1)
	go func() {
		_, err := f.client.Holdings(context.Background(), 100017)
		got <- err
	}()
	<-f.ledger.wait
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var answered *Error
	if err := <-got; !errors.As(err, &answered) || answered.Code != "stopping" {
		t.Errorf("the waiting request got %v, want the answer that the server is stopping", err)
	}
}

func TestTextOfNumbers(t *testing.T) {
	for _, text := range []string{"", "0", "00ff00000000000", "000ff000000000001", "00ff00000000000g",
		"+0ff000000000001"} {
		if err := new(Hash).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as a state hash", text)
		}
	}
	if err := new(Money).UnmarshalText([]byte("1.00001")); err == nil {
		t.Error("an amount with five decimals was read")
	}
}

// strangerWith returns a client of a server with this handler.
func strangerWith(t *testing.T, answer http.HandlerFunc) *Client {
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return NewClient(s.Listener.Addr().String(), "")
}

// TestClientRefused: the client passes on a whole refusal, with the trades in the way.
func TestClientRefused(t *testing.T) {
	f := newFixture(t, "")
	f.desk.outcome = positions.BustOutcome{Reason: positions.BustSharesGone, Seq: 44, Have: 1, Need: 50,
		InTheWay: []uint64{47, 44}, More: true}
	_, bust := f.client.Bust(t.Context(), BustRequest{Trade: "100017-42", Reason: "r"})
	correction := CorrectionRequest{BustRequest{Trade: "100017-42", Reason: "r"}, 9_9800, 100, nil}
	_, correct := f.client.Correct(t.Context(), correction)
	for _, err := range []error{bust, correct} {
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 409 || refused.Code != "shares_gone" ||
			!refused.MoreInTheWay ||
			!slices.Equal(refused.InTheWay, []string{"100017-47", "100017-44"}) ||
			!strings.Contains(refused.Text, "100017-47, 100017-44") {
			t.Errorf("refused: %+v", err)
		}
	}
	f.desk.outcome = positions.BustOutcome{Reason: positions.BustAlready, Seq: 50, ID: "b-0"}
	_, err := f.client.Bust(t.Context(), BustRequest{Trade: "100017-42", Reason: "r"})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != "already_busted" || refused.InTheWay != nil ||
		refused.MoreInTheWay {
		t.Errorf("refused with nothing in the way: %+v", err)
	}
}
