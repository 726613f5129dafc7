package calendar

// What follows are the days on which an exchange does not trade, or not until its usual close, year by
// year. Weekends are left out: no exchange here trades on one. Holidays on a weekend are left out too.
//
// To add a year, add its row, in order. Without one, or with presumed set, the year's days are answered
// and marked as presumed.

// year lists the holidays of one year, each as month × 100 + day.
type year struct {
	number   int
	closed   []int
	short    []int // trading ends early
	presumed bool  // the exchange had not published the year when this was written
}

// mainlandYears holds Shanghai, Shenzhen and Beijing, which have the same holidays.
//
// 2025: notice of the State Council's General Office of 2024-11-12 (gov.cn, content_6986382), which the
// exchanges follow.
//
// 2026: "关于2026年部分节假日休市安排的通知", of all three exchanges, 2025-12-22. As reported by China
// Securities Journal, https://www.srwlw.com/article/101784.html, and by ET Net,
// https://www.etnet.com.hk/www/tc/stocks/ah_news_detail.php?newsid=ETN351222775. It follows the notice of
// the State Council's General Office of 2025-11-04 (gov.cn, content_7047091).
//
// 2027: not published. The days off are those of the regulation on public holidays of 2024-11-10 alone: New
// Year's Day, Lunar New Year's Eve to its third day, Ching Ming, May 1 and 2, Dragon Boat, Mid-Autumn,
// October 1 to 3; where they fall on a weekend, as many workdays after them. The exchanges' breaks will
// be longer. The dates by the moon are those of the Hong Kong list below.
var mainlandYears = []year{
	{number: 2025, closed: []int{
		101, 128, 129, 130, 131, 203, 204, 404, 501, 502, 505, 602, 1001, 1002, 1003, 1006, 1007, 1008}},
	{number: 2026, closed: []int{
		101, 102, 216, 217, 218, 219, 220, 223, 406, 501, 504, 505, 619, 925, 1001, 1002, 1005, 1006, 1007}},
	{number: 2027, presumed: true, closed: []int{
		101, 205, 208, 209, 210, 405, 503, 504, 609, 915, 1001, 1004, 1005}},
}

// hongKongYears holds the Stock Exchange of Hong Kong. It is closed on general holidays, and has no
// afternoon on the eves of Christmas, New Year and Lunar New Year (https://www.hkex.com.hk, Trading Hours).
//
// 2026: general holidays of https://www.gov.hk/en/about/abouthk/holiday/2026.htm.
//
// 2027: general holidays as gazetted in 2026, with February 9 in place of the Sunday of the Lunar New Year;
// reported in https://a2znews.uk/article/c2/28468. The exchange's own list was not found, hence presumed.
var hongKongYears = []year{
	{number: 2026, short: []int{216, 1224, 1231}, closed: []int{
		101, 217, 218, 219, 403, 406, 407, 501, 525, 619, 701, 1001, 1019, 1225}},
	{number: 2027, presumed: true, short: []int{205, 1224, 1231}, closed: []int{
		101, 208, 209, 326, 329, 405, 513, 609, 701, 916, 1001, 1008, 1227}},
}

// newYorkYears holds NYSE and Nasdaq, which have the same holidays.
//
// 2025: "NYSE Group Announces 2025, 2026 and 2027 Holiday and Early Closings Calendar", 2024-11-08,
// https://mondovisione.com/media-and-resources/news/nyse-group-announces-2025-2026-and-2027-holiday-and-early-closings-calendar/;
// and January 9, the National Day of Mourning, as announced by NYSE in December 2024.
//
// 2026 to 2028: "NYSE Group Announces 2026, 2027 and 2028 Holiday and Early Closings Calendar", 2025-12-23,
// https://mondovisione.com/media-and-resources/news/nyse-group-announces-2026-2027-and-2028-holiday-and-early-closings-calendar-20251223/.
var newYorkYears = []year{
	{number: 2025, short: []int{703, 1128, 1224}, closed: []int{
		101, 109, 120, 217, 418, 526, 619, 704, 901, 1127, 1225}},
	{number: 2026, short: []int{1127, 1224}, closed: []int{
		101, 119, 216, 403, 525, 619, 703, 907, 1126, 1225}},
	{number: 2027, short: []int{1126}, closed: []int{
		101, 118, 215, 326, 531, 618, 705, 906, 1125, 1224}},
	{number: 2028, short: []int{703, 1124}, closed: []int{
		117, 221, 414, 529, 619, 704, 904, 1123, 1225}},
}
