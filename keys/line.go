package keys

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// The kinds of verifiers, by the word before the colon.
const (
	kindHMAC    = "hmac"
	kindEd25519 = "ed25519"
)

// The words of a line after the fourth.
const (
	wordName    = "name"
	wordExpires = "expires"
	wordFrom    = "from"
)

const dayLayout = time.DateOnly

// parseLine reads the line of a key.
func parseLine(line string) (k Key, err error) {
	words, err := splitLine(line)
	if err != nil {
		return k, err
	}
	if len(words) < 4 {
		return k, errors.New("a key has an id, a verifier, a role and accounts, and then name=, expires= and from=")
	}
	k.ID = words[0]
	if k.Verifier, err = parseKind(words[1]); err != nil {
		return k, err
	}
	if k.Role, err = ParseRole(words[2]); err != nil {
		return k, err
	}
	if k.Accounts, err = ParseAccounts(words[3]); err != nil {
		return k, err
	}
	seen := make(map[string]bool)
	for _, word := range words[4:] {
		what, value, _ := strings.Cut(word, "=")
		if seen[what] {
			return k, fmt.Errorf("%s is there twice", echo(what))
		}
		seen[what] = true
		if err := k.setWord(what, value); err != nil {
			return k, err
		}
	}
	return k, k.Check()
}

// parseKind reads a verifier with the kind before it. The error does not contain the verifier.
func parseKind(word string) (Verifier, error) {
	switch kind, text, ok := strings.Cut(word, ":"); {
	case ok && kind == kindHMAC:
		return ParseVerifier(text)
	case ok && kind == kindEd25519:
		return Verifier{}, errors.New("keys of the kind ed25519 come later; this build has only hmac")
	default:
		return Verifier{}, errors.New("the verifier must begin with its kind, as in hmac:…")
	}
}

// setWord sets one of the rest of a line.
func (k *Key) setWord(what, value string) (err error) {
	switch what {
	case wordName:
		k.Name = value
		return CheckName(value)
	case wordExpires:
		k.Expires, err = ParseTime(value)
	case wordFrom:
		k.From, err = ParseSources(value)
	default:
		err = fmt.Errorf("%s is not a part of a key; after the accounts come name=, expires= and from=", echo(what))
	}
	return err
}

// ParseTime reads a day, which means its beginning, or a moment as in 2027-06-30T18:00:00Z.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{dayLayout, time.RFC3339} {
		t, err := time.Parse(layout, text)
		if t = t.UTC(); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time; write 2027-06-30, or 2027-06-30T18:00:00Z", echo(text))
}

// formatTime writes a time as ParseTime reads it.
func formatTime(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(dayLayout)
	}
	return t.Format(time.RFC3339)
}

// ParseSources reads a list of networks and addresses, as in 10.0.0.0/8,2001:db8::1.
func ParseSources(text string) (list []netip.Prefix, err error) {
	for part := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(part)
		if addr, bare := netip.ParseAddr(part); bare == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			return nil, fmt.Errorf("%s is not a network; write addresses as in 10.0.0.0/8 or 192.0.2.7", echo(part))
		}
		if p.Masked() != p {
			return nil, fmt.Errorf("%s has bits beyond its length; the network is %s", echo(part), p.Masked())
		}
		list = append(list, p)
		if len(list) > sourcesMax {
			return nil, fmt.Errorf("there are more than %d source addresses; write at most so many", sourcesMax)
		}
	}
	return list, nil
}

// FormatSources writes networks as ParseSources reads them.
func FormatSources(list []netip.Prefix) string {
	parts := make([]string, len(list))
	for i, p := range list {
		if parts[i] = p.String(); p.IsSingleIP() {
			parts[i] = p.Addr().String()
		}
	}
	return strings.Join(parts, ",")
}

// line returns the key's line.
func (k *Key) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %s:%s %-7s %-12s %s=%s", k.ID, kindHMAC, k.Verifier, k.Role, k.Accounts, wordName,
		quoteName(k.Name))
	if !k.Expires.IsZero() {
		fmt.Fprintf(&b, " %s=%s", wordExpires, formatTime(k.Expires))
	}
	if len(k.From) > 0 {
		fmt.Fprintf(&b, " %s=%s", wordFrom, FormatSources(k.From))
	}
	return b.String()
}

// quoteName puts a name between quotation marks where it has a blank.
func quoteName(name string) string {
	if strings.ContainsFunc(name, isBlank) {
		return `"` + name + `"`
	}
	return name
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// splitLine cuts a line at its blanks. Between quotation marks, which are dropped, blanks are kept.
func splitLine(line string) (words []string, err error) {
	var word strings.Builder
	begun, quoted := false, false
	for _, r := range line {
		switch {
		case r == '"':
			begun, quoted = true, !quoted
		case isBlank(r) && !quoted:
			if begun {
				words = append(words, word.String())
				word.Reset()
			}
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quoted {
		return nil, errors.New("a quotation mark is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
