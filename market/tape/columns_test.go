package tape

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
)

// TestExports reads the beginning of exports of well-known programs. The row of each is at
// 09:30 on 2 March 2026, where the market is, and the bars have prices 10, 11, 9, 10.5.
func TestExports(t *testing.T) {
	const bank, apple = "SZ.000001", "US.AAPL"
	const bar = "open=10 high=11 low=9 close=10.5 volume=1000"
	const trade = "last=10.5 size=300"
	const quote = "bid=10.4 ask=10.6 bidsize=200 asksize=400"
	for _, c := range []struct{ name, columns, text, instrument, want string }{
		{"Papertape, bars", "",
			"time,market,code,open,high,low,close,volume\n2026-03-02T09:30:00+08:00,SZ,000001,10,11,9,10.5,1000",
			bank, bar},
		{"Papertape, trades", "", "time,market,code,last,size\n2026-03-02T01:30:00Z,XSHE,000001,10.5,300", bank, trade},
		{"Papertape, quotes", "", "time,market,code,bid,ask,bid_size,ask_size\n2026-03-02 " +
			"09:30:00,SZ,000001,10.4,10.6,200,400",
			bank, quote},
		{"pandas and yfinance", "instrument=AAPL", "Datetime,Open,High,Low,Close,Volume\n" +
			"2026-03-02 09:30:00-05:00,10.0,11.000000199,9.0,10.499999999,1000", apple, bar},
		{"yfinance, a day", "instrument=AAPL", "Date,Open,High,Low,Close,Adj " +
			"Close,Volume\n2026-03-02,10,11,9,10.5,3,1000",
			apple, "daily " + bar},
		{"pandas, the index", "instrument=AAPL", ",open,high,low,close,volume\n2026-03-02 " +
			"09:30:00,10,11,9,10.5,1000", apple, bar},
		{"pandas, a number in front", "", "Unnamed: 0,date,symbol,open,high,low,close,volume\n" +
			"0,2026-03-02 09:30:00,AAPL,10,11,9,10.5,1000", apple, bar},
		{"tushare", "", "ts_code,trade_time,open,close,high,low,vol,amount\n000001.SZ,2026-03-02 " +
			"09:30:00,10,10.5,11,9,1000,1",
			bank, bar},
		{"tushare, a day", "", "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount\n" +
			"000001.SZ,20260302,10,11,9,10.5,1,1,1,1000,1", bank, "daily " + bar},
		{"akshare, minutes", "instrument=SZ.000001", "时间,开盘,收盘,最高,最低,成交量,成交额,最新价\n" +
			"2026-03-02 09:30:00,10,10.5,11,9,1000,1,10.5", bank, bar},
		{"akshare, a day", "", "日期,股票代码,开盘,收盘,最高,最低,成交量,成交额,振幅,涨跌幅,涨跌额,换手率\n" +
			"2026-03-02,000002,10,10.5,11,9,1000,1,1,1,1,1", "SZ.000002", "daily " + bar},
		{"baostock", "", "date,time,code,open,high,low,close,volume,amount,adjustflag\n" +
			"2026-03-02,20260302093000000,sz.000001,10,11,9,10.5,1000,1,3", bank, bar},
		{"JQData", "instrument=000001.XSHE", ",open,close,high,low,volume,money\n2026-03-02 " +
			"09:30:00,10,10.5,11,9,1000.0,1", bank, bar},
		{"JQData, ticks", "instrument=000001.XSHE", "time,current,high,low,volume,money,a1_p,a1_v,b1_p,b1_v\n" +
			"20260302093000.000,10.5,11,9,1000,1,10.6,400,10.4,200", bank, "last=10.5 volume=1000 " + quote},
		{"RQData", "", "order_book_id,datetime,volume,open,total_turnover,low,close,high\n" +
			"000001.XSHE,2026-03-02 09:30:00,1000,10,1,9,10.5,11", bank, bar},
		{"RQData, ticks", "", "order_book_id,datetime,open,last,high,low,prev_close,volume,a1,b1,a1_v,b1_v\n" +
			"000001.XSHE,2026-03-02 09:30:00.000,9,10.5,11,9,9,1000,10.6,10.4,400,200", bank,
			"last=10.5 volume=1000 " + quote},
		{"Wind", "",
			"S_INFO_WINDCODE,TRADE_DT,S_DQ_OPEN,S_DQ_HIGH,S_DQ_LOW,S_DQ_CLOSE,S_DQ_VOLUME\n000001.SZ,20260302,10,11,9,10.5,1000",
			bank, "daily " + bar},
		{"Chinese snapshots", "", "证券代码,交易日,时间,最新价,成交量,买一价,买一量,卖一价,卖一量\n" +
			"000001.SZ,20260302,93000000,10.5,1000,10.4,200,10.6,400", bank, "last=10.5 volume=1000 " + quote},
		{"Chinese trades", "instrument=sz000001", "成交时间,日期,成交价格,价格变动,成交量,成交额,性质\n09:30:00,2026-03-02,10.5,0,300,1,买盘",
			bank, trade},
		{"Alpaca, bars", "", "symbol,t,o,h,l,c,v,n,vw\nAAPL,2026-03-02T14:30:00Z,10,11,9,10.5,1000,1,1", apple, bar},
		{"Alpaca, trades", "",
			"T,S,t,x,p,s,c,i,z\nt,AAPL,2026-03-02T14:30:00.000000000Z,V,10.5,300,\"[\"\"@\"\"]\",1,C", apple, trade},
		{"Alpaca, quotes", "", "S,t,bx,bp,bs,ax,ap,as,c,z\nAAPL,2026-03-02T14:30:00Z,V,10.4,200,V,10.6,400,R,C",
			apple, quote},
		{"Polygon, flat bars", "", "ticker,volume,open,close,high,low,window_start,transactions\n" +
			"AAPL,1000,10,10.5,11,9,1772461800000000000,1", apple, bar},
		{"Polygon, REST", "", "T,v,vw,o,c,h,l,t,n\nAAPL,1000,1,10,10.5,11,9,1772461800000,1", apple, bar},
		{"Polygon, flat trades", "",
			"ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size\n" +
				"AAPL,\"12,37\",0,11,5,1772461799999000000,10.5,3,1772461800000000000,300", apple, trade},
		{"Polygon, flat quotes", "",
			"Ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,sip_timestamp\n" +
				"AAPL,1,10.6,400,1,10.4,200,1,1772461800000000000", apple, quote},
		{"Databento", "", "ts_recv,ts_event,rtype,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n" +
			"2026-03-02T14:30:01Z,2026-03-02T14:30:00.000000000Z,1,10.4,10.6,200,400,AAPL", apple, quote},
		{"Binance, klines", "instrument=AAPL", "open_time,open,high,low,close,volume,close_time,quote_volume,count\n" +
			"1772461800000,10,11,9,10.5,1000,1772461859999,1,1", apple, bar},
		{"Binance, trades", "instrument=AAPL",
			"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n" +
				"1,10.5,300,1,1,1772461800000,true", apple, trade},
		{"Alpha Vantage", "instrument=AAPL", "timestamp,open,high,low,close,volume\n2026-03-02 " +
			"09:30:00,10,11,9,10.5,1000", apple, bar},
		{"EODHD", "instrument=AAPL", "Timestamp,Gmtoffset,Datetime,Open,High,Low,Close,Volume\n" +
			"1772461800,0,2026-03-02 14:30:00,10,11,9,10.5,1000", apple, bar},
		{"NYSE TAQ", "",
			"DATE|TIME_M|EX|SYM_ROOT|SYM_SUFFIX|SIZE|PRICE\n20260302|09:30:00.000000000|Q|AAPL||300|10.5", apple,
			trade},
		{"NYSE TAQ, best", "",
			"Date,Time,Symbol,Best_Bid,Best_BidSiz,Best_Ask,Best_AskSiz\n2026-03-02,93000,AAPL,10.4,200,10.6,400",
			apple, quote},
		{"NYSE TAQ, NBBO", "",
			"DATE,TIME_M,SYM_ROOT,BID,BIDSIZ,ASK,ASKSIZ\n2026-03-02,9:30:00.000,AAPL,10.4,200,10.6,400", apple, quote},
		{"Refinitiv", "", "#RIC,Domain,Date-Time,Type,Price,Volume\nAAPL,Market " +
			"Price,2026-03-02T14:30:00.000000000Z,Trade,10.5,300",
			apple, trade},
		{"IEX", "", "symbol,date,minute,open,close,low,high,volume\nAAPL,2026-03-02,09:30,10,10.5,9,11,1000",
			apple, bar},
		{"Stooq", "", "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n" +
			"AAPL.US,5,20260302,093000,10,11,9,10.5,1000,0", apple, bar},
		{"Finam, ticks", "", "<TICKER>;<DATE>;<TIME>;<LAST>;<VOL>\nAAPL;20260302;093000;10.5;300", apple, trade},
		{"MetaTrader 5", "instrument=AAPL",
			"<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n" +
				"2026.03.02\t09:30:00\t10\t11\t9\t10.5\t7\t1000\t1", apple, bar},
		{"TradeStation", "instrument=AAPL",
			"\"Date\",\"Time\",\"Open\",\"High\",\"Low\",\"Close\",\"Vol\"\n03/02/2026,0930,10,11,9,10.5,1000",
			apple, bar},
		{"Interactive Brokers", "instrument=AAPL", "date,open,high,low,close,volume,average,barCount\n" +
			"20260302  09:30:00,10,11,9,10.5,1000,1,1", apple, bar},
		{"Dukascopy", "instrument=AAPL", "Gmt time,Open,High,Low,Close,Volume\n02.03.2026 " +
			"09:30:00.000,10,11,9,10.5,1000", apple, bar},
		{"FirstRate", "", "\ufefftimestamp,symbol,open,high,low,close,volume\r\n2026-03-02 " +
			"09:30:00,AAPL,10,11,9,10.5,1000\r\n", apple, bar},
		{"AmiBroker", "", "Ticker,Date/Time,Open,High,Low,Close,Volume\nAAPL,3/2/2026 9:30:00,10,11,9,10.5,1000",
			apple, bar},
		{"Barchart", "", "Symbol,Time,Open,High,Low,Latest,Change,%Change,Volume\nAAPL,2026-03-02 " +
			"09:30,10,11,9,10.5,0,0%,1000", apple, bar},
		{"Kibot, without a header", "instrument=AAPL,header=none,date=1,time=2,open=3,high=4,low=5,close=6,volume=7",
			"\ufeff03/02/2026,09:30,10,11,9,10.5,1000", apple, bar},
		{"NinjaTrader, without a header", "instrument=AAPL,header=none,time=1,open=2,high=3,low=4,close=5,volume=6",
			"20260302 093000;10;11;9;10.5;1000", apple, bar},
		{"names of one's own", "time=ts_local, code = Wkn ,last=px,size=n", "ts_local,WKN,px,n\n2026-03-02 " +
			"09:30:00,AAPL,10.5,300", apple, trade},
	} {
		t.Run(c.name, func(t *testing.T) { checkExport(t, c.columns, c.text, c.instrument, c.want) })
	}
}

