package market

// US returns the other universe that Papertape ships: some sixty well-known shares and funds of
// the United States, and one that does not exist, each with a plausible previous close in USD. A
// lot is a share, the tick 0.01, and there is no limit of the day. Each call builds a new one.
func US() *Universe {
	list := make([]Instrument, len(shippedUS))
	for n, s := range shippedUS {
		list[n] = Instrument{
			Market: "US", Code: s.code, Name: s.name, PreviousClose: s.cents * cent, Lot: 1, Tick: cent, MIC: s.mic,
			AlwaysOpen: s.code == testSymbol,
		}
	}
	u, err := NewUniverse(list)
	if err != nil {
		panic("the shipped instruments: " + err.Error())
	}
	return u
}

// testSymbol is the share that does not exist. It is traded at all hours.
const testSymbol = "PTAPE"

// shippedUS is sorted by code. Prices are plausible, not current.
var shippedUS = []struct {
	code, name string
	cents      int64 // the previous close, in 0.01 USD
	mic        string
}{
	{"AAPL", "Apple", 22850, "XNAS"},
	{"ABBV", "AbbVie", 18740, "XNYS"},
	{"ABT", "Abbott Laboratories", 11620, "XNYS"},
	{"ADBE", "Adobe", 44210, "XNAS"},
	{"AMD", "Advanced Micro Devices", 14160, "XNAS"},
	{"AMGN", "Amgen", 29230, "XNAS"},
	{"AMZN", "Amazon", 19875, "XNAS"},
	{"AVGO", "Broadcom", 17620, "XNAS"},
	{"AXP", "American Express", 26940, "XNYS"},
	{"BA", "Boeing", 17460, "XNYS"},
	{"BAC", "Bank of America", 4215, "XNYS"},
	{"BRK.B", "Berkshire Hathaway B", 46530, "XNYS"},
	{"C", "Citigroup", 6580, "XNYS"},
	{"CAT", "Caterpillar", 36110, "XNYS"},
	{"COST", "Costco", 89240, "XNAS"},
	{"CRM", "Salesforce", 27350, "XNYS"},
	{"CSCO", "Cisco", 5470, "XNAS"},
	{"CVX", "Chevron", 15320, "XNYS"},
	{"DIA", "SPDR Dow Jones Industrial Average ETF", 42090, "ARCX"},
	{"DIS", "Walt Disney", 10180, "XNYS"},
	{"EEM", "iShares MSCI Emerging Markets ETF", 4360, "ARCX"},
	{"EFA", "iShares MSCI EAFE ETF", 8035, "ARCX"},
	{"F", "Ford Motor", 1085, "XNYS"},
	{"GE", "GE Aerospace", 18220, "XNYS"},
	{"GLD", "SPDR Gold Shares", 24640, "ARCX"},
	{"GM", "General Motors", 5160, "XNYS"},
	{"GOOG", "Alphabet C", 17715, "XNAS"},
	{"GOOGL", "Alphabet A", 17590, "XNAS"},
	{"GS", "Goldman Sachs", 52370, "XNYS"},
	{"HD", "Home Depot", 39640, "XNYS"},
	{"IBM", "IBM", 21490, "XNYS"},
	{"INTC", "Intel", 2275, "XNAS"},
	{"IWM", "iShares Russell 2000 ETF", 22180, "ARCX"},
	{"JNJ", "Johnson & Johnson", 15920, "XNYS"},
	{"JPM", "JPMorgan Chase", 22430, "XNYS"},
	{"KO", "Coca-Cola", 6640, "XNYS"},
	{"LLY", "Eli Lilly", 84120, "XNYS"},
	{"MA", "Mastercard", 50860, "XNYS"},
	{"MCD", "McDonald's", 29410, "XNYS"},
	{"META", "Meta Platforms", 56790, "XNAS"},
	{"MRK", "Merck", 10240, "XNYS"},
	{"MSFT", "Microsoft", 41825, "XNAS"},
	{"NFLX", "Netflix", 75430, "XNAS"},
	{"NKE", "Nike", 7810, "XNYS"},
	{"NVDA", "NVIDIA", 13540, "XNAS"},
	{"ORCL", "Oracle", 17120, "XNYS"},
	{"PEP", "PepsiCo", 16580, "XNAS"},
	{"PFE", "Pfizer", 2835, "XNYS"},
	{"PG", "Procter & Gamble", 16930, "XNYS"},
	{testSymbol, "Papertape Test (fictional)", 10000, "XNAS"},
	{"QCOM", "Qualcomm", 16740, "XNAS"},
	{"QQQ", "Invesco QQQ Trust", 49480, "XNAS"},
	{"SPY", "SPDR S&P 500 ETF", 58120, "ARCX"},
	{"T", "AT&T", 2195, "XNYS"},
	{"TLT", "iShares 20+ Year Treasury Bond ETF", 9240, "XNAS"},
	{"TSLA", "Tesla", 24980, "XNAS"},
	{"TXN", "Texas Instruments", 20350, "XNAS"},
	{"UNH", "UnitedHealth", 57260, "XNYS"},
	{"V", "Visa", 28910, "XNYS"},
	{"VTI", "Vanguard Total Stock Market ETF", 28530, "ARCX"},
	{"VZ", "Verizon", 4320, "XNYS"},
	{"WFC", "Wells Fargo", 6415, "XNYS"},
	{"WMT", "Walmart", 8190, "XNYS"},
	{"XLF", "Financial Select Sector SPDR", 4660, "ARCX"},
	{"XOM", "Exxon Mobil", 11980, "XNYS"},
}
