package listings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/papertape/papertape/market"
)

const mine = `# mine
Market,Code,Name,Currency,Tick,Lot,Previous close,Board,Day-limit,Status,MIC
SH,600519,"贵州, 茅台",CNY,0.01,100,1480.00,main,,,
sz,000001,,,0:0.001;5:0.01,100,10.00,,5.5%,halted,XSHE
`

const mineYAML = `
instruments:
  - {market: SH, code: 600519, name: "贵州, 茅台", currency: CNY, tick: 0.01, lot: 100, previous_close: 1480.00, board: main}
  - market: XSHE
    code: 000001
    tick: "0:0.001;5:0.01"
    lot: 100
    previous close: 10.00
    day_limit: 5.5%
    status: halted
    mic:
`

// TestRead: both forms mean the same, in any order of columns and spelling of their names.
func TestRead(t *testing.T) {
	for name, text := range map[string]string{
		"CSV": mine, "CRLF and a byte order mark": "\ufeff" + strings.ReplaceAll(mine, "\n", "\r\n"), "YAML": mineYAML,
	} {
		u, err := Read([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		first, second := *u.At(0), *u.At(1)
		if want := (market.Instrument{
			Market: "SH", Code: "600519", Name: "贵州, 茅台", PreviousClose: 1480_0000, Lot: 100, Tick: 100, LimitBps: 1000,
			Board: market.MainBoard,
		}); first != want {
			t.Errorf("%s: %+v, want %+v", name, first, want)
		}
		if second.Ticks == nil || second.Ticks.String() != "0.00:0.001;5.00:0.01" {
			t.Errorf("%s: the ticks are %v", name, second.Ticks)
		}
		second.Ticks = nil
		if second.MIC != "" && second.MIC != "XSHE" {
			t.Errorf("%s: MIC %s", name, second.MIC)
		}
		second.MIC = ""
		if want := (market.Instrument{
			Market: "SZ", Code: "000001", Name: "000001", PreviousClose: 10_0000, Lot: 100, Tick: 100, LimitBps: 550,
			Halted: true,
		}); second != want {
			t.Errorf("%s: %+v, want %+v", name, second, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const head = "market,code,previous_close,tick,lot,status,day_limit,board,currency\n"
	for text, want := range map[string]string{
		"":                                    "it is empty",
		head:                                  "there is no instrument in it",
		"market,code,colour\nSH,1,2\n":        `line 1: there is no column "colour"; the columns are market`,
		"market,code,code\nSH,1,2\n":          "line 1: the column code is there twice",
		head + "SH,1,10.00\n":                 "line 2: it has 3 fields, and the header 9",
		head + "SH,1,,,,,,,\n":                "line 2: SH.1: previous_close is not there",
		head + "SH,1,ten,,,,,,\n":             `line 2: SH.1: previous_close: "ten" is not an amount`,
		head + "XX,1,10.00,,,,,,\n":           `line 2: "XX" is not a market; write SH`,
		head + ",1,10.00,,,,,,\n":             "line 2: the market is not there",
		head + "SH,,10.00,,,,,,\n":            "line 2: the code is not there",
		head + "SH,1 2,10.00,,,,,,\n":         "line 2: SH.1 2: the code must be 1 to 16 upper-case letters",
		head + "SH,1,10.001,0.01,,,,,\n":      "on the tick of 0.01",
		head + "SH,1,10.00,5:0.01,,,,,\n":     "line 2: SH.1: the table of ticks begins at 5.00; it must begin at 0",
		head + "SH,1,10.00,,0,,,,\n":          `the lot "0" is no number of shares`,
		head + "SH,1,10.00,,,gone,,,\n":       `"gone" is not a status; write trading or halted`,
		head + "SH,1,10.00,,,,10,,\n":         `the day_limit "10" is no limit; write a percentage as 10%`,
		head + "SH,1,10.00,,,,,big,\n":        `"big" is not a board; write main`,
		head + "SH,1,10.00,,,,,,USD\n":        `SH is traded in CNY, and not in "USD"; leave the currency out`,
		head + "SH,1,1,,,,,,\nSH,1,1,,,,,,\n": "line 3: SH.1: it is on line 2 already",
		head + "SH,1,1,,,,,,\nUS,A,1,,,,,,\n": "line 3: US.A is traded in USD, and SH.1 on line 2 in CNY",
		head + "SH,\"1,1\n":                   "line 2: a quote stands where none can be",
		"- market: SH\n  colour: red\n":       `line 2: there is no key "colour"`,
		"- market: SH\n  code: [1]\n":         "line 2: the value of code is no word or number",
		"- 5\n":                               "line 1: it is no instrument",
		"- {market: SH":                       "this is not YAML that can be read",
		"market: SH\n":                        "this is not YAML that can be read",
		"\xff\xfe":                            "UTF-16",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestAllProblems: all that is wrong is counted, and the first ten are named.
func TestAllProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString("market,code,previous_close\n")
	for n := range 13 {
		fmt.Fprintf(&b, "SH,%d,0\n", n)
	}
	_, err := Read([]byte(b.String()))
	if err == nil || !strings.HasPrefix(err.Error(), "13 things are wrong:\n  line 2: SH.0: ") ||
		!strings.HasSuffix(err.Error(), "\n  and 3 more") || strings.Count(err.Error(), "\n") != 11 {
		t.Error(err)
	}
}

// TestLargest: a universe can have 20,000 instruments, and no more.
func TestLargest(t *testing.T) {
	var b strings.Builder
	b.WriteString("market,code,previous_close\n")
	for n := range market.MaxInstruments {
		fmt.Fprintf(&b, "US,%d,1.00\n", n)
	}
	if u, err := Read([]byte(b.String())); err != nil || u.Listed() != market.MaxInstruments {
		t.Fatal(err)
	}
	b.WriteString("US,X,1.00\n")
	if _, err := Read([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "at most 20000") {
		t.Error(err)
	}
}

// FuzzRead: no text stops the reader, and what is read is of one currency.
func FuzzRead(f *testing.F) {
	for _, text := range []string{mine, mineYAML, "", "- {}\n", "- market: SH\n", "a,b\n1,2\n", "- &a {market: *a}\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := Read(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an empty sentence")
			}
			return
		}
		for _, id := range u.ListedIDs() {
			if in := u.At(id); in.Currency() != u.Currency() || in.PreviousClose%in.TickAt(in.PreviousClose) != 0 {
				t.Errorf("%+v", in)
			}
		}
	})
}
