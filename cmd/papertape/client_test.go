package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

// TestTerminalLogin checks that the customer, the list, the totals, the menu and the prompt are
// shown, in both languages, and that the columns of the list are aligned.
func TestTerminalLogin(t *testing.T) {
	at := serveFixed(t)
	for lang, want := range map[string][]string{
		"en": {
			"customer 100001, sequence 12, at " + at, "│ market │ code ",
			"total market value 785607.00, cash 1000000.00", "Commands:", "  buy ",
			"bye",
		},
		"zh": {
			"客户号 100001，序号 12，服务器 " + at, "│ 市场 │ 代码 ", "总市值 785607.00，现金 1000000.00", "命令：", "  买入 buy ",
			"再见",
		},
	} {
		p := startClient(t, []string{homeEnv(t)}, "--account", "100001", "--server", at, "--lang", lang)
		s := p.awaitPrompt()
		for _, text := range want[:len(want)-1] {
			if s.count(text) != 1 {
				t.Errorf("%s: %q is not on the screen:\n%s", lang, text, s)
			}
		}
		if s.count("Uid ") != 1 || s.count("SH     │ 688111 │ 金山办公")+s.count("SH   │ 688111 │ 金山办公") != 1 {
			t.Errorf("%s: the list is\n%s", lang, s)
		}
		widths := make(map[int]int)
		for _, l := range s.lines {
			if strings.ContainsAny(l, "│├┌└") {
				widths[text.StringWidthWithoutEscSequences(l)]++
			}
		}
		if len(widths) != 1 {
			t.Errorf("%s: lines of the list are of the widths %v:\n%s", lang, widths, s)
		}
		p.press(map[string]string{"en": "quit", "zh": "退出"}[lang] + keyEnter)
		if code := p.exitCode(); code != 0 {
			t.Errorf("%s: exit code %d", lang, code)
		}
		if s := p.look(); s.last() != want[len(want)-1] {
			t.Errorf("%s: it ends with\n%s", lang, s)
		}
	}
}

// TestPushAboveLine checks that events of another session appear above a half-typed line, which
// stays and can be continued and sent.
func TestPushAboveLine(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	c := otherSession(t, at)
	p.awaitPrompt()

	p.types("buy SZ.0000", ">>> buy SZ.0000")
	buys(t, c, "SH", "600036", 100)
	p.awaitText("+        buy  SH.600036 招商银行      100 @     42.30  other session  holds 100      100100-2")
	p.awaitLine(">>> buy SZ.0000")
	p.types("01 200", ">>> buy SZ.000001 200")
	p.press(keyEnter)
	p.awaitText("+        buy  SZ.000001 平安银行      200 @     10.00  you            holds 200      100100-3")
	p.awaitPrompt()

	// Wide letters, with the cursor in the middle of the line.
	p.types("买入 平安行 300", ">>> 买入 平安行 300")
	p.press(strings.Repeat(keyLeft, 5))
	p.until("the cursor before 行", func(s screenState) bool { return s.cursorLine == ">>> 买入 平安" })
	buys(t, c, "SH", "600036", 300)
	p.until("the push, and the cursor where it was", func(s screenState) bool {
		return s.count("Δ+300    buy  SH.600036 招商银行") == 1 && s.last() == ">>> 买入 平安行 300" &&
			s.cursorLine == ">>> 买入 平安"
	})
	p.press("银")
	p.until("the line completed", func(s screenState) bool { return s.last() == ">>> 买入 平安银行 300" })
	p.press(keyEnter)
	s := p.awaitText("Δ+300    buy  SZ.000001 平安银行      300 @     10.00  you            holds 500      100100-5")

	// The tape is contiguous: nothing was overwritten.
	var tape []string
	for _, l := range s.lines {
		if _, id, ok := strings.Cut(l, "100100-"); ok {
			tape = append(tape, id)
		}
	}
	if got := strings.Join(tape, " "); got != "2 3 4 5" {
		t.Errorf("the tape has %s:\n%s", got, s)
	}
	if n := s.count(">>> buy SZ.0000"); n != 1 { // the line that was sent
		t.Errorf("%d half-typed lines were left behind:\n%s", n, s)
	}
}

