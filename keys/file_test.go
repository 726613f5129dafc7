package keys

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const someVerifier = "hmac:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// exampleFile is as docs/security.md shows a file.
const exampleFile = `papertape keys 1
# id                 verifier

PK7Q2M4XTB3DJ6WN     ` + someVerifier + `   trade  100010-100019,100001   name="desk 7" expires=2027-06-30
PKX4C2RZ81M0QAVT     ` + someVerifier + "\tread *  name=risk" + `
PKDESK0OPERATOR1     ` + someVerifier + ` operate - name=desk-operator
PKGRAFANA0000001     ` + someVerifier + ` watch   - name=grafana from=10.0.0.0/8,2001:db8::1 expires=2027-06-30T18:00:00+08:00
`

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := Parse([]byte(exampleFile))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, k := range f.Keys() {
		fmt.Fprintln(&got, k.ID, k.Role, k.Accounts, k.Name, k.Expires.Format(time.RFC3339), FormatSources(k.From))
	}
	const want = `PK7Q2M4XTB3DJ6WN trade 100001,100010-100019 desk 7 2027-06-30T00:00:00Z 
PKX4C2RZ81M0QAVT read * risk 0001-01-01T00:00:00Z 
PKDESK0OPERATOR1 operate - desk-operator 0001-01-01T00:00:00Z 
PKGRAFANA0000001 watch - grafana 2027-06-30T10:00:00Z 10.0.0.0/8,2001:db8::1
`
	if got.String() != want {
		t.Errorf("it says\n%swant\n%s", got.String(), want)
	}
	if string(f.Text()) != exampleFile {
		t.Errorf("it is written as\n%s", f.Text())
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const first = "papertape keys 1\n"
	for _, c := range []struct{ text, want string }{
		{"", "line 1: there is nothing here"},
		{"# nothing\n", "line 1: there is nothing here"},
		{"papertape keys 2\n", "line 1: a file of keys begins with the line papertape keys 1"},
		{"a " + someVerifier + " read * name=x\n", "line 1: a file of keys begins"},
		{first + "\n\nA", "line 4: a key has an id, a verifier, a role and accounts"},
		{first + "a b c\n", "line 2: a key has an id"},
		{first + "a:b " + someVerifier + " read * name=x", `line 2: the id "a:b" must be 1 to 64 letters`},
		{first + strings.Repeat("a", 65) + " " + someVerifier + " read * name=x", "must be 1 to 64 letters"},
		{first + "a ed25519:MCow read * name=x", "line 2: keys of the kind ed25519 come later"},
		{first + "a hmac:short read * name=x", "line 2: the verifier must be 43 characters"},
		{first + "a sha1:x read * name=x", "line 2: the verifier must begin with its kind"},
		{first + "a AAAA read * name=x", "line 2: the verifier must begin with its kind"},
		{first + "a " + someVerifier + " root * name=x", `line 2: there is no role "root"; write read, trade,`},
		{first + "a " + someVerifier + " read 0 name=x", "line 2: the accounts: 0 is out of range"},
		{first + "a " + someVerifier + " read 5-4 name=x", "line 2: the accounts: 4 is out of range; write 5 to"},
		{first + "a " + someVerifier + " read 1,,2 name=x", `line 2: the accounts: "" is not a whole number`},
		{first + "a " + someVerifier + " read 1,* name=x", `line 2: the accounts: "*" is not a whole number`},
		{first + "a " + someVerifier + " read - name=x", "line 2: a key of role read needs accounts"},
		{first + "a " + someVerifier + " watch * name=x", "line 2: a key of role watch has no accounts"},
		{first + "a " + someVerifier + " read *", "line 2: the key has no name"},
		{first + "a " + someVerifier + " read * name=", "line 2: the name must be one line"},
		{first + "a " + someVerifier + " read * name=\"x", "line 2: a quotation mark is not closed"},
		{first + "a " + someVerifier + ` read * name=a\b`, "line 2: the name must have no quotation mark"},
		{first + "a " + someVerifier + " read * name=a\u202e", "line 2: the name must be one line of plain text"},
		{first + "a " + someVerifier + " read * name=a name=b", `line 2: "name" is there twice`},
		{first + "a " + someVerifier + " read * name=a admin", `line 2: "admin" is not a part of a key`},
		{first + "a " + someVerifier + " read * name=a expires=soon", `line 2: "soon" is not a time`},
		{first + "a " + someVerifier + " read * name=a expires=2027-02-30", "is not a time"},
		{first + "a " + someVerifier + " read * name=a from=10.0.0.1/8", "the network is 10.0.0.0/8"},
		{first + "a " + someVerifier + " read * name=a from=example.com", "is not a network"},
		{first + "a " + someVerifier + " read * name=a from=::ffff:10.0.0.1", "is not a network"},
		{first + "a " + someVerifier + " read * name=a from=", "is not a network"},
		{first + "a " + someVerifier + " read * name=a\r\n\r\na " + someVerifier + " read * name=b",
			"line 4: the id a is on line 2"},
		{first + "a \xff", "line 2: this is not text in UTF-8"},
		{first + "a " + someVerifier + " read " + strings.Repeat("1,", RangesMax) + "1 name=a",
			"there are 1001 ranges"},
		{first + "a " + someVerifier + " read * name=a from=" + strings.Repeat("10.0.0.1,", 64) + "10.0.0.1",
			"more than 64"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.90q:\n got %v\nwant %s", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "AAAAAAAAAA") {
			t.Errorf("%.90q: the error has the verifier: %v", c.text, err)
		}
	}
}

