package terminal

import (
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	l := shipped(t)
	c := completer{words: &english, listing: func() *listing { return l }, held: func() []instrument {
		return []instrument{{"SH", "600036"}, {"SH", "600519"}, {"SZ", "000001"}}
	}}
	zh := c
	zh.words = &chinese
	for _, x := range []struct {
		of      *completer
		typed   string
		want    string // the line after it
		choices string // the words offered
	}{
		{&c, "b", "buy ", ""},
		{&c, "h", "h", "holding history help"},
		{&c, "ho", "holding ", ""},
		{&c, "", "", "buy sell holding history quote chart presence help quit"},
		{&c, "x", "x", ""},
		{&zh, "买", "买入 ", ""},
		{&zh, "qu", "qu", "quote quit"},
		{&c, "buy SH.6005", "buy SH.6005", "SH.600519 SH.600585"},
		{&c, "buy SH.60051", "buy SH.600519 ", ""},
		{&c, "buy sh.60051", "buy SH.600519 ", ""},
		{&c, "buy 60051", "buy SH.600519 ", ""},
		{&c, "buy 6005", "buy SH.6005", ""},
		{&c, "buy 000001", "buy 000001", "SH.000001 SZ.000001"},
		{&c, "buy 000001.SZ", "buy SZ.000001 ", ""},
		{&c, "buy 贵", "buy SH.600519 ", ""},
		{&c, "buy 中国神", "buy SH.601088 ", ""},
		{&c, "buy 中国石", "buy 中国石", "SH.600028 SH.601857"},
		{&c, "buy SH 60051", "buy SH 600519 ", ""},
		{&c, "buy SH 00", "buy SH 000001 ", ""},
		{&c, "buy SH.600519 1", "buy SH.600519 1", ""},
		{&c, "buy SH 600519 1", "buy SH 600519 1", ""},
		{&c, "sell S", "sell S", "SH.600036 SH.600519 SZ.000001"},
		{&c, "sell SH", "sell SH.600", ""},
		{&c, "sell SH.600", "sell SH.600", "SH.600036 SH.600519"},
		{&c, "sell 6001", "sell 6001", ""},
		{&c, "quote SH.600519 SZ 00000", "quote SH.600519 SZ 00000", "000001 000002"},
		{&c, "quote SH.600519 60003", "quote SH.600519 SH.60003", ""},
		{&c, "presence ", "presence o", ""},
		{&c, "presence of", "presence off ", ""},
		{&c, "presence on o", "presence on o", ""},
		{&c, "holding ", "holding ", ""},
		{&c, "nonsense S", "nonsense S", ""},
	} {
		got := x.of.complete(x.typed)
		var words []string
		for _, ch := range got.choices {
			words = append(words, ch.word)
		}
		if got.line != x.want || strings.Join(words, " ") != x.choices {
			t.Errorf("%q: %q with %q, want %q with %q", x.typed, got.line, words, x.want, x.choices)
		}
	}
}

// TestChoices: choices are listed in aligned columns, whatever the width of their letters.
func TestChoices(t *testing.T) {
	c := completion{choices: []choice{{"SH.600519", "贵州茅台"}, {"SZ.000002", "万科A"}, {"SZ.000858", "五粮液"},
		{"SZ.000001", "平安银行"}, {"buy", ""}}}
	const want = "" +
		"SH.600519 贵州茅台  SZ.000001 平安银行\n" +
		"SZ.000002 万科A     buy\n" +
		"SZ.000858 五粮液\n"
	if got := c.list(50); got != want {
		t.Errorf("\n%swant\n%s", got, want)
	}
	for _, width := range []int{0, 10} {
		if got := c.list(width); strings.Count(got, "\n") != len(c.choices) {
			t.Errorf("on %d columns:\n%s", width, got)
		}
	}
}
