package tape

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/papertape/papertape/decimal"
)

// role is what a column says.
type role uint8

const (
	roleTime role = iota
	roleDate
	roleMarket
	roleCode
	roleLast
	roleSize
	roleVolume
	roleBid
	roleAsk
	roleBidSize
	roleAskSize
	roleOpen
	roleHigh
	roleLow
	roleClose
	roles // how many there are
)

// roleNames are the roles as Columns spell them.
var roleNames = [roles]string{"time", "date", "market", "code", "last", "size", "volume", "bid", "ask", "bid_size",
	"ask_size", "open", "high", "low", "close"}

// spellings are the names of columns that are recognised, as plain writes them. Of several that
// a file has for one role, the first here is taken. They are those of pandas and yfinance,
// tushare, akshare, baostock, JQData, RQData, Wind, Tonghuashun, Alpaca, Polygon, Databento,
// Binance, Alpha Vantage, Tiingo, EODHD, NYSE TAQ, Refinitiv, IEX, Stooq, Finam, MetaTrader,
// TradeStation, Interactive Brokers, Dukascopy, FirstRate, AmiBroker and Barchart.
var spellings = [roles][]string{
	roleTime: {"time", "timestamp", "datetime", "ts", "t", "siptimestamp", "participanttimestamp", "windowstart",
		"opentime", "tsevent", "tsrecv", "eventtime", "transacttime", "tradetime", "quotetime", "timem", "gmttime",
		"localtime", "utctime", "starttime", "barstart", "minute", "begin", "bob", "时间", "日期时间", "成交时间", "交易时间",
		"更新时间"},
	roleDate: {"date", "tradedate", "tradingday", "tradingdate", "day", "tradedt", "日期", "交易日期", "交易日"},
	roleMarket: {"market", "mic", "exchange", "exch", "exchangecode", "primaryexchange", "市场", "市场代码", "交易所",
		"交易市场"},
	roleCode: {"code", "instrument", "symbol", "ticker", "tscode", "orderbookid", "security", "securityid", "sym",
		"symroot", "ric", "windcode", "sinfowindcode", "stockcode", "instrumentid", "secid", "stock",
		"代码", "证券代码", "股票代码", "合约代码", "标的代码"},
	roleLast: {"last", "price", "px", "p", "lastprice", "current", "tradeprice", "latest", "lasttrade", "成交价",
		"成交价格", "最新价", "现价",
		"最新", "价格"},
	roleSize: {"size", "s", "lastsize", "tradesize", "quantity", "qty", "lastqty", "shares", "tradevolume",
		"lastshares"},
	roleVolume: {"volume", "vol", "v", "totalvolume", "cumvolume", "dayvolume", "sdqvolume", "tickvol", "tickvolume",
		"成交量", "成交量股", "总成交量", "成交股数"},
	roleBid: {"bid", "bidprice", "bidpx", "bp", "bestbid", "bestbidprice", "bidprice1", "bid1", "bestbidpx",
		"b1", "b1p",
		"bidpx00", "买一价", "买价", "买一"},
	roleAsk: {"ask", "askprice", "askpx", "ap", "bestask", "bestaskprice", "askprice1", "ask1", "offer", "ofr",
		"bestofferprice", "offerprice", "a1", "a1p", "askpx00", "卖一价", "卖价", "卖一"},
	roleBidSize: {"bidsize", "bidsz", "bidqty", "bidvolume", "bidvol", "bs", "bestbidsize", "bestbidqty",
		"bestbidquantity",
		"bidsize1", "bidvol1", "bidvolume1", "bidsiz", "bestbidsiz", "b1v", "bidsz00", "买一量", "买量"},
	roleAskSize: {"asksize", "asksz", "askqty", "askvolume", "askvol", "as", "bestasksize", "bestaskqty", "asksize1",
		"askvol1", "askvolume1", "bestasksiz", "offersize", "ofrsize", "ofrsiz", "bestofferquantity",
		"bestoffersize", "asksiz", "a1v",
		"asksz00", "卖一量", "卖量"},
	roleOpen:  {"open", "o", "openprice", "sdqopen", "开盘", "开盘价", "今开"},
	roleHigh:  {"high", "h", "highprice", "sdqhigh", "最高", "最高价"},
	roleLow:   {"low", "l", "lowprice", "sdqlow", "最低", "最低价"},
	roleClose: {"close", "c", "closeprice", "sdqclose", "closelast", "收盘", "收盘价"},
}

