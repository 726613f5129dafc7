package terminal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/usertext"
)

// TestComment: # begins a comment wherever it stands, typed narrow or wide. The command before it
// means the same as without the comment.
func TestComment(t *testing.T) {
	for _, command := range []string{
		"buy SH.600519 100", "sell SH 600519 100 @ 1480", "holding", "history 5", "quote", "quote SH.600519",
		"presence on", "help", "quit",
	} {
		want, err := english.parse(command)
		if err != nil {
			t.Fatal(err)
		}
		for _, comment := range []string{" # note", " #", "# note", "\t# 100 # twice", " ＃ 备注", " # buy SH.600519 5",
			" # \u200b"} {
			got, err := english.parse(command + comment)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q: %+v, %v, want %+v", command+comment, got, err, want)
			}
		}
	}
	for line, want := range map[string]string{
		"buy SH.600519 # 100": "how many shares of SH.600519?", "buy # all of it": "buy what?",
		"buy SH.600519 100 @ # 12": "there is no price",
	} {
		if _, err := english.parse(line); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}

// TestNumbersTyped: only decimal digits are a number.
func TestNumbersTyped(t *testing.T) {
	for _, line := range []string{"buy SH.600519 0100", "buy SH.600519 １００", "buy SH.600519 100"} {
		if cmd, err := english.parse(line); err != nil || cmd.quantity != 100 {
			t.Errorf("%q: %+v, %v", line, cmd, err)
		}
	}
	if cmd, err := english.parse("history 010"); err != nil || cmd.count != 10 {
		t.Errorf("history 010: %+v, %v", cmd, err)
	}
	for _, n := range []string{"0x64", "1_000", "1e3", "0b1", "0o7", "1,000", "1000000001", "九"} {
		for line, want := range map[string]string{"buy SH.600519 " + n: "is no quantity",
			"history " + n: "is no number of events"} {
			if _, err := english.parse(line); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// TestHiddenCharacters: invisible characters in pasted text are reported, by their number.
func TestHiddenCharacters(t *testing.T) {
	for line, want := range map[string]string{
		"buy SH.600519\u200b 100": "\"SH.600519?\" has the character U+200B, which cannot be seen; type the " +
			"word anew",
		"b\u202euy SH.600519 100":   `has the character U+202E`,
		"buy SH.600519 100\x1b[31m": `has the character U+001B`,
		"buy SH.600519 1\ufffd00":   `has the character U+FFFD`,
	} {
		if _, err := english.parse(line); err == nil || !strings.Contains(err.Error(), want) ||
			usertext.Shown(err.Error()) != err.Error() {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
	if cmd, err := english.parse("buy\tSH.600519\u00a0100\u2003"); err != nil || cmd.quantity != 100 {
		t.Errorf("other blanks: %+v, %v", cmd, err)
	}
}

// TestPipeText: commands mean the same whatever program wrote the file. The last line may lack its
// end.
func TestPipeText(t *testing.T) {
	for _, text := range []string{
		"buy SH.600519 300\nbuy SH.600519 100", "\ufeffbuy SH.600519 300\r\nbuy SH.600519 100\r\n",
		"buy SH.600519 300\rbuy SH.600519 100\r",
		"buy SH.600519 300\r\n\r\n\ufeffbuy SH.600519 100",
	} {
		f := newFake(t, holdingsOf(1, 100))
		r := startRun(t, f.addr, nil)
		go func() {
			_, _ = r.in.Write([]byte(text))
			_ = r.in.Close()
		}()
		first, second := f.filled(2, client.Increased, maotai(400)), f.filled(3, client.Increased, maotai(500))
		if err := r.end(); err != nil || first.GetQuantity() != 300 || second.GetQuantity() != 100 {
			t.Errorf("%q: %v, and the orders are %v and %v", text, err, first, second)
		}
	}
}

// TestPipeNoText: a line that is not text is reported with its number, after the lines before it
// were executed.
func TestPipeNoText(t *testing.T) {
	for _, c := range []struct{ text, en, zh string }{
		{
			strings.Repeat("x", 100<<10), "line 2: it is longer than 65536 bytes, the most that a line may " +
				"have; a line is one command",
			"第 2 行：超过 65536 字节，这是一行的上限；一行是一条命令",
		},
		{
			"buy\x00", "line 2: there is a NUL byte, which no text has; if this is UTF-16, save it as UTF-8",
			"第 2 行：有 NUL 字节，不是文本；如果这是 UTF-16，请另存为 UTF-8",
		},
		{"\xc2\xf2\xc8\xeb", "line 2: this is not text in UTF-8; save it as UTF-8", "第 2 行：这不是 UTF-8 文本；请另存为 UTF-8"},
	} {
		for lang, want := range map[Language]string{English: c.en, Chinese: c.zh} {
			f := newFake(t, holdingsOf(1, 100))
			r := startRun(t, f.addr, func(cfg *Config) { cfg.Lang = lang })
			go func() {
				_, _ = r.in.Write([]byte("buy SH.600519 300\n" + c.text + "\nbuy SH.600519 100\n"))
				_ = r.in.Close()
			}()
			f.filled(2, client.Increased, maotai(400))
			err := r.end()
			var line *LineError
			if !errors.As(err, &line) || line.Number != 2 || !line.Usage || err.Error() != want {
				t.Errorf("%.20q: %v\nwant %s", c.text, err, want)
			}
			_ = r.in.Close() // lets the writer end
		}
	}
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, nil)
	go func() {
		_, _ = r.in.Write([]byte("\xff\xfeb\x00u\x00y\x00\n\x00"))
		_ = r.in.Close()
	}()
	if err := r.end(); err == nil || err.Error() != "line 1: this is UTF-16; save it as UTF-8" {
		t.Errorf("UTF-16: %v", err)
	}
}

const hostile = "\x1b[2J\x1b]0;owned\x07\u202e\u2066\u200b\u2028\u009b31m\r\n"

// TestHostileServer: no name or reason from a server can move the cursor or reverse the direction
// of text.
func TestHostileServer(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		holdings := holdingsOf(1, 100)
		holdings.Positions[0].Name = "茅台" + hostile
		f := newFake(t, holdings)
		for _, in := range f.instruments {
			in.Name += hostile
		}
		f.instruments[0].Name = hostile
		r := startRun(t, f.addr, func(cfg *Config) { cfg.JSON = asJSON })
		bought := traded(2, client.Buy, 300, client.Increased, maotai(400), client.OriginSimulator)
		bought.GetTrade().Name = hostile + "茅台"
		f.push(bought)
		f.push(&papertapev1.AccountEvent{
			Account: customer, Seq: 3, Time: noon.UnixNano(), Change: papertapev1.Change_CHANGE_DECREASED,
			Cash:      &papertapev1.Cash{Balance: 999999_0000},
			Positions: holdings.Positions, What: &papertapev1.AccountEvent_Bust{Bust: &papertapev1.Bust{
				TradeId: hostile, Reason: "why" + hostile, Actor: "ann" + hostile, Original: bought.GetTrade(),
				Cascade: []string{hostile},
			}},
		})
		f.push(&papertapev1.AccountEvent{
			Account: customer, Seq: 4, Time: noon.UnixNano(), Cash: &papertapev1.Cash{Balance: 999999_0000},
			What: &papertapev1.AccountEvent_Adjustment{Adjustment: &papertapev1.Adjustment{Cash: 1_0000,
				Reason: hostile, Actor: hostile}},
		})
		f.push(&papertapev1.AccountEvent{
			Account: customer, Seq: 5, Time: noon.UnixNano(), Cash: &papertapev1.Cash{Balance: 1_0000},
			What: &papertapev1.AccountEvent_Reset_{Reset_: &papertapev1.Reset{Cash: 1_0000, Reason: hostile,
				Actor: hostile}},
			Positions: []*papertapev1.Position{{Market: hostile, Code: hostile}},
		})
		go func() { r.say("quote\nbuy SH.600519 1") }()
		f.refuse(1, "no"+hostile)
		err := r.end()
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v", err)
		}
		for where, text := range map[string]string{"data": r.out.String(), "notices": r.notices.String(),
			"error": err.Error()} {
			for line := range strings.Lines(text) {
				if c, hides := usertext.Hidden(strings.TrimSuffix(line, "\n")); hides {
					t.Errorf("JSON %v: the %s has %U in %q", asJSON, where, c, line)
				}
			}
		}
	}
}

// TestEveryLineIsJSON: with -o json every answer is an object on a line of its own, also those of
// help and presence.
func TestEveryLineIsJSON(t *testing.T) {
	f := newFake(t, holdingsOf(1, 100))
	r := startRun(t, f.addr, func(cfg *Config) { cfg.JSON, cfg.Echo = true, true })
	go func() {
		r.say("help\n# a note\npresence on")
		_ = r.in.Close()
	}()
	f.frames <- codec.Append(nil, codec.TypeSubscribed, codec.FlagReply,
		f.request(codec.TypeSubscribe, new(papertapev1.Subscribe)), &papertapev1.Subscribed{Presence: true})
	if err := r.end(); err != nil {
		t.Error(err)
	}
	var types []string
	for line := range strings.Lines(r.out.String()) {
		var v struct{ Type string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		types = append(types, v.Type)
	}
	if got := strings.Join(types, " "); got != "login help subscription" {
		t.Errorf("the lines are of types %s", got)
	}
	alone := startRun(t, "127.0.0.1:1", func(cfg *Config) { cfg.JSON, cfg.Words = true, []string{"help"} })
	if err := alone.end(); err != nil || !strings.HasPrefix(alone.out.String(),
		`{"type":"help","commands":[{"names":["buy","b"],"form":"SH.600519 100`) {
		t.Errorf("help alone: %v, %s", err, alone.out)
	}
}

// TestHistoryFile: lines are kept in a private file. If the path is not a regular file, nothing
// waits for it.
func TestHistoryFile(t *testing.T) {
	state := t.TempDir()
	getenv := func(name string) string { return map[string]string{"XDG_STATE_HOME": state}[name] }
	name := filepath.Join(state, "papertape", "history")
	for range 2 {
		if got := historyFile(getenv); got != name {
			t.Errorf("it is %q", got)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if err := os.Chmod(name, 0o644); err != nil { // as readline leaves it
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := historyFile(getenv); got != "" {
		t.Errorf("a pipe with somebody at its other end: %q", got)
	}
	_ = reader.Close()
	if got := historyFile(getenv); got != "" {
		t.Errorf("a pipe with nobody at its other end: %q", got)
	}
	home := t.TempDir()
	getenv = func(name string) string { return map[string]string{"HOME": home, "XDG_STATE_HOME": "relative"}[name] }
	if got := historyFile(getenv); got != filepath.Join(home, ".local", "state", "papertape", "history") {
		t.Errorf("without a directory of its own: %q", got)
	}
}