func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	text.WriteString(firstLine + "\n")
	for i := range KeysMax {
		fmt.Fprintf(&text, "k%d %s read %d name=n\n", i, someVerifier, i+1)
	}
	f, err := Parse(text.Bytes())
	if err != nil || len(f.Keys()) != KeysMax {
		t.Fatalf("%v", err)
	}
	k := f.Keys()[0]
	if k.ID = "more"; f.Add(&k) == nil {
		t.Error("another key is added")
	}
	text.WriteString("more " + someVerifier + " read 1 name=n\n")
	var wrong *LineError
	if _, err := Parse(text.Bytes()); !errors.As(err, &wrong) || wrong.Line != KeysMax+2 {
		t.Errorf("another key: %v", err)
	}
}

// TestAccounts compares ranges with a set.
func TestAccounts(t *testing.T) {
	t.Parallel()
	const most = 40
	draw := func(t *rapid.T, name string) (Accounts, map[uint64]bool) {
		var parts []string
		set := make(map[uint64]bool)
		for range rapid.IntRange(1, 6).Draw(t, name) {
			first := rapid.Uint64Range(1, most).Draw(t, "first")
			last := min(most, first+rapid.Uint64Range(0, 9).Draw(t, "length"))
			if parts = append(parts, fmt.Sprintf("%d-%d", first, last)); first == last {
				parts[len(parts)-1] = fmt.Sprint(first)
			}
			for n := first; n <= last; n++ {
				set[n] = true
			}
		}
		a, err := ParseAccounts(strings.Join(parts, ","))
		if err != nil {
			t.Fatal(err)
		}
		return a, set
	}
	rapid.Check(t, func(t *rapid.T) {
		a, in := draw(t, "a")
		b, inB := draw(t, "b")
		covers := true
		for n := uint64(0); n <= most+1; n++ {
			if a.Has(n) != in[n] {
				t.Errorf("%v has %d: %v", a, n, a.Has(n))
			}
			covers = covers && (in[n] || !inB[n])
		}
		if a.Covers(&b) != covers || !a.Covers(&a) {
			t.Errorf("%v covers %v: %v", a, b, a.Covers(&b))
		}
		again, err := ParseAccounts(a.String())
		if err != nil || again.String() != a.String() || !again.Covers(&a) || !a.Covers(&again) {
			t.Errorf("%v is read as %v, %v", a, again, err)
		}
	})
	if touching, err := ParseAccounts("4-5,8,1-3"); err != nil || touching.String() != "1-5,8" {
		t.Errorf("ranges that touch become %v: %v", touching, err)
	}
	all, none := Accounts{all: true}, Accounts{}
	some, err := ParseAccounts(fmt.Sprintf("1,%d-%d", uint64(math.MaxUint64-1), uint64(math.MaxUint64)))
	if err != nil || !some.Has(math.MaxUint64) || some.Has(math.MaxUint64-2) || !some.Has(1) || some.Has(0) {
		t.Errorf("%v: %v", some, err)
	}
	if !all.Covers(&some) || some.Covers(&all) || !some.Covers(&none) || none.Covers(&some) || !all.Has(7) ||
		none.Has(7) {
		t.Error("all, some or none cover wrongly")
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	parse := func(text string) []netip.Prefix {
		if text == "" {
			return nil
		}
		list, err := ParseSources(text)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	k := Key{From: parse("10.0.0.0/8,192.0.2.7,2001:db8::/32")}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false,
		"2001:db8::7": true, "2001:db8::7%eth0": true, "2001:db9::7": false,
	} {
		if got := k.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if k.Allows(netip.Addr{}) || !new(Key).Allows(netip.Addr{}) {
		t.Error("a connection without an address is judged wrongly")
	}
	for _, c := range []struct {
		a, b   string
		covers bool
	}{
		{"", "", true}, {"", "10.0.0.1", true}, {"10.0.0.1", "", false}, {"10.0.0.0/8", "10.1.0.0/16,10.0.0.1", true},
		{"10.1.0.0/16", "10.0.0.0/8", false}, {"10.0.0.0/8", "10.0.0.1,11.0.0.1", false},
	} {
		if got := coverSources(parse(c.a), parse(c.b)); got != c.covers {
			t.Errorf("%q covers %q: %v", c.a, c.b, got)
		}
	}
}

// TestEdits: what is added, removed and made to expire is so when the file is read again, and nothing else changes.
func TestEdits(t *testing.T) {
	t.Parallel()
	f, err := Parse([]byte(exampleFile))
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	k := Key{ID: "new", Verifier: Verifier{1}, Role: Read, Accounts: Accounts{all: true}, Name: "a b", Expires: soon}
	if err := errors.Join(f.Remove("PKX4C2RZ81M0QAVT"), f.Add(&k), f.Expire("PKDESK0OPERATOR1", soon),
		f.Expire("PK7Q2M4XTB3DJ6WN", soon.AddDate(10, 0, 0))); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(f.Text())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(again.Keys()), fmt.Sprint(f.Keys()); got != want {
		t.Errorf("it is read as\n%s\nwant\n%s", got, want)
	}
	kept := strings.Split(exampleFile, "\n")
	for i, line := range strings.Split(strings.TrimSuffix(string(f.Text()), "\n"), "\n") {
		switch i {
		case 4:
			if !strings.HasPrefix(line, "PKDESK0OPERATOR1 ") || !strings.HasSuffix(line,
				"expires=2026-12-01T12:00:00Z") {
				t.Errorf("line 5 is %s", line)
			}
		case 5:
			if line != kept[6] {
				t.Errorf("line 6 is %s", line)
			}
		case 6:
			if !strings.Contains(line, `name="a b" expires=2026-12-01T12:00:00Z`) {
				t.Errorf("line 7 is %s", line)
			}
		default:
			if line != kept[i] {
				t.Errorf("line %d is %s", i+1, line)
			}
		}
	}
	if err := f.Add(&k); err == nil {
		t.Error("an id is there twice")
	}
	if _, err := f.Find("x"); !errors.Is(err, ErrUnknown) || !errors.Is(f.Remove("x"), ErrUnknown) {
		t.Errorf("an id that is not there: %v", err)
	}
}

// FuzzParse: a file that is taken is written as it was read, and is within the bounds.
func FuzzParse(f *testing.F) {
	f.Add([]byte(exampleFile))
	f.Add([]byte("papertape keys 1\na " + someVerifier + " read 1-2,4 name=\"x y\" from=::1"))
	f.Add([]byte("papertape keys 1\r\na " + someVerifier + "  operate - name=x expires=1970-01-01T00:00:00+05:00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		all := file.Keys()
		rewritten := newFile()
		for i := range all {
			if err := rewritten.Add(&all[i]); err != nil {
				t.Fatalf("%+v cannot be added: %v", all[i], err)
			}
		}
		for _, written := range [][]byte{file.Text(), rewritten.Text()} {
			again, err := Parse(written)
			if err != nil {
				t.Fatalf("%q was taken, and %q is not: %v", text, written, err)
			}
			if got, want := fmt.Sprint(again.Keys()), fmt.Sprint(all); got != want {
				t.Fatalf("%q was read as %s, and %q as %s", text, want, written, got)
			}
		}
	})
}