// checkExport reads the only row of a text.
func checkExport(t *testing.T, spec, text, instrument, want string) {
	u := market.Default()
	if strings.HasPrefix(instrument, "US") {
		u = american(t)
	}
	d, err := newDecoder(newLines(strings.NewReader(text)), &Options{Universe: u, Columns: columns(t, spec)}, false)
	if err != nil {
		t.Fatal(err)
	}
	var r row
	if err := d.next(&r); err != nil {
		t.Fatal(err, d.report.Problems)
	}
	location, _ := Zone(u.At(r.ID).Market)
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, location)
	wanted := row{date: r.date, Update: market.Update{ID: r.ID, Time: at.UnixNano()}}
	for field := range strings.FieldsSeq(want) {
		setField(t, &wanted, field)
	}
	if wanted.daily {
		wanted.Time = time.Date(2026, 3, 2, 0, 0, 0, 0, location).UnixNano()
	}
	if r != wanted || u.At(r.ID).String() != instrument {
		t.Errorf("%s, %+v\nwant %s, %+v", u.At(r.ID), r, instrument, wanted)
	}
}

// setField sets what a word such as bid=10.4 says.
func setField(t *testing.T, r *row, word string) {
	name, value, _ := strings.Cut(word, "=")
	if name == "daily" {
		r.daily = true
		return
	}
	money, err := market.ParseMoney(value)
	if err != nil {
		t.Fatal(err)
	}
	shares := money / market.MoneyUnit
	set := func(says market.Fields, to *int64, n int64) { r.Says |= says; *to = n }
	switch name {
	case "open":
		r.open = money
	case "high":
		r.high = money
	case "low":
		r.low = money
	case "last", "close":
		set(market.SaysLast, &r.Last, money)
	case "bid":
		set(market.SaysBid, &r.Bid, money)
	case "ask":
		set(market.SaysAsk, &r.Ask, money)
	case "bidsize":
		set(market.SaysBidSize, &r.BidSize, shares)
	case "asksize":
		set(market.SaysAskSize, &r.AskSize, shares)
	case "size":
		set(market.SaysSize, &r.Size, shares)
	case "volume":
		if r.open > 0 { // of a bar
			set(market.SaysSize, &r.Size, shares)
			return
		}
		set(market.SaysVolume, &r.Volume, shares)
	default:
		t.Fatal(word)
	}
}

