package clientsim

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]Interval{
		"1s-2s":      {time.Second, 2 * time.Second},
		"200ms - 1s": {200 * time.Millisecond, time.Second},
		"5s":         {5 * time.Second, 5 * time.Second},
		"1m-1m":      {time.Minute, time.Minute},
	} {
		got, err := ParseInterval(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if again, err := ParseInterval(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which reads as %v, %v", text, got, again, err)
		}
	}
	for text, says := range map[string]string{
		"":       `"" is not a duration; write 1s-2s`,
		"2":      `"2" is not a duration`,
		"1s-":    `"" is not a duration`,
		"1s-2":   `"2" is not a duration`,
		"2s-1s":  "goes backwards; write 1s-2s",
		"0s-1s":  "from above 0",
		"-1s-2s": `"" is not a duration`,
		"1s-2h":  "to 1h0m0s",
		"+1s-2s": `"+1s" is not a duration`,
		"1s-+2s": `"+2s" is not a duration`,
		"1s--2s": `"-2s" is not a duration`,
		"1_0s":   `"1_0s" is not a duration`,
		"0x1s":   `"0x1s" is not a duration`,
	} {
		if got, err := ParseInterval(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want an error with %q", text, got, err, says)
		}
	}
}

func TestParseMix(t *testing.T) {
	for text, want := range map[string]Mix{
		"buy=40,sell=40,query=20": {40, 40, 20},
		"query=1":                 {Query: 1},
		"sell=3, buy=1":           {1, 3, 0},
		"buy=0100":                {Buy: 100},
	} {
		got, err := ParseMix(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if again, err := ParseMix(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which reads as %v, %v", text, got, again, err)
		}
	}
	for text, says := range map[string]string{
		"":                   "is not buy, sell or query",
		"buy":                `"buy" is not a share`,
		"buy=x":              `"buy=x" is not a share`,
		"buy=-1":             `"buy=-1" is not a share`,
		"hold=3":             `"hold=3" is not buy, sell or query`,
		"buy=1,buy=2":        "names buy twice",
		"buy=0,sell=0":       "all shares are 0",
		"buy=1000001":        "from 0 to 1000000",
		"buy=40;sell=40":     `"buy=40;sell=40" is not a share`,
		"buy=1,sell=1,query": `"query" is not a share`,
		"buy=+4":             `"buy=+4" is not a share`,
		"buy=0x10":           `"buy=0x10" is not a share`,
		"buy=1_0":            `"buy=1_0" is not a share`,
	} {
		if got, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want an error with %q", text, got, err, says)
		}
	}
}

// What is drawn stays within the interval, reaches all of it, and follows the shares.
func TestDraws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	narrow := Interval{3, 5}
	seen := make(map[time.Duration]int)
	for range 3000 {
		seen[narrow.draw(r)]++
	}
	if len(seen) != 3 || seen[3] < 800 || seen[4] < 800 || seen[5] < 800 {
		t.Errorf("of 3 to 5 were drawn %v", seen)
	}
	if d := (Interval{time.Second, time.Second}).draw(r); d != time.Second {
		t.Errorf("of always a second was drawn %v", d)
	}
	did := make(map[Kind]int)
	for range 10_000 {
		did[Mix{Buy: 10, Sell: 60, Query: 30}.draw(r)]++
	}
	if len(did) != 3 || did[KindBuy] < 800 || did[KindBuy] > 1200 || did[KindSell] < 5700 || did[KindSell] > 6300 {
		t.Errorf("of 10, 60 and 30 in a hundred were drawn %v", did)
	}
	if only := (Mix{Query: 1}).draw(r); only != KindQuery {
		t.Errorf("of queries alone was drawn %v", only)
	}
}

func TestProfiles(t *testing.T) {
	for _, p := range Profiles() {
		got, err := ProfileNamed(p.Name)
		if err != nil || got != p {
			t.Errorf("%s: %v, %v", p.Name, got, err)
		}
		if p.Think.Min <= 0 || p.Think.Min > p.Think.Max || p.Mix == (Mix{}) || p.Lots < 1 {
			t.Errorf("%+v", p)
		}
	}
	if _, err := ProfileNamed("gambler"); err == nil || !strings.Contains(err.Error(),
		"it is one of trader, watcher, quick") {
		t.Errorf("error %v", err)
	}
}

func TestPartition(t *testing.T) {
	taken := make(map[uint64]string)
	for _, text := range []string{"1/4", "2/4", "3/4", "4/4"} {
		p, err := ParsePartition(text)
		if err != nil || p.String() != text {
			t.Fatalf("%q: %v, %v", text, p, err)
		}
		for i := range uint64(500) {
			account := p.FirstAccount(100001, 500) + i
			if taken[account] != "" {
				t.Fatalf("account %d is of %s and of %s", account, taken[account], text)
			}
			taken[account] = text
		}
	}
	if taken[100001] != "1/4" || taken[102000] != "4/4" || len(taken) != 2000 {
		t.Errorf("the four have %d accounts, from 100001 (%s) to 102000 (%s)", len(taken), taken[100001], taken[102000])
	}
	if p, err := ParsePartition("010/0100"); err != nil || p != (Partition{10, 100}) {
		t.Errorf("010/0100 is %v, %v", p, err)
	}
	for _, text := range []string{"", "1", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/4", "1/10001", "+1/4", "1/+4",
		"0x1/4", "1/0x4", "1_0/20", "1/1_0"} {
		if p, err := ParsePartition(text); err == nil || !strings.Contains(err.Error(),
			"write 2/4 for the second of four") {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}
