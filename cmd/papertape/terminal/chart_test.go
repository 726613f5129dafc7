package terminal

import (
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
)

// morning are two hours of trading with a break of half an hour.
func morning() (bars []client.Bar) {
	at := time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	for n := range 120 {
		if n >= 60 && n < 90 {
			continue
		}
		price := client.Money(1480_0000 + (n-40)*(n-100)*100)
		bars = append(bars, client.Bar{Time: at.Add(time.Duration(n) * time.Minute), Open: price, High: price + 2000,
			Low: price - 1000, Close: price + 1000, Volume: int64(100 * (1 + n%50)), Trades: 1})
	}
	return bars
}

// TestChart draws a day in both languages. Each line fits the screen.
func TestChart(t *testing.T) {
	in, _ := shipped(t).find("SH.600519")
	for c, want := range map[*catalogue]string{&english: `
SH.600519 贵州茅台, 2026-11-30: 1495.11 (+1.02%), open 1520.00, high 1520.20, low 1472.11, volume 199500
1520.20 o|
         o|
          o|
           o|
            oo
              oo                                 o
               |o|                             oo|
                 oo|                         oo|
                   oo|                     oo|
                     ooo|               ooo|
                        ooooo          o|
1472.11                     |
 volume ..::---==++**+#@@-.:.          +#@*..::---
        09:30                                11:29`, &chinese: `
SH.600519 贵州茅台，2026-11-30：1495.11（+1.02%），开 1520.00，高 1520.20，低 1472.11，成交量 199500`} {
		p := newPrinter(c, style{})
		p.width = func() int { return 51 }
		got := p.chart(in, morning(), nil)
		if c == &english && "\n"+got != want || !strings.HasPrefix("\n"+got, want) {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
		for _, width := range []int{0, 20, 51, 80, 200} {
			p.width = func() int { return width }
			_, lines, _ := strings.Cut(p.chart(in, morning(), nil), "\n")
			for line := range strings.Lines(lines) {
				if got := columns(strings.TrimSuffix(line, "\n")); got >= max(width, 20) && width > 0 || got > 128 {
					t.Errorf("on %d columns a line takes %d: %s", width, got, line)
				}
			}
		}
	}
	p := newPrinter(&english, style{})
	if got := p.chart(in, nil, nil); got != "SH.600519: nothing was traded yet" {
		t.Errorf("no bars: %q", got)
	}
	flat := p.chart(in, []client.Bar{{Time: time.Unix(0, 0), Open: 5, High: 5, Low: 5, Close: 5}}, nil)
	if n := strings.Count(flat, "o\n"); n != 1 {
		t.Errorf("one trade:\n%s", flat)
	}
}

// TestChartZone: date and times are those of the market, and its zone is named where this machine's shows others.
func TestChartZone(t *testing.T) {
	in, _ := shipped(t).find("SH.600519")
	bars := morning()
	for n := range bars { // from 23:00 to 00:59 in London, an hour later in Berlin
		bars[n].Time = bars[n].Time.Add(13*time.Hour + 30*time.Minute)
	}
	for name, want := range map[string]struct{ title, from, to string }{
		"":               {"2026-11-30:", "23:00", "00:59"},
		"Europe/London":  {"2026-11-30:", "23:00", "00:59"},
		"Europe/Berlin":  {"2026-12-01 Europe/Berlin:", "00:00", "01:59"},
		"Asia/Shanghai":  {"2026-12-01 Asia/Shanghai:", "07:00", "08:59"},
		"Mars/Utopia":    {"2026-11-30:", "23:00", "00:59"},
		"Local":          {"2026-11-30:", "23:00", "00:59"},
		"../etc/passwd":  {"2026-11-30:", "23:00", "00:59"},
		"America/Denver": {"2026-11-30 America/Denver:", "16:00", "17:59"},
	} {
		got := newPrinter(&english, style{}).chart(in, bars, knownZone(name))
		title, _, _ := strings.Cut(got, "\n")
		axis := strings.Fields(got[strings.LastIndex(got, "\n"):])
		if !strings.HasPrefix(title, "SH.600519 贵州茅台, "+want.title) || axis[0] != want.from || axis[1] != want.to {
			t.Errorf("in %q: %s with the axis %v, want %+v", name, title, axis, want)
		}
	}
}

func TestChartUsage(t *testing.T) {
	for _, line := range []string{"chart", "chart SH.600519 SZ.000001", "走势"} {
		if _, err := english.parse(line); err == nil || !strings.HasPrefix(err.Error(), "chart of what?") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// wireBars answers a request for bars.
func wireBars(request codec.Frame, more bool, times ...int64) []byte {
	reply := &papertapev1.Bars{More: more}
	for _, at := range times {
		reply.Bars = append(reply.Bars, &papertapev1.Bar{Time: at, Open: 1480_0000, High: 1481_0000, Low: 1479_0000,
			Close: 1480_5000, Volume: 100, Amount: 148_000_0000, Trades: 1})
	}
	return codec.Append(nil, codec.TypeBarsReply, codec.FlagReply, request.ID, reply)
}

// TestChartAsked: a chart asks for the newest day, then for its minutes until there are no more, and for the market's
// zone, which an old server does not know.
func TestChartAsked(t *testing.T) {
	for _, zone := range []string{"America/New_York", ""} {
		askChart(t, zone)
	}
}

func askChart(t *testing.T, zone string) {
	t.Helper()
	f := newFake(t, holdingsOf(1, 100))
	f.zone = zone
	r := startRun(t, f.addr, func(cfg *Config) { cfg.JSON = true })
	go func() {
		r.say("chart SH 600519")
		_ = r.in.Close()
	}()
	const day, minute = int64(86_400_000_000_000), int64(60_000_000_000)
	for _, step := range []struct {
		from    int64
		seconds uint32
		limit   uint32
		more    bool
		times   []int64
	}{
		{0, client.Day, 1, false, []int64{day}},
		{day, client.Minute, chartPage, true, []int64{day, day + minute}},
		{day + minute + 1, client.Minute, chartPage, false, []int64{day + 2*minute}},
	} {
		asked := new(papertapev1.BarsRequest)
		id := f.request(codec.TypeBars, asked)
		if asked.GetFrom() != step.from || asked.GetSeconds() != step.seconds || asked.GetLimit() != step.limit ||
			asked.GetMarket() != "SH" || asked.GetCode() != "600519" {
			t.Errorf("asked is %v, want %+v", asked, step)
		}
		f.frames <- wireBars(codec.Frame{ID: id}, step.more, step.times...)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := r.out.String(); strings.Count(got, `"open":"1480.00"`) != 3 || !strings.Contains(got, `"type":"chart"`) ||
		strings.Contains(got, `"zone":"America/New_York"`) != (zone != "") {
		t.Errorf("the output is %s", got)
	}
}
