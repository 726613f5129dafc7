package terminal

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want command
	}{
		{"buy SH 600519 100", command{verb: verbBuy, words: []string{"SH", "600519"}, quantity: 100}},
		{"  buy   SH.600519 100 ", command{verb: verbBuy, words: []string{"SH.600519"}, quantity: 100}},
		{"b 600519.SH 100 @ 1480", command{verb: verbBuy, words: []string{"600519.SH"}, quantity: 100,
			limit: 1480_0000}},
		{"BUY 600519.XSHG 100@1480.5", command{verb: verbBuy, words: []string{"600519.XSHG"}, quantity: 100,
			limit: 1480_5000}},
		{"sell SH 600519 1 @1480.0001", command{verb: verbSell, words: []string{"SH", "600519"}, quantity: 1,
			limit: 1480_0001}},
		{"买入 贵州茅台 100", command{verb: verbBuy, words: []string{"贵州茅台"}, quantity: 100}},
		{"卖出　ＳＨ。６００５１９　１００　＠　１４８０．５", command{verb: verbSell, words: []string{"SH.600519"}, quantity: 100,
			limit: 1480_5000}},
		{"holding", command{verb: verbHolding}},
		{"持仓", command{verb: verbHolding}},
		{"history", command{verb: verbHistory, count: 20}},
		{"buy SH.600519 0100", command{verb: verbBuy, words: []string{"SH.600519"}, quantity: 100}},
		{"历史 1000", command{verb: verbHistory, count: 1000}},
		{"quote", command{verb: verbQuote, words: []string{}}},
		{"行情 SH 600519 SZ.000001", command{verb: verbQuote, words: []string{"SH", "600519", "SZ.000001"}}},
		{"chart SH 600519", command{verb: verbChart, words: []string{"SH", "600519"}}},
		{"走势 SZ.000001", command{verb: verbChart, words: []string{"SZ.000001"}}},
		{"presence on", command{verb: verbPresence, on: true}},
		{"在线 关", command{verb: verbPresence}},
		{"?", command{verb: verbHelp}},
		{"退出", command{verb: verbQuit}},
	} {
		got, err := chinese.parse(c.line)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		c.want.line = strings.TrimSpace(narrowForms(c.line))
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.line, *got, c.want)
		}
	}
	for _, nothing := range []string{"", "   ", "# buy SH 600519 100", " #buy"} {
		if got, err := english.parse(nothing); got != nil || err != nil {
			t.Errorf("%q: %+v, %v", nothing, got, err)
		}
	}
}

// TestBadInput: every line that cannot be understood gets a sentence that says what would be right,
// in both languages.
func TestBadInput(t *testing.T) {
	for _, c := range []struct{ line, en, zh string }{
		{"frobnicate", `there is no command "frobnicate"; help lists them`, `没有命令 "frobnicate"；所有命令请看：帮助`},
		{"sel SH.600519 100", `there is no command "sel"; did you mean sell?`, `没有命令 "sel"；是不是 sell？`},
		{"hitsory", `there is no command "hitsory"; did you mean history?`, `没有命令 "hitsory"；是不是 history？`},
		{"买出 SH.600519 100", `there is no command "买出"; did you mean 买入?`, `没有命令 "买出"；是不是 买入？`},
		{"buy", "buy what? Write market, code and quantity, as in: buy SH.600519 100, or with a limit: buy " +
			"SH.600519 100 @ 1480.00", "买入什么？"},
		{"buy @ 12", "buy what?", "买入什么？"},
		{"buy SH.600519", "how many shares of SH.600519? Write the quantity last, as in: buy SH.600519 100",
			"SH.600519 要多少股？"},
		{"sell SH 600519", "how many shares of SH 600519? Write the quantity last, as in: sell SH 600519 100",
			"SH 600519 要多少股？"},
		{"buy SH.600519 many", `"many" is no quantity; it is a whole number of shares from 1 to 1000000000, as ` +
			`in 100`, `"many" 不是数量`},
		{"buy SH.600519 0", `"0" is no quantity`, `"0" 不是数量`},
		{"buy SH.600519 -100", `"-100" is no quantity`, `"-100" 不是数量`},
		{"buy SH.600519 +100", `"+100" is no quantity`, `"+100" 不是数量`},
		{"buy SH.600519 0x64", `"0x64" is no quantity`, `"0x64" 不是数量`},
		{"buy SH.600519 1_000", `"1_000" is no quantity`, `"1_000" 不是数量`},
		{"history +5", `"+5" is no number of events`, `"+5" 不是条数`},
		{"buy SH.600519 1.5", `"1.5" is no quantity`, `"1.5" 不是数量`},
		{"buy SH.600519 99999999999999999999", "is no quantity", "不是数量"},
		{"buy SH.600519 100 @", "there is no price after the @; write one, as in @ 1480.00, or leave the @ out",
			"@ 后面没有价格"},
		{"buy SH.600519 100 @ dear", `"dear" is no price; it is an amount above 0 and at most 1000000000.00, ` +
			`with at most four decimals, as in 1480.00`, `"dear" 不是价格`},
		{"buy SH.600519 100 @ 0", `"0" is no price`, `"0" 不是价格`},
		{"buy SH.600519 100 @ 1000000000.01", `"1000000000.01" is no price; it is an amount above 0 and at ` +
			`most 1000000000.00`, `"1000000000.01" 不是价格`},
		{"buy SH.600519 100 @ 99999999999999999999", `"99999999999999999999" is no price; it is an amount ` +
			`above 0 and at most`, "不是价格"},
		{"buy SH.600519 100 @ -1", `"-1" is no price`, `"-1" 不是价格`},
		{"buy SH.600519 100 @ 1.00001", `"1.00001" is no price`, `"1.00001" 不是价格`},
		{"buy SH.600519 100 @ 1480 now please", `"now please" follows the price; nothing may`, `价格后面多了 "now please"`},
		{"holding all", `holding takes nothing after it, not "all"`, `持仓 后面不需要任何内容，不是 "all"`},
		{"quit now", `quit takes nothing after it, not "now"`, `退出 后面不需要任何内容`},
		{"history 0", `"0" is no number of events; it is 1 to 1000`, `"0" 不是条数；条数是 1 到 1000`},
		{"history 1001", `"1001" is no number of events`, `"1001" 不是条数`},
		{"history ten", `"ten" is no number of events`, `"ten" 不是条数`},
		{"history 1 2", `"1 2" is no number of events`, `"1 2" 不是条数`},
		{"presence", "presence on, or presence off", "请写：在线 on 或 在线 off"},
		{"presence maybe", "presence on, or presence off", "请写：在线 on"},
	} {
		for of, want := range map[*catalogue]string{&english: c.en, &chinese: c.zh} {
			_, err := of.parse(c.line)
			if err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v\nwant %s", c.line, err, want)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"buy", "", 3}, {"sel", "sell", 1}, {"hitsory", "history", 2}, {"买出", "买入", 1},
		{"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
