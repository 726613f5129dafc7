package terminal

import (
	"strings"
	"testing"

	"github.com/papertape/papertape/client"
)

func someRows() ([]client.Position, client.Money) {
	rows := rowsShown(
		row("SH", "600519", "贵州茅台", 100, 1480_0000, 140000_0000),
		row("SH", "609999", "ST虚构", 12345, 3_1200, 40000_0000),
		row("SZ", "000002", "万科A", 1, 7_1000, 7_1000), row("US", "BRK.B", "Berkshire Hathaway Inc.", 5, 400_0000,
			1999_0000),
	)
	rows[0].Realised, rows[1].Realised = 12_5000, -7_0000
	total := client.Money(0)
	for _, r := range rows {
		total += r.MarketValue
	}
	return rows, total
}

// TestHoldings checks the list in Chinese, cell by cell.
func TestHoldings(t *testing.T) {
	rows, total := someRows()
	const want = `
┌──────┬────────┬─────────────────────────┬───────┬───────┬─────────┬───────────┬───────────┬──────────┬────────────┐
│ 市场 │ 代码   │ 名称                    │  数量 │  可卖 │    现价 │      市值 │      成本 │ 浮动盈亏 │ 已实现盈亏 │
├──────┼────────┼─────────────────────────┼───────┼───────┼─────────┼───────────┼───────────┼──────────┼────────────┤
│ SH   │ 600519 │ 贵州茅台                │   100 │   100 │ 1480.00 │ 148000.00 │ 140000.00 │ +8000.00 │     +12.50 │
│ SH   │ 609999 │ ST虚构                  │ 12345 │ 12345 │    3.12 │  38516.40 │  40000.00 │ -1483.60 │      -7.00 │
│ SZ   │ 000002 │ 万科A                   │     1 │     1 │    7.10 │      7.10 │      7.10 │     0.00 │       0.00 │
│ US   │ BRK.B  │ Berkshire Hathaway Inc. │     5 │     5 │  400.00 │   2000.00 │   1999.00 │    +1.00 │       0.00 │
├──────┼────────┼─────────────────────────┼───────┼───────┼─────────┼───────────┼───────────┼──────────┼────────────┤
│      │        │ 合计                    │       │       │         │ 188523.50 │ 182006.10 │ +6517.40 │      +5.50 │
└──────┴────────┴─────────────────────────┴───────┴───────┴─────────┴───────────┴───────────┴──────────┴────────────┘
总市值 188523.50，现金 12.34`
	got := newPrinter(&chinese, style{}).holdings(rows, total, client.Cash{Balance: 12_3400})
	if "\n"+got != want {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
	empty := newPrinter(&english, style{}).holdings(nil, 0, client.Cash{Balance: 12_3400})
	if empty != "no positions\ntotal market value 0.00, cash 12.34" {
		t.Errorf("an empty list: %q", empty)
	}
}

// TestTableWidths: every line of a table takes the same number of columns, in both languages, with
// or without colours. The table fits the screen where possible, and the most important columns
// stay.
func TestTableWidths(t *testing.T) {
	rows, total := someRows()
	events, _ := tape()
	var quotes []client.Instrument
	for _, r := range rows {
		quotes = append(quotes, client.Instrument{Market: r.Market, Code: r.Code, Name: r.Name, Price: r.Price,
			PreviousClose: r.Price - 1000})
	}
	for _, c := range []*catalogue{&english, &chinese} {
		for _, s := range []style{{}, {attributes: true, colours: true, scheme: SchemeCN}} {
			for _, width := range []int{0, 200, 120, 100, 80, 60} {
				p := newPrinter(c, s)
				p.width = func() int { return width }
				for name, drawn := range map[string]string{
					"holdings": p.holdings(rows, total, client.Cash{}), "quotes": p.quotes(quotes),
					"history": p.history(events, 1, func(*client.Trade) bool { return false }),
				} {
					checkWidths(t, name, drawn, width)
				}
			}
		}
	}
}

func checkWidths(t *testing.T, name, drawn string, width int) {
	t.Helper()
	table, lines := 0, 0
	for line := range strings.Lines(drawn) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.ContainsAny(line, "│┌├└") {
			continue
		}
		lines++
		if table == 0 {
			table = columns(line)
		}
		if columns(line) != table {
			t.Errorf("%s on %d columns: a line takes %d, the first %d:\n%s", name, width, columns(line), table, drawn)
			return
		}
	}
	if lines < 6 {
		t.Errorf("%s has %d lines:\n%s", name, lines, drawn)
	}
	if width >= 100 && table >= width {
		t.Errorf("%s takes %d columns of %d:\n%s", name, table, width, drawn)
	}
	if name == "holdings" && (!strings.Contains(drawn, "600519") || !strings.Contains(drawn, "148000.00") ||
		!strings.Contains(drawn, "12345")) {
		t.Errorf("on %d columns what is held is missing:\n%s", width, drawn)
	}
}

// TestHistory: the history marks trades that were taken back, and says where it begins.
func TestHistory(t *testing.T) {
	events, _ := tape()
	got := newPrinter(&english, style{}).history(events, 1, func(t *client.Trade) bool { return t.ID == "100017-2" })
	for _, line := range []string{
		"the last 9 of 9 events, newest last\n",
		"│   2 │ 2026-11-23T12:00:00Z │ +          │ buy SH.600519 贵州茅台, corrected  ",
		"│   5 │ 2026-11-23T12:00:00Z │ -          │ sell SH.600519 贵州茅台, taken back ",
		"│   7 │ 2026-11-23T12:00:00Z │ x          │ TAKEN BACK 100017-2: wrong price ",
		"│   8 │ 2026-11-23T12:00:00Z │ x          │ CORRECTED 100017-2: price ",
		"│   9 │ 2026-11-23T12:00:00Z │ !          │ reset: a new term ",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("there is no %q in\n%s", line, got)
		}
	}
	if got := newPrinter(&english, style{}).history(events, 2,
		func(*client.Trade) bool { return false }); !strings.HasSuffix(got,
		"\nthe server keeps events from sequence 2 on") {
		t.Errorf("history that is not whole:\n%s", got)
	}
	if got := newPrinter(&chinese, style{}).history(nil, 0, nil); got != chinese.say(keyHistoryEmpty) {
		t.Errorf("no history: %q", got)
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		want        string
	}{{5, 100, "+5.00%"}, {-1, 3, "-33.33%"}, {0, 7, "+0.00%"}, {1, 0, ""}} {
		if got := percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}
