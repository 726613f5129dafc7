package positions

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/papertape/papertape/market"
)

// validRequest returns a valid request of an operator.
func validRequest(seq uint64) *BustRequest {
	return &BustRequest{Account: alice, TradeSeq: seq, Reason: "wrong price", Actor: "ops"}
}

// bust decides a request with the whole history read, and applies the result.
func (d *desk) bust(r *BustRequest) (BustOutcome, Event) {
	d.Helper()
	d.now++
	var ev Event
	o := d.book.DecideBust(d.fold(r), d.prices, d.now, &ev)
	if o.Reason == NoBustRefusal && o.Repeats == 0 {
		d.apply(ev)
	}
	return o, ev
}

func (d *desk) fold(r *BustRequest) *Fold {
	d.Helper()
	f := NewFold(d.u, r)
	for i := range d.events {
		if d.events[i].Account != r.Account {
			continue
		}
		if err := f.Add(&d.events[i]); err != nil {
			d.Fatal(err)
		}
	}
	return f
}

func TestBustScripts(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/busts.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) < 10 {
		t.Fatalf("%d scripts", len(archive.Files))
	}
	for _, file := range archive.Files {
		t.Run(file.Name, func(t *testing.T) { runBustScript(t, string(file.Data)) })
	}
}

func runBustScript(t *testing.T, script string) {
	d := newDesk(t)
	lines := strings.Split(script, "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || line[0] == '#' {
			continue
		}
		got := d.runLine(line)
		var want []string
		for n+1 < len(lines) && strings.HasPrefix(lines[n+1], "\t") {
			n++
			want = append(want, lines[n][1:])
		}
		switch {
		case len(want) > 0:
			equal(t, line, strings.Join(got, "\n"), strings.Join(want, "\n"))
		case !strings.HasPrefix(got[0], "event "):
			t.Errorf("%s: %s", line, got[0])
		}
		d.verify(alice)
	}
}

// verify folds the account's history and compares the result with the book.
func (d *desk) verify(account uint64) {
	d.Helper()
	v, _ := d.book.View(account)
	if err := d.fold(&BustRequest{Account: account}).Verify(v); err != nil {
		d.Error(err)
	}
}

// runLine runs a line of a script and returns its output.
func (d *desk) runLine(line string) []string {
	d.Helper()
	words := strings.Fields(line)
	switch verb := words[0]; verb {
	case "cash":
		return d.show(d.fund(alice, d.money(words[1])))
	case "buy", "sell":
		return d.show(d.scriptedTrade(words))
	case "bust", "correct":
		r := d.scriptedRequest(line, words)
		o, ev := d.bust(r)
		switch {
		case o.Repeats != 0:
			return []string{fmt.Sprintf("repeats event %d", o.Repeats)}
		case o.Reason != NoBustRefusal:
			return []string{"refused: " + o.Sentence(r, d.u)}
		}
		return d.show(ev)
	case "show":
		h := d.holdings(alice)
		return d.show(Event{Seq: h.Seq, Cash: h.Cash, TotalMarketValue: h.TotalMarketValue,
			Bust: &Bust{Positions: h.Positions}})
	}
	d.Fatalf("%q is not a line of a script", line)
	return nil
}

func (d *desk) money(text string) int64 {
	d.Helper()
	v, err := market.ParseMoney(text)
	if err != nil {
		d.Fatal(err)
	}
	return v
}

func (d *desk) number(text string) int64 {
	d.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		d.Fatal(err)
	}
	return n
}

// scriptedTrade executes "buy 100 SZ.000001 @ 10 fees 5".
func (d *desk) scriptedTrade(words []string) Event {
	d.Helper()
	o := Order{Account: alice, Side: Buy, Quantity: d.number(words[1]), Instrument: instrument(d, d.u, words[2]),
		Origin: OriginClient}
	if words[0] == "sell" {
		o.Side = Sell
	}
	var fees int64
	if len(words) > 5 {
		fees = d.money(words[6])
	}
	d.price(words[2], d.money(words[4]))
	d.now++
	var ev Event
	if r := d.book.decide(&o, d.prices, d.now, fees, &ev); r.Reason != NoRefusal {
		d.Fatal(r.Sentence(&o, d.u))
	}
	d.apply(ev)
	return ev
}

// scriptedRequest parses "correct 3 100 @ 9.98 cascade id c1 revision 1 because so".
func (d *desk) scriptedRequest(line string, words []string) *BustRequest {
	d.Helper()
	r := validRequest(uint64(d.number(words[1])))
	rest := words[2:]
	if words[0] == "correct" {
		r.Correct, r.Quantity, r.Price = true, d.number(words[2]), d.money(words[4])
		rest = words[5:]
	}
	for len(rest) > 0 {
		switch rest[0] {
		case "cascade":
			r.Policy = PolicyCascade
			rest = rest[1:]
			continue
		case "id":
			r.ID = rest[1]
		case "revision":
			revision := uint32(d.number(rest[1]))
			r.Revision = &revision
		case "because":
			_, r.Reason, _ = strings.Cut(line, " because ")
			return r
		default:
			d.Fatalf("%q: what is %q", line, rest[0])
		}
		rest = rest[2:]
	}
	return r
}

func (d *desk) show(ev Event) []string {
	changes := [...]string{Opened: "opened, ", Increased: "increased, ", Decreased: "decreased, ",
		Closed: "closed, ", Unchanged: "unchanged, "}
	head := fmt.Sprintf("event %d: %scash %s realised %s fees %s total %s", ev.Seq, changes[ev.Change],
		market.FormatMoney(ev.Cash.Balance), market.FormatMoney(ev.Cash.Realised),
		market.FormatMoney(ev.Cash.FeesPaid), market.FormatMoney(ev.TotalMarketValue))
	rows := []Position{ev.Position}
	switch {
	case ev.Bust != nil:
		rows = ev.Bust.Positions
		if len(ev.Bust.Cascade) > 0 {
			head += ", with it " + strings.Trim(fmt.Sprint(ev.Bust.Cascade), "[]")
		}
	case ev.Kind == KindAdjustment:
		rows = nil
	}
	shown := []string{head}
	for _, row := range rows {
		shown = append(shown, fmt.Sprintf("%s %d cost %s realised %s version %d", d.u.At(row.Instrument), row.Quantity,
			market.FormatMoney(row.Cost), market.FormatMoney(row.Realised), row.Version))
	}
	return shown
}
