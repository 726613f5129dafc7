package tape

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/papertape/papertape/market"
)

// TestLines reads lines from a pipe: each one as soon as it was written, with what it says and
// nothing else.
func TestLines(t *testing.T) {
	defer goleak.VerifyNone(t)
	in, out := io.Pipe()
	write := func(text string) {
		if _, err := io.WriteString(out, text); err != nil {
			t.Error(err)
		}
	}
	go write("time,market,code,bid,ask,bid_size,ask_size,last,size,volume\n")
	r, err := NewLineReader(in, Options{Universe: market.Default()})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, mustZone("SH")).UnixNano()
	const bank = 30
	for _, c := range []struct {
		text string
		want market.Update
	}{
		{",SZ,000001,9.99,10.01,,,,,\n", market.Update{ID: bank, Bid: 9_9900, Ask: 10_0100,
			Says: market.SaysBid | market.SaysAsk}},
		{"2026-03-02 09:30:00,SZ,000001,,,,,10,100,\n", market.Update{ID: bank, Time: at, Last: 10_0000, Size: 100,
			Says: market.SaysLast | market.SaysSize}},
		{"\n2026-03-02 09:29:59,SZ,000001,,,,,10,,5000\n", market.Update{ID: bank, Time: at - second,
			Last: 10_0000, Volume: 5000,
			Says: market.SaysLast | market.SaysVolume}},
		{"x,SZ,000001,1,,,,,,\n,SZ,000001,9,0,7,,,,\n", market.Update{ID: bank, Bid: 9_0000, BidSize: 7,
			Says: market.SaysBidSize | market.SaysBid | market.SaysAsk}},
	} {
		go write(c.text)
		got, err := r.Next()
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v\nwant %+v", c.text, got, err, c.want)
		}
		if r.Ready() {
			t.Errorf("%q: there is more", c.text)
		}
	}
	if got := r.Report().String(); got != "quotes: 4 lines taken, 1 skipped, 1 refused (1 bad time)" || r.Line() != 7 {
		t.Error(got, r.Line())
	}
	go func() { _ = out.Close() }()
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestLineHeaders checks what a header of live lines means, and which are refused.
func TestLineHeaders(t *testing.T) {
	r, err := NewLineReader(strings.NewReader("code,last,volume\nAAPL,10,500\nSPY,20,7"),
		Options{Universe: american(t)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Next()
	if want := (market.Update{Last: 10_0000, Volume: 500,
		Says: market.SaysLast | market.SaysVolume}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if r.Ready() {
		t.Error("a line without its end is ready")
	}
	for text, want := range map[string]string{
		"": "it is empty; the first line must be a header",
		"time,code\n": `there are neither prices of trades, nor bid and ask, nor open, high, low and close; say ` +
			`which columns they are, as in last=px; the header has "time", "code"`,
	} {
		if _, err := NewLineReader(strings.NewReader(text), Options{Universe: american(t)}); err == nil ||
			err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("time,market,code,bid,ask,bid_size,ask_size,last,size,volume\n,US,AAPL,1,2,3,4,5,6,7\n"))
	f.Add([]byte("symbol\tpx\n"))
	u := american(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := NewLineReader(strings.NewReader(string(text)), Options{Universe: u})
		if err != nil {
			return
		}
		for {
			got, err := r.Next()
			if err != nil {
				return
			}
			if got.Says == 0 || int(got.ID) >= u.Len() || got.Time < 0 {
				t.Fatalf("%+v", got)
			}
		}
	})
}
