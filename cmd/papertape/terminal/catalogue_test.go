package terminal

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
)

var formatVerb = regexp.MustCompile(`%(?:\[(\d+)\])?([a-z%])`)

// verbsOf returns the formatting verbs of a text with the values they take, sorted.
func verbsOf(format string) (found []string) {
	next := 1
	for _, m := range formatVerb.FindAllStringSubmatch(format, -1) {
		if m[2] == "%" {
			continue
		}
		if m[1] != "" {
			next, _ = strconv.Atoi(m[1])
		}
		found = append(found, strconv.Itoa(next)+m[2])
		next++
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestCatalogues: both languages have every text, and each text takes the same values.
func TestCatalogues(t *testing.T) {
	for k := range keys {
		en, zh := english.texts[k], chinese.texts[k]
		if en == "" || zh == "" {
			t.Errorf("text %d: %q in English, %q in Chinese: one is missing", k, en, zh)
		}
		if e, z := verbsOf(en), verbsOf(zh); !slices.Equal(e, z) {
			t.Errorf("text %d takes other values in Chinese:\n%q %v\n%q %v", k, en, e, zh, z)
		}
		if strings.TrimSpace(en) == "" || strings.HasSuffix(en, "\n") || strings.HasSuffix(zh, "\n") {
			t.Errorf("text %d: %q, %q: lines are ended by who writes them", k, en, zh)
		}
	}
	for code := range papertapev1.RejectCode_name {
		c := client.RejectCode(code)
		if english.refused[c] == "" || chinese.refused[c] == "" {
			t.Errorf("%v is called %q in English, %q in Chinese", c, english.refused[c], chinese.refused[c])
		}
	}
	for code := range papertapev1.GoodbyeReason_name {
		r := client.GoodbyeReason(code)
		if english.goodbye[r] == "" || chinese.goodbye[r] == "" {
			t.Errorf("%v is called %q in English, %q in Chinese", r, english.goodbye[r], chinese.goodbye[r])
		}
	}
}

func TestVerbsOf(t *testing.T) {
	if got := verbsOf("%d of %s, 5%%, %[1]d again, %[3]q"); !slices.Equal(got, []string{"1d", "2s", "3q"}) {
		t.Errorf("the verbs are %v", got)
	}
}

// TestCommandNames: the languages have the same commands in the same order, and no name has two
// meanings.
func TestCommandNames(t *testing.T) {
	names := make(map[string]verb)
	for i := range english.verbs {
		en, zh := &english.verbs[i], &chinese.verbs[i]
		if en.verb != zh.verb || en.verb != verb(i+1) || en.form != zh.form || en.help == "" || zh.help == "" {
			t.Errorf("command %d: %+v in English, %+v in Chinese", i, en, zh)
		}
		for _, name := range append(slices.Clone(en.names), zh.names...) {
			if names[name] != 0 {
				t.Errorf("%q is the name of two commands", name)
			}
			names[name] = en.verb
			if got, err := chinese.verbOf(strings.ToUpper(name)); err != nil || got != en.verb {
				t.Errorf("%q is command %v, %v; want %v", name, got, err, en.verb)
			}
		}
	}
	if len(english.verbs) != int(verbQuit) || len(chinese.verbs) != int(verbQuit) {
		t.Errorf("%d and %d commands, want %d", len(english.verbs), len(chinese.verbs), verbQuit)
	}
	for _, c := range []*catalogue{&english, &chinese} {
		menu := c.menu()
		for i := range c.verbs {
			if !strings.Contains(menu, "  "+c.verbs[i].names[0]+" ") || !strings.Contains(menu, c.verbs[i].help+"\n") {
				t.Errorf("%q is not on the menu:\n%s", c.verbs[i].names[0], menu)
			}
		}
	}
}

func TestLanguageOf(t *testing.T) {
	for _, c := range []struct {
		all, messages, lang string
		want                Language
	}{
		{"", "", "zh_CN.UTF-8", Chinese},
		{"", "", "", English},
		{"", "en_US.UTF-8", "zh_CN.UTF-8", English},
		{"ZH_TW", "en_US.UTF-8", "C", Chinese},
		{"C", "zh_CN", "zh_CN", English},
	} {
		got := LanguageOf(func(name string) string {
			return map[string]string{"LC_ALL": c.all, "LC_MESSAGES": c.messages, "LANG": c.lang}[name]
		})
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
