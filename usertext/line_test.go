package usertext

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestCheckLine: ordinary text is accepted, and text that hides something is not.
func TestCheckLine(t *testing.T) {
	for _, line := range []string{
		"wrong price", "价格有误", "价格　有误", "a", "naïve café", "na\u0303o", "שגיאת מחיר", "سعر خاطئ", `"quoted" \ back`,
		"<b>&amp;", "#1 & co.",
		"می\u200cخواهم",                // Persian: a non-joiner within a word
		"क\u094d\u200dष",               // Hindi: a joiner after a virama
		"ന\u0d4d\u200d",                // Malayalam: the same at the end of a word
		"👩\u200d👩\u200d👧", "👩🏽\u200d💻", // joined emoji
		"❤\ufe0f", "🏳\ufe0f\u200d🌈", "1\ufe0f\u20e3", "☎\ufe0e",
		"葛\U000e0100城", // a variant of a Han character
		"ᠠ\u180b",      // a variant of a Mongolian letter
		strings.Repeat("x", 200),
	} {
		if err := CheckLine(line, 200); err != nil {
			t.Errorf("%q %v", line, err)
		}
		if shown := Shown(line); shown != strings.ReplaceAll(line, "　", " ") {
			t.Errorf("%q is shown as %q", line, shown)
		}
	}
	for line, want := range map[string]string{
		"":                       "must be one line of 1 to 200 bytes; it has 0",
		strings.Repeat("x", 201): "must be one line of 1 to 200 bytes; it has 201",
		"a\xffb":                 "must be text in UTF-8; it is not",
		"\xed\xa0\x80":           "must be text in UTF-8; it is not", // half of a surrogate pair
		" ":                      "must say something; it is blank",
		"\u00a0\u3000\u2003":     "must say something; it is blank",
		"\u2800\u2800":           "must say something; it is blank",
		" a":                     "must neither begin nor end with a blank",
		"a\u3000":                "must neither begin nor end with a blank",
		"\u0301a": "must begin with a letter; it begins with the mark U+0301, which would be drawn " +
			"on what stands before it",
	} {
		if err := CheckLine(line, 200); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
	for _, r := range []rune{
		0, '\t', '\n', '\r', 0x1b, 0x7f, 0x85, 0x9b, // control
		// Format characters.
		0xad, 0x61c, 0x180e, 0x200b, 0x200e, 0x200f, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff, 0xfff9, 0xe0041,
		0x2028, 0x2029, 0xe000, 0xf8ff, 0x10fffd, 0xfffd, 0xfffe, 0xfdd0, // line endings, private use, not characters
		0x34f, 0x115f, 0x1160, 0x17b4, 0x2065, 0x3164, 0xffa0, 0x1d159, 0xe0fff, // invisible
		0x200c, 0x200d, 0xfe0f, 0xfe00, 0xe0100, 0x180b, // nothing to join or to vary
	} {
		for _, line := range []string{"a" + string(r) + "b", string(r), "价" + string(r) + " 格", "a" + string(r)} {
			if err := CheckLine(line, 200); err == nil {
				if strings.ContainsRune(line, '价') && (r == 0xe0100 || r == 0xfe00) {
					continue // a variant of that character
				}
				t.Errorf("%q, which hides %U, is taken", line, r)
			}
		}
		if shown := Shown("a" + string(r) + "b"); shown != "a?b" && shown != "a b" {
			t.Errorf("%U is shown as %q", r, shown)
		}
	}
}

// TestShown: text on a screen never moves the cursor.
func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                       "plain",
		"贵州茅台":                        "贵州茅台",
		"a\x1b[2J\x1b]0;title\x07b":   "a?[2J?]0;title?b",
		"a\u009b31mb":                 "a?31mb",
		"a\xffb":                      "a?b",
		"buy\u202e\u2066yub":          "buy??yub",
		"one\ntwo\rthree\tfour\u2028": "one two three four ",
	} {
		if got := Shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := ShownLines("one\x1b\ntwo\r\n"); got != "one?\ntwo \n" {
		t.Errorf("%q", got)
	}
}

// FuzzShown: shown text hides nothing, and showing it again does not change it.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{"a\x1b[2J", "\u202e", "👩\u200d👩", "a\xff", "می\u200cخ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := Shown(text)
		if r, hides := Hidden(shown); hides || strings.ContainsAny(shown, "\r\n\x1b") {
			t.Errorf("%q is shown as %q, with %U", text, shown, r)
		}
		if again := Shown(shown); again != shown {
			t.Errorf("%q is shown as %q, and that as %q", text, shown, again)
		}
	})
}

// TestShownJSON: the text means the same to a program, and does not move the cursor.
func TestShownJSON(t *testing.T) {
	const value = "贵州茅台 👩\u200d👩 \u202e\u2066\u009b\x7f\ufeff\u200b\U000e0041\ue000 <&>\""
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]string{value: value}); err != nil {
		t.Fatal(err)
	}
	shown := ShownJSON([]byte(b.String()))
	for line := range strings.Lines(string(shown)) {
		if r, hides := Hidden(strings.TrimSuffix(line, "\n")); hides {
			t.Errorf("%U is in %q", r, line)
		}
	}
	if !strings.Contains(string(shown), `贵州茅台 👩`+"\u200d"+`👩 \u202e\u2066\u009b\u007f\ufeff\u200b\udb40\udc41\ue000`) {
		t.Errorf("it is %s", shown)
	}
	var again map[string]string
	if err := json.Unmarshal(shown, &again); err != nil || again[value] != value {
		t.Errorf("%v, %q", err, again)
	}
}