// plain writes a name of a column as spellings have it: in lower case, letters and digits only.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// Columns say what the columns of a file are, where their names do not. The zero value leaves
// everything to the names.
type Columns struct {
	names      [roles]string // "": by the header
	instrument string
	seconds    int64 // 0: as told by the rows
	atEnd      bool  // the time of a bar is that of its end
	headless   bool  // the first line is a row
}

// secondsMax bounds the length of a bar: a day.
const secondsMax = 86_400

// ParseColumns parses "time=ts,code=sym,last=px": roles and the names of columns, or their
// numbers from 1. The roles are time, date, market, code, last, size, volume, bid, ask,
// bid_size, ask_size, open, high, low and close. Beside them it knows four options:
// instrument=SH.600519 (the file is of that one alone), seconds=60 (the length of a bar),
// stamp=end (the time of a bar is that of its end) and header=none (the first line is a row).
// The error is a sentence.
func ParseColumns(text string) (Columns, error) {
	var c Columns
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || value == "" {
			return c, fmt.Errorf("%q says nothing of a column; write time=ts,code=sym,last=px", strings.TrimSpace(part))
		}
		if err := c.set(name, value); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *Columns) set(name, value string) (err error) {
	if r := slices.Index(roleNames[:], name); r >= 0 {
		if c.names[r] != "" {
			return fmt.Errorf("%s is given twice; a column has one", name)
		}
		c.names[r] = value
		return nil
	}
	switch name {
	case "instrument":
		c.instrument = value
	case "seconds":
		if c.seconds, err = decimal.ParseWhole[int64](value, 1, secondsMax); err != nil {
			return fmt.Errorf("seconds: %w", err)
		}
	case "stamp":
		if value != "start" && value != "end" {
			return fmt.Errorf("stamp: %q is neither start nor end", value)
		}
		c.atEnd = value == "end"
	case "header":
		if value != "none" {
			return fmt.Errorf("header: %q is not none; without the option the first line is the header", value)
		}
		c.headless = true
	default:
		return fmt.Errorf("%q is no column; there are %s, and the options instrument, seconds, stamp and header", name,
			strings.Join(roleNames[:], ", "))
	}
	return nil
}

// find returns the index of the column for a role, or -1.
func (c *Columns) find(r role, header []string) (int, error) {
	name := c.names[r]
	if name == "" {
		return findSpelled(r, header), nil
	}
	for i, column := range header {
		if column == name || plain(column) == plain(name) && plain(name) != "" {
			return i, nil
		}
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(header) {
		return n - 1, nil
	}
	return -1, fmt.Errorf("there is no column %q for %s; the header has %s", name, roleNames[r], quoteAll(header))
}

// isIndex reports whether a column is what pandas writes in front of each row: its index, which
// is a time where no other column is one.
func isIndex(column string) bool { return column == "" || column == "index" || column == "Unnamed: 0" }

func findSpelled(r role, header []string) int {
	for _, spelling := range spellings[r] {
		for i, column := range header {
			if plain(column) == spelling && !isSymbolOfAlpaca(r, column) {
				return i
			}
		}
	}
	if r == roleCode {
		if i := slices.Index(header, "S"); i >= 0 {
			return i
		}
		return slices.Index(header, "T")
	}
	return -1
}

// isSymbolOfAlpaca reports whether a column is a symbol and not what its letter means in lower
// case: S of Alpaca beside s for sizes, T of Polygon beside t for times.
func isSymbolOfAlpaca(r role, column string) bool {
	return r == roleSize && column == "S" || r == roleTime && column == "T"
}

// quoteAll lists names in a sentence, the first twenty of them.
func quoteAll(names []string) string {
	const most = 20
	more := ""
	if len(names) > most {
		names, more = names[:most], ", …"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(clip(name))
	}
	return strings.Join(quoted, ", ") + more
}

// clippedBytes bounds how much of a cell a sentence repeats.
const clippedBytes = 40

func clip(text string) string {
	if len(text) <= clippedBytes {
		return text
	}
	return strings.ToValidUTF8(text[:clippedBytes], "") + "…"
}
