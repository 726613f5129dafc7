package listings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/papertape/papertape/market"
)

// columns are the names of what an instrument has, in the order in which they are documented.
var columns = []string{
	"market", "code", "name", "currency", "tick", "lot", "previous_close", "board", "day_limit", "status", "mic",
}

// columnOf returns the column that a person named: "Previous close" is previous_close.
func columnOf(typed string) (string, error) {
	name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(typed)))
	if !slices.Contains(columns, name) {
		return "", fmt.Errorf("there is no column %s; the columns are %s", quote(typed), strings.Join(columns, ", "))
	}
	return name, nil
}

// boards are the boards by name, each with its limit of a day, in 1/10000.
var boards = map[string]struct {
	board market.Board
	limit int64
}{
	"": {market.OtherBoard, 0}, "other": {market.OtherBoard, 0}, "main": {market.MainBoard, 1000},
	"st": {market.MainBoardST, 500}, "chinext": {market.ChiNext, 2000}, "star": {market.STAR, 2000},
	"bse": {market.BSE, 3000},
}

const boardNames = "main, st, chinext, star, bse or other"

// fields reads the fields of an instrument, and collects what is wrong with them.
type fields struct{ problems []error }

func (f *fields) note(err error) {
	if err != nil {
		f.problems = append(f.problems, err)
	}
}

// instrument returns what the fields say. It is whole only if there are no problems.
func (f *fields) instrument(of map[string]string) market.Instrument {
	in := market.Instrument{Code: strings.ToUpper(of["code"]), Name: of["name"], Lot: 1, Tick: market.MoneyUnit / 100}
	if in.Name == "" {
		in.Name = in.Code
	}
	f.place(&in, of)
	if in.Code == "" {
		f.note(errors.New("the code is not there"))
	}
	if of["previous_close"] == "" {
		f.note(errors.New("previous_close is not there; it is the price that the first day begins with"))
	} else {
		in.PreviousClose = f.money("previous_close", of["previous_close"])
	}
	f.tick(&in, of["tick"])
	if text := of["lot"]; text != "" {
		lot, err := strconv.ParseUint(text, 10, 32)
		if err != nil || lot == 0 {
			f.note(fmt.Errorf("the lot %s is no number of shares; write digits, as in 100", quote(text)))
		}
		in.Lot = uint32(lot) //nolint:gosec // parsed as 32 bits
	}
	f.rules(&in, of)
	return in
}

// place reads where it is traded. A MIC may stand for the market.
func (f *fields) place(in *market.Instrument, of map[string]string) {
	named := strings.ToUpper(of["market"])
	in.MIC = strings.ToUpper(of["mic"])
	if named == "" {
		named = in.MIC
	}
	if named == "" {
		f.note(errors.New("the market is not there; write SH, SZ, BJ, HK or US, or a MIC as XNAS"))
		return
	}
	canonical, mic, ok := market.Canonical(named)
	if !ok {
		f.note(fmt.Errorf("%s is not a market; write SH, SZ, BJ, HK or US, or a MIC as XNAS", quote(named)))
		return
	}
	in.Market = canonical
	if in.MIC == "" {
		in.MIC = mic
	}
	if currency := strings.ToUpper(of["currency"]); currency != "" && currency != in.Currency() {
		f.note(fmt.Errorf("%s is traded in %s, and not in %s; leave the currency out", in.Market, in.Currency(),
			quote(of["currency"])))
	}
}

// tick reads a price step, or a table of them.
func (f *fields) tick(in *market.Instrument, text string) {
	switch {
	case text == "":
	case strings.ContainsAny(text, ":;"):
		ticks, err := market.ParseTicks(text)
		if err != nil {
			f.note(err)
			return
		}
		in.Ticks, in.Tick = ticks, ticks.At(in.PreviousClose)
	default:
		in.Tick = f.money("tick", text)
	}
}

// rules reads how it is traded.
func (f *fields) rules(in *market.Instrument, of map[string]string) {
	board, ok := boards[strings.ToLower(of["board"])]
	if !ok {
		f.note(fmt.Errorf("%s is not a board; write %s, or nothing", quote(of["board"]), boardNames))
	}
	in.Board, in.LimitBps = board.board, board.limit
	if text := of["day_limit"]; text != "" {
		in.LimitBps = f.percent(text)
	}
	switch status := strings.ToLower(of["status"]); status {
	case "", "trading":
	case "halted":
		in.Halted = true
	default:
		f.note(fmt.Errorf("%s is not a status; write trading or halted", quote(of["status"])))
	}
}

func (f *fields) money(column, text string) int64 {
	v, err := market.ParseMoney(text)
	if err != nil {
		f.note(fmt.Errorf("%s: %w", column, err))
		return 0
	}
	if v <= 0 || v > market.MaxPrice {
		f.note(fmt.Errorf("the %s is %s; it must be above 0, and at most %s", strings.ReplaceAll(column, "_", " "),
			market.FormatMoney(v), market.FormatMoney(market.MaxPrice)))
	}
	return v
}

// percent reads the limit of a day, in 1/10000.
func (f *fields) percent(text string) int64 {
	if strings.EqualFold(text, "none") {
		return 0
	}
	digits, ok := strings.CutSuffix(text, "%")
	v, err := market.ParseMoney(strings.TrimSpace(digits))
	const hundredth = market.MoneyUnit / 100 // of a percent
	if !ok || err != nil || v <= 0 || v > 100*market.MoneyUnit || v%hundredth != 0 {
		f.note(fmt.Errorf("the day_limit %s is no limit; write a percentage as 10%% or 0.5%%, or none", quote(text)))
		return 0
	}
	return v / hundredth
}

// quote shows what was typed, shortened.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