// TestSpellings checks that each spelling is written as plain writes it, and has one role.
func TestSpellings(t *testing.T) {
	seen := make(map[string]role)
	for r := range roles {
		for _, s := range spellings[r] {
			if other, twice := seen[s]; twice {
				t.Errorf("%q is %s and %s", s, roleNames[other], roleNames[r])
			}
			if seen[s] = r; plain(s) != s || s == "" {
				t.Errorf("%q is spelled %q", s, plain(s))
			}
		}
	}
	for r, name := range roleNames {
		if !reflect.DeepEqual(seen[plain(name)], role(r)) {
			t.Errorf("%s is not recognised", name)
		}
	}
}

func TestParseColumns(t *testing.T) {
	for text, want := range map[string]Columns{
		"":                              {},
		" time = ts ,code=sym":          {names: [roles]string{roleTime: "ts", roleCode: "sym"}},
		"TIME=ts,seconds=60,stamp=end":  {names: [roles]string{roleTime: "ts"}, seconds: 60, atEnd: true},
		"stamp=start,header=none":       {headless: true},
		"instrument=SH.600519,last=成交价": {names: [roles]string{roleLast: "成交价"}, instrument: "SH.600519"},
	} {
		if got, err := ParseColumns(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"time":          `"time" says nothing of a column; write time=ts,code=sym,last=px`,
		"time=":         `"time=" says nothing of a column; write time=ts,code=sym,last=px`,
		"time=a,time=b": "time is given twice; a column has one",
		"seconds=0":     "seconds: 0 is out of range; write 1 to 86400",
		"stamp=middle":  `stamp: "middle" is neither start nor end`,
		"header=2":      `header: "2" is not none; without the option the first line is the header`,
		"price=px": `"price" is no column; there are time, date, market, code, last, size, volume, bid, ` +
			`ask, bid_size, ask_size, open, high, low, close, and the options instrument, seconds, stamp and header`,
		"time=ts,,last=x": `"" says nothing of a column; write time=ts,code=sym,last=px`,
	} {
		if _, err := ParseColumns(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// TestHeaderErrors checks what is said of a header that cannot be used.
func TestHeaderErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "tape.csv: it is empty; the first line must be a header",
		"\n\n":                      "tape.csv: it is empty; the first line must be a header",
		"\xff\xfea\x00":             "tape.csv: the first line is not a header of CSV in UTF-8",
		"time,code,\"open\n":        "tape.csv: the first line is not a header of CSV in UTF-8",
		strings.Repeat("x", 70_000): "tape.csv: its first line is longer than 65536 bytes, so it is no CSV",
		"code,last": `tape.csv: no column has the time; say which one does, as in time=NAME; the ` +
			`header has "code", "last"`,
		"time,code,open,close2": `tape.csv: there are neither prices of trades, nor bid and ask, nor open, ` +
			`high, low and close; say which columns they are, as in last=px; the header has "time", "code", ` +
			`"open", "close2"`,
		"time,last": "tape.csv: no column names the instrument; say which one does, as in " +
			"code=NAME, or that all are of one, as in instrument=BJ.899101",
		"time,code,open,high,low,close\n1772461800,SH.600519,1,1,1,1\n": "tape.csv: how long a bar lasts cannot " +
			"be told from bars of one time; say it, as in seconds=60",
	} {
		if _, err := read(t, text, Options{}); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v\nwant %s", text, err, want)
		}
	}
	for spec, want := range map[string]string{
		"last=px":         `tape.csv: there is no column "px" for last; the header has "time", "code", "last"`,
		"last=4":          `tape.csv: there is no column "4" for last; the header has "time", "code", "last"`,
		"instrument=AAPL": `tape.csv: instrument: "AAPL" is no instrument of this universe`,
	} {
		if _, err := read(t, "time,code,last\n", Options{Columns: columns(t, spec)}); err == nil ||
			err.Error() != want {
			t.Errorf("%s: %v\nwant %s", spec, err, want)
		}
	}
}
