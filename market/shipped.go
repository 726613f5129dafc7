package market

// Default returns the universe that Papertape ships: about fifty instruments of Shanghai,
// Shenzhen and Beijing with plausible opening prices. Each call builds a new one.
func Default() *Universe {
	list := make([]Instrument, len(shipped))
	for n, s := range shipped {
		list[n] = s.instrument()
	}
	u, err := NewUniverse(list)
	if err != nil {
		panic("the shipped instruments: " + err.Error())
	}
	return u
}

// listing is a line of the shipped table, without what is the same for a whole board.
type listing struct {
	market, code, name string
	cents              int64 // the previous close, in 0.01 CNY
	board              Board
	halted             bool
}

const cent = MoneyUnit / 100

// limitBps is the day's limit of each board, in 1/10000. An index has no limit of its own
// and gets that of the main board.
var limitBps = [...]int64{OtherBoard: 1000, MainBoard: 1000, MainBoardST: 500, ChiNext: 2000, STAR: 2000, BSE: 3000}

func (s listing) instrument() Instrument {
	return Instrument{
		Market: s.market, Code: s.code, Name: s.name, PreviousClose: s.cents * cent, Lot: 100, Tick: cent,
		LimitBps: limitBps[s.board], Board: s.board, Halted: s.halted,
	}
}

// shipped is sorted by market and code. Prices are plausible, not current. SZ 000001 opens
// at 10.00, so that 100 shares of it are worth 1,000.00. Instruments called 虚构 (fictional)
// do not exist.
var shipped = []listing{
	{"BJ", "899101", "虚构精工", 1860, BSE, false},
	{"BJ", "899102", "虚构生物", 945, BSE, false},
	{"BJ", "899103", "虚构新材", 3208, BSE, false},
	{"SH", "000001", "上证指数", 338050, OtherBoard, false},
	{"SH", "600000", "浦发银行", 1120, MainBoard, false},
	{"SH", "600009", "上海机场", 3315, MainBoard, false},
	{"SH", "600028", "中国石化", 585, MainBoard, false},
	{"SH", "600030", "中信证券", 2745, MainBoard, false},
	{"SH", "600036", "招商银行", 4230, MainBoard, false},
	{"SH", "600276", "恒瑞医药", 5180, MainBoard, false},
	{"SH", "600309", "万华化学", 6640, MainBoard, false},
	{"SH", "600519", "贵州茅台", 148000, MainBoard, false},
	{"SH", "600585", "海螺水泥", 2360, MainBoard, false},
	{"SH", "600690", "海尔智家", 2510, MainBoard, false},
	{"SH", "600887", "伊利股份", 2790, MainBoard, false},
	{"SH", "600900", "长江电力", 2820, MainBoard, false},
	{"SH", "601012", "隆基绿能", 1575, MainBoard, false},
	{"SH", "601088", "中国神华", 3890, MainBoard, false},
	{"SH", "601166", "兴业银行", 2105, MainBoard, false},
	{"SH", "601288", "农业银行", 545, MainBoard, false},
	{"SH", "601318", "中国平安", 5360, MainBoard, false},
	{"SH", "601398", "工商银行", 690, MainBoard, false},
	{"SH", "601857", "中国石油", 865, MainBoard, false},
	{"SH", "601888", "中国中免", 6480, MainBoard, false},
	{"SH", "601988", "中国银行", 535, MainBoard, false},
	{"SH", "603288", "海天味业", 4150, MainBoard, false},
	{"SH", "609999", "ST虚构", 312, MainBoardST, false},
	{"SH", "688111", "金山办公", 28560, STAR, false},
	{"SH", "688599", "天合光能", 1690, STAR, false},
	{"SH", "688981", "中芯国际", 8850, STAR, false},
	{"SZ", "000001", "平安银行", 1000, MainBoard, false},
	{"SZ", "000002", "万科A", 710, MainBoard, false},
	{"SZ", "000063", "中兴通讯", 3240, MainBoard, false},
	{"SZ", "000333", "美的集团", 7350, MainBoard, false},
	{"SZ", "000568", "泸州老窖", 12480, MainBoard, false},
	{"SZ", "000651", "格力电器", 4520, MainBoard, false},
	{"SZ", "000725", "京东方A", 405, MainBoard, false},
	{"SZ", "000858", "五粮液", 13020, MainBoard, false},
	{"SZ", "002027", "分众传媒", 715, MainBoard, false},
	{"SZ", "002142", "宁波银行", 2560, MainBoard, false},
	{"SZ", "002230", "科大讯飞", 4875, MainBoard, false},
	{"SZ", "002415", "海康威视", 3060, MainBoard, false},
	{"SZ", "002475", "立讯精密", 4015, MainBoard, false},
	{"SZ", "002594", "比亚迪", 27500, MainBoard, false},
	{"SZ", "009999", "虚构停牌", 888, MainBoard, true},
	{"SZ", "300015", "爱尔眼科", 1340, ChiNext, false},
	{"SZ", "300059", "东方财富", 2380, ChiNext, false},
	{"SZ", "300274", "阳光电源", 7620, ChiNext, false},
	{"SZ", "300750", "宁德时代", 25200, ChiNext, false},
	{"SZ", "300760", "迈瑞医疗", 23150, ChiNext, false},
}
