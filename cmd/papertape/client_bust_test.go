package main

import (
	"strings"
	"testing"
)

// inOrder reports whether the screen has consecutive lines that contain these texts.
func (s screenState) inOrder(texts ...string) bool {
	for _, l := range s.lines {
		if len(texts) > 0 && strings.Contains(l, texts[0]) {
			texts = texts[1:]
		}
	}
	return len(texts) == 0
}

// TestTakenBackAboveLine checks that each bust and correction by an operator is shown struck
// through above a half-typed line, with the reason, and with the holdings before and after. The
// history shows the original, struck through, and its replacement.
func TestTakenBackAboveLine(t *testing.T) {
	at := serveFixedAt(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at.Listen)
	c := otherSession(t, at.Listen)
	p.awaitPrompt()
	p.types("buy SZ.0000", ">>> buy SZ.0000")
	buys(t, c, "SZ", "000001", 100)
	buys(t, c, "SZ", "000001", 300)
	buys(t, c, "SH", "600036", 100)
	execAdmin(t, at.Admin, "bust", "100100-3", "--reason", "wrong account")
	p.until("what was taken back", func(s screenState) bool {
		return s.inOrder("Δ+300    buy  SZ.000001 平安银行      300 @     10.00  other session  holds 400      100100-3",
			"x        buy  SZ.000001 平安银行      300 @     10.00  TAKEN BACK 100100-3",
			"          by operator: wrong account",
			"          SZ.000001 平安银行: quantity 400 -> 100, cost 4000.00 -> 1000.00",
			"          cash: 991770.00 -> 994770.00")
	})
	s := p.awaitLine(">>> buy SZ.0000")
	if style, found := s.styleOf("TAKEN BACK"); style != "1" || !found {
		t.Errorf("TAKEN BACK is in style %q:\n%s", style, s)
	}
	if n := len(struckRows(s)); n != 1 {
		t.Errorf("%d lines are struck through:\n%s", n, s)
	}
	execAdmin(t, at.Admin, "correct", "100100-4", "--price", "42", "--quantity", "50", "--reason", "a typing error",
		"--actor", "ann")
	p.until("what was corrected", func(s screenState) bool {
		return s.inOrder("x        buy  SH.600036 招商银行      100 @     42.30  CORRECTED 100100-4",
			"          by operator: a typing error",
			"          now      buy  SH.600036 招商银行       50 @     42.00",
			"          SH.600036 招商银行: quantity 100 -> 50, cost 4230.00 -> 2100.00",
			"          cash: 994770.00 -> 996900.00")
	})
	p.awaitLine(">>> buy SZ.0000")

	p.types(keyCtrlU+"history", ">>> history")
	p.press(keyEnter)
	s = p.until("the history", func(s screenState) bool {
		return s.inOrder(">>> history", "buy SZ.000001 平安银行, taken back │      300 │",
			"buy SH.600036 招商银行, corrected  │      100 │",
			"TAKEN BACK 100100-3: wrong account │          │",
			"CORRECTED 100100-4: a typing error │       50 │ 42.00 │")
	})
	if rows := struckRows(s); len(rows) != 4 { // two in the tape, two in the history
		t.Errorf("struck through are %q:\n%s", rows, s)
	}
	p.press("quit" + keyEnter)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// struckRows returns the rows of the screen with struck-through text.
func struckRows(s screenState) (rows []string) {
	for _, row := range s.rows {
		for _, c := range row {
			if c.style == "9" {
				rows = append(rows, rowText(row))
				break
			}
		}
	}
	return rows
}

// TestTakenBackWhileAway checks that after a reconnect a trade and its bust are shown in order.
func TestTakenBackWhileAway(t *testing.T) {
	at := serveFixedAt(t)
	r := newRelay(t, at.Listen)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", r.addr, "--lang", "zh")
	c := otherSession(t, at.Listen)
	p.awaitPrompt()
	r.redirect("")
	p.awaitText("! 连接断开")
	buys(t, c, "SH", "600519", 200)
	execAdmin(t, at.Admin, "bust", "100100-2", "--reason", "价格有误")
	r.redirect(at.Listen)
	p.until("both", func(s screenState) bool {
		return s.inOrder("+        买入 SH.600519 贵州茅台      200 @   1480.00  其他会话       持有 200      100100-2",
			"x        买入 SH.600519 贵州茅台      200 @   1480.00  已撤销 100100-2", "operator：价格有误",
			"SH.600519 贵州茅台：数量 200 -> 0，成本 296000.00 -> 0.00", "现金：704000.00 -> 1000000.00", "* 已补齐")
	})
	p.awaitPrompt()
}