// TestManyPushesWhileTyping has letters and pushes arrive at the same time, on a line that is wider
// than the screen.
func TestManyPushesWhileTyping(t *testing.T) {
	const pushes = 60
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	c := otherSession(t, at)
	p.awaitPrompt()
	long := "# " + strings.Repeat("一句很长的话 with a long tail, ", 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range pushes {
			buys(t, c, "SH", "601398", 1)
		}
	}()
	for _, letter := range long {
		p.press(string(letter))
	}
	<-done
	wanted := strings.TrimRight(strings.ReplaceAll(">>> "+long, " ", ""), " ")
	s := p.until("all pushes and the whole line", func(s screenState) bool {
		text := strings.ReplaceAll(strings.Join(s.lines, ""), " ", "")
		return s.count("SH.601398") == pushes && strings.HasSuffix(text, wanted)
	})
	if n := s.count(">>>"); n != 1 {
		t.Errorf("%d prompts, want the one:\n%s", n, s)
	}
	for seq := range pushes {
		if !slices.ContainsFunc(s.lines, func(l string) bool {
			return strings.HasSuffix(l, "100100-"+strconv.Itoa(seq+2))
		}) {
			t.Errorf("trade %d is not on the tape:\n%s", seq+2, s)
		}
	}
	p.press(keyEnter) // a comment has no effect
	p.awaitPrompt()
	p.press("buy SH.601398 1" + keyEnter)
	p.awaitText("you            holds 61       100100-62")
}

// TestLinesAmongPushes sends lines while pushes arrive, and checks that each line is on the screen
// once, after one prompt.
func TestLinesAmongPushes(t *testing.T) {
	const many = 150
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	c := otherSession(t, at)
	p.awaitPrompt()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range many {
			buys(t, c, "SH", "601398", 1)
		}
	}()
	for n := range many {
		p.press("# line " + strconv.Itoa(n) + keyEnter)
	}
	<-done
	s := p.until("all pushes, and an empty line", func(s screenState) bool {
		return s.count("SH.601398") == many && s.count(">>> # line "+strconv.Itoa(many-1)) == 1 && s.last() == ">>>"
	})
	if n := s.count(">>>"); n != many+1 {
		t.Errorf("%d prompts, want %d:\n%s", n, many+1, s)
	}
	for n := range many {
		if !slices.Contains(s.lines, ">>> # line "+strconv.Itoa(n)) {
			t.Errorf("line %d is not on the screen:\n%s", n, s)
		}
	}
}

// TestCompletion checks that the tab key completes commands and codes, and lists the choices.
func TestCompletion(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("bu"+keyTab, ">>> buy ")
	p.types("6005"+keyTab, ">>> buy SH.6005")
	p.press(keyTab)
	p.awaitText("SH.600519 贵州茅台  SH.600585 海螺水泥")
	p.awaitLine(">>> buy SH.6005")
	p.types("1"+keyTab, ">>> buy SH.600519 ")
	p.types("100", ">>> buy SH.600519 100")
	p.press(keyEnter)
	p.awaitText("+        buy  SH.600519 贵州茅台      100 @   1480.00  you")
	p.types("sell "+keyTab, ">>> sell SH.600519 ") // the only one held
	p.press(keyCtrlU)
	p.awaitPrompt()

	// In the middle of a line.
	p.types("hol now", ">>> hol now")
	p.press(strings.Repeat(keyLeft, 4) + keyTab)
	p.until("holding, before the rest", func(s screenState) bool {
		return s.last() == ">>> holding  now" && s.cursorLine == ">>> holding"
	})

	// What cannot be completed stays as it is, and rings the bell.
	p.press(keyCtrlU + keyEnd + keyCtrlU)
	p.awaitPrompt()
	bells := p.look().bells
	p.press("frob" + keyTab)
	p.until("a bell", func(s screenState) bool { return s.bells == bells+1 && s.last() == ">>> frob" })
}

