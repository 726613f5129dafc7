package console

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/papertape/papertape/engine"
)

// TestFindAccounts: what a query asks for is what the ledger is asked for, and all by number costs no search.
func TestFindAccounts(t *testing.T) {
	for query, want := range map[string]engine.AccountSearch{
		"sort=-value":                                 {By: engine.ByValue, Descending: true, Limit: 100},
		"sort=value&limit=7":                          {By: engine.ByValue, Limit: 7},
		"sort=-account&limit=5000":                    {Descending: true, Limit: 1000},
		"q=1000&min_rows=2&offset=30":                 {Prefix: 1000, MinRows: 2, Offset: 30, Limit: 100},
		"sort=equity&q=1":                             {By: engine.ByEquity, Prefix: 1, Limit: 100},
		"sort=sessions&min_rows=18446744073709551615": {By: engine.BySessions, MinRows: 1<<31 - 1, Limit: 100},
		"": {}, "after=5": {}, "limit=3&after=0": {}, "sort=account": {},
	} {
		f := newFixture(t, "")
		w := f.ask("GET", "/api/v1/accounts?"+query, "")
		var got Accounts
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || f.ledger.search != want {
			t.Errorf("%s: %d %+v, %v; want %+v", query, w.Code, f.ledger.search, err, want)
		}
		if total := 2 - min(1, f.ledger.searches); got.Total != total || len(got.Accounts) != total {
			t.Errorf("%s: %d accounts of %d", query, len(got.Accounts), got.Total)
		}
	}
}

// TestSurveysAreShared: what many ask at once, and again within a moment, is asked once; one question at a time.
func TestSurveysAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSurveys()
		asked, atOnce := 0, 0
		ask := func(question string) string {
			got, err := survey(t.Context(), s, question, func() (string, error) {
				asked, atOnce = asked+1, atOnce+1
				if atOnce > 1 {
					t.Error("two at once")
				}
				time.Sleep(100 * time.Millisecond)
				atOnce--
				return question, nil
			})
			if err != nil {
				t.Error(err)
			}
			return got
		}
		var all sync.WaitGroup
		for _, question := range []string{"a", "b", "a", "a", "b"} {
			all.Go(func() {
				if got := ask(question); got != question {
					t.Errorf("%s is answered %s", question, got)
				}
			})
		}
		if all.Wait(); asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
		time.Sleep(surveyKept)
		if ask("a"); asked != 3 {
			t.Errorf("an old answer was given")
		}
	})
}

// TestSurveysForgetFailures: an error is not kept, the answers kept have a bound, and who waits can give up.
func TestSurveysForgetFailures(t *testing.T) {
	s := newSurveys()
	broken := errors.New("broken")
	for _, want := range []error{broken, nil} {
		if _, err := survey(t.Context(), s, "a", func() (int, error) { return 1, want }); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	for i := range 10 * surveysKeptIn {
		if got, err := survey(t.Context(), s, i, func() (int, error) { return i, nil }); got != i || err != nil {
			t.Fatal(got, err)
		}
		if len(s.kept) > surveysKeptIn {
			t.Fatalf("%d answers are kept", len(s.kept))
		}
	}
	s.turn <- struct{}{}
	f := newFixture(t, "")
	f.server.surveys = s
	if w := f.askCancelled("GET", "/api/v1/accounts?sort=cash", ""); w.Code != 503 || f.ledger.searches != 0 {
		t.Errorf("given up: %d %s", w.Code, w.Body)
	}
}