// TestLineHistory checks that the up key recalls lines, including those of the previous run.
func TestLineHistory(t *testing.T) {
	at := serveFixed(t)
	state := t.TempDir()
	env := []string{"HOME=/nowhere", "XDG_STATE_HOME=" + state}
	p := startClient(t, env, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.press("buy SZ.000001 100" + keyEnter)
	p.awaitText("holds 100 ")
	p.press("quote SZ.000001" + keyEnter)
	p.awaitText("SZ.000001 平安银行: 10.00 (+0.00%), open")
	p.awaitPrompt()
	p.types(keyUp, ">>> quote SZ.000001")
	p.types(keyUp, ">>> buy SZ.000001 100")
	p.press(keyEnter)
	p.awaitText("holds 200 ")
	p.press("quit" + keyEnter)
	if code := p.exitCode(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	info, err := os.Stat(filepath.Join(state, "papertape", "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history is %v, %v; want a file for its owner alone", info, err)
	}

	p = startClient(t, env, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types(keyUp, ">>> quit")
	p.types(keyUp, ">>> buy SZ.000001 100")

	// If the history cannot be saved, it covers this run only.
	p = startClient(t, []string{"HOME=/dev/null"}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.press("quote SZ.000001" + keyEnter)
	p.awaitText("SZ.000001 平安银行: 10.00 (+0.00%), open")
	p.awaitPrompt()
	p.types(keyUp, ">>> quote SZ.000001")
}

// TestCtrlC checks that Ctrl-C clears a half-typed line, on an empty line prints how to leave, and
// leaves when pressed twice. Ctrl-D leaves.
func TestCtrlC(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy SZ.000001 100", ">>> buy SZ.000001 100")
	p.press(keyCtrlC)
	p.awaitText(">>> buy SZ.000001 100^C")
	p.awaitPrompt()
	p.press(keyCtrlC)
	p.awaitText("to leave: quit, Ctrl-D, or Ctrl-C once more")
	p.awaitPrompt()
	p.press("# something else" + keyEnter)
	p.awaitText("# something else")
	p.awaitPrompt()
	p.press(keyCtrlC)
	p.until("the hint again", func(s screenState) bool { return s.count("to leave:") == 2 && s.last() == ">>>" })
	p.awaitPrompt()
	p.press(keyCtrlC)
	if code := p.exitCode(); code != 0 || p.look().last() != "bye" {
		t.Errorf("exit code %d:\n%s", code, p.look())
	}

	p = startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.press(keyCtrlD)
	if code := p.exitCode(); code != 0 || p.look().last() != "bye" {
		t.Errorf("exit code %d:\n%s", code, p.look())
	}
	if s := p.look(); s.count("holds") != 0 {
		t.Errorf("something was bought:\n%s", s)
	}
}

// TestWaiting checks that the line can be edited while an answer is outstanding, that Ctrl-C stops
// waiting for it, and that the order appears on the tape if it is executed after all.
func TestWaiting(t *testing.T) {
	r := newRelay(t, serveFixed(t))
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", r.addr)
	p.awaitPrompt()
	p.press("quote SZ.000001" + keyEnter) // then it knows the instruments, which a buy would wait for
	p.awaitText("平安银行")
	p.awaitPrompt()
	r.hold()
	p.press("buy SZ.000001 100" + keyEnter)
	p.awaitPrompt()
	p.press("help" + keyEnter) // needs no answer
	p.until("the menu again", func(s screenState) bool { return s.count("Commands:") == 2 })
	p.press(strings.Repeat("holding"+keyEnter, 17)) // 16 commands may wait
	p.awaitText("too fast: 16 commands wait for their answers, this one was dropped: holding")
	p.awaitPrompt()
	p.press(keyCtrlC)
	p.awaitText("? gave up waiting for the answer to: buy SZ.000001 100; if the order is executed all the same, it " +
		"will appear here")
	r.pass()
	p.awaitText("+        buy  SZ.000001 平安银行      100 @     10.00  you            holds 100      100100-2")
	p.until("what waited", func(s screenState) bool {
		return s.count("total market value 1000.00, cash 999000.00") == 16
	})
	p.press("quit" + keyEnter)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestReconnect breaks the connection while a line is half typed. What happened meanwhile is
// announced and shown, and the line is unchanged.
func TestReconnect(t *testing.T) {
	at := serveFixed(t)
	r := newRelay(t, at)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", r.addr)
	c := otherSession(t, at)
	p.awaitPrompt()
	p.types("sell SZ.0000", ">>> sell SZ.0000")
	r.redirect("")
	p.awaitText("! connection lost: ")
	buys(t, c, "SZ", "000001", 100)
	buys(t, c, "SZ", "000001", 300)
	buys(t, c, "SH", "600519", 100)
	p.awaitLine(">>> sell SZ.0000")
	r.redirect(at)
	p.awaitText("* up to date: sequence 4")
	s := p.awaitLine(">>> sell SZ.0000")
	from := 0
	for _, want := range []string{
		"! connection lost: ", "* connected again after ", "* missed meanwhile: 3, as follows",
		"+        buy  SZ.000001 平安银行      100 @     10.00  other session  holds 100      100100-2",
		"Δ+300    buy  SZ.000001 平安银行      300 @     10.00  other session  holds 400      100100-3",
		"+        buy  SH.600519 贵州茅台      100 @   1480.00  other session  holds 100      100100-4",
		"* up to date: sequence 4",
	} {
		for from < len(s.lines) && !strings.Contains(s.lines[from], want) {
			from++
		}
	}
	if from >= len(s.lines) {
		t.Errorf("what was missed is not there, in order:\n%s", s)
	}
	p.types("01 100", ">>> sell SZ.000001 100")
	p.press(keyEnter)
	p.awaitText("Δ-100    sell SZ.000001 平安银行      100 @     10.00  you            holds 300      100100-5")

	// Nothing happens meanwhile.
	r.redirect(at)
	p.awaitText("* nothing was missed")

	// More events than the screen has room for: the last ones are shown.
	r.redirect("")
	p.until("lost again", func(s screenState) bool { return s.count("! connection lost: ") == 3 })
	for range 103 {
		buys(t, c, "SH", "601398", 1)
	}
	r.redirect(at)
	p.awaitText("* missed meanwhile: 103, as follows")
	s = p.awaitText("* up to date: sequence 108")
	if s.count("* the first 3 are not shown; see history") != 1 || s.count("SH.601398") != 100 ||
		s.count("100100-8 ")+s.count("100100-9 ") != 0 {
		t.Errorf("of 103 missed events it shows\n%s", s)
	}
}

// TestResync checks that the terminal shows the differences and continues when the server returns
// with another history.
func TestResync(t *testing.T) {
	first := serveFixed(t)
	r := newRelay(t, first)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", r.addr)
	p.awaitPrompt()
	p.press("buy SZ.000001 300" + keyEnter)
	p.awaitText("holds 300 ")
	p.types("hold", ">>> hold")
	r.redirect(serveFixed(t))
	p.awaitText("the server has another history now, and the list is taken from it")
	p.awaitText("  SZ.000001 平安银行: quantity 300 -> 0, cost 3000.00 -> 0.00")
	p.awaitText("  cash: 997000.00 -> 1000000.00")
	p.awaitLine(">>> hold")
	p.press("ing" + keyEnter)
	p.until("an empty list", func(s screenState) bool { return s.count("no positions") == 2 })
	p.press("buy SZ.000001 100" + keyEnter)
	p.awaitText("you            holds 100      100100-2")
}

// TestPresence checks that logins and logouts of others are shown while presence is on.
func TestPresence(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.press("presence on" + keyEnter)
	p.awaitText("logins and logouts will be shown")
	c := otherSession(t, at)
	p.awaitText("+ customer 100100 logged in, uid 2; sessions now 2")
	_ = c.Close()
	p.awaitText("- customer 100100 logged out, uid 2; sessions now 1")
	p.press("presence off" + keyEnter)
	p.awaitText("logins and logouts will not be shown")
	otherSession(t, at)
	p.press("holding" + keyEnter) // a login would have been shown before this answer
	s := p.until("the list", func(s screenState) bool { return s.count("no positions") == 2 })
	if s.count("uid 3") != 0 {
		t.Errorf("a login is shown:\n%s", s)
	}
}

// TestColours checks that red means up by default, and that NO_COLOR leaves the signs and words.
func TestColours(t *testing.T) {
	at := serveFixed(t)
	for _, c := range []struct {
		env, flag, up, down string
	}{{"X=1", "cn", "31", "32"}, {"X=1", "western", "32", "31"}, {"NO_COLOR=1", "cn", "", ""}} {
		p := startClient(t, []string{homeEnv(t), c.env}, "--account", "100100", "--server", at, "--colors", c.flag)
		p.awaitPrompt()
		p.press("buy SH.600036 300" + keyEnter)
		p.awaitText("you            holds 300 ")
		p.press("sell SH.600036 100" + keyEnter)
		p.awaitText("Δ-100    sell SH.600036")
		p.press("sell SH.600036 200" + keyEnter)
		s := p.awaitText("-        sell SH.600036")
		up, found := s.styleOf("+        buy")
		down, foundToo := s.styleOf("Δ-100    sell")
		if !found || !foundToo || up != c.up && up != "" || down != c.down && down != "" {
			t.Errorf("%+v: up is %q, down %q", c, up, down)
		}
		if mark, _ := s.styleOf("Δ-100"); mark != c.down {
			t.Errorf("%+v: Δ-100 is in %q", c, mark)
		}
	}
}

// TestDumbTerminal checks that a terminal that cannot move its cursor is read line by line.
func TestDumbTerminal(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t), "TERM=dumb"}, "--account", "100100", "--server", at)
	p.awaitText("total market value 0.00, cash 1000000.00")
	p.press("buy SZ.000001 100\n")
	s := p.awaitText("you            holds 100      100100-2")
	if style, _ := s.styleOf("+        buy"); style != "" || s.count(">>>") > 0 {
		t.Errorf("there is a style %q, or a prompt:\n%s", style, s)
	}
	p.press(keyCtrlD)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestHangUp checks that an unsent line is not sent when the terminal hangs up.
func TestHangUp(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy SZ.000001 100", ">>> buy SZ.000001 100")
	if err := p.tty.Close(); err != nil {
		t.Fatal(err)
	}
	p.exitCode()
	h, err := otherSession(t, at).Holdings(t.Context())
	if err != nil || h.AsOfSeq != 1 {
		t.Errorf("the account is %v, %v: expected nothing to have happened", h, err)
	}
}

// TestTerminalTold checks that on SIGTERM the program ends cleanly and restores the terminal.
func TestTerminalTold(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	fresh := freshModes(t)
	p.awaitPrompt()
	p.types("buy", ">>> buy")
	raw := p.modes()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.awaitText("bye")
	if after := p.modes(); !reflect.DeepEqual(after, fresh) || reflect.DeepEqual(after, raw) {
		t.Errorf("the terminal's modes were\n%+v, with a line\n%+v, and are\n%+v", fresh, raw, after)
	}
}

// TestSuspendNowhere checks that without a shell to return to nothing is suspended, and the line
// stays usable.
func TestSuspendNowhere(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "100100", "--server", at)
	p.awaitPrompt()
	p.types("buy SZ.000001", ">>> buy SZ.000001")
	raw := p.modes()
	for range 3 {
		p.press(keyCtrlZ)
		p.types(" 1", ">>> buy SZ.000001 1")
		p.types("\b\b", ">>> buy SZ.000001")
	}
	if now := p.modes(); !reflect.DeepEqual(now, raw) || !p.look().marks {
		t.Errorf("it goes on with the modes %+v, and had %+v", now, raw)
	}
	p.press(keyCtrlZ + keyCtrlC + keyCtrlC + keyCtrlC)
	if code := p.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestUnknownCustomer checks that an error ends the program and is printed.
func TestUnknownCustomer(t *testing.T) {
	at := serveFixed(t)
	p := startClient(t, []string{homeEnv(t)}, "--account", "5", "--server", at)
	if code := p.exitCode(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	p.awaitText("papertape: refused, unknown customer: ")
}
