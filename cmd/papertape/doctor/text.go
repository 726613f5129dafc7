package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

var marks = map[Verdict]string{OK: "✓", Warn: "!", Fail: "✗"}

// Text writes a report for a person; all of it with details.
func (r *Report) Text(w io.Writer, details bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s connections take %s while they are idle: %s each in the server, %s in the kernel.\n\n",
		r.Headline(), Count(r.counted()), Size(r.Expected), Size(r.Each.User), Size(r.Each.Kernel))
	lines := make([]*Line, 0, len(r.Lines))
	name, value, allows := len("bound"), len("value"), len("allows")
	for i := range r.Lines {
		if l := &r.Lines[i]; details || !l.Detail {
			lines = append(lines, l)
			name, value = max(name, utf8.RuneCountInString(l.Name)), max(value, utf8.RuneCountInString(l.Value))
			allows = max(allows, len(l.allowance()))
		}
	}
	section := "none yet"
	for _, l := range lines {
		if l.Section != section {
			section = l.Section
			if section == sectionBounds {
				fmt.Fprintf(&b, "  %-*s  %-*s  %*s\n", name, "bound", value, "value", allows, "allows")
			} else {
				fmt.Fprintf(&b, "\n  %s\n", section)
			}
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s %-*s  %-*s  %*s  %s", marks[l.Verdict], name, l.Name, value,
			l.Value, allows, l.allowance(), l.Note), " ") + "\n")
	}
	b.WriteString("\n")
	if r.Next != "" {
		b.WriteString(r.Next + "\n")
	}
	b.WriteString(r.verdict() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// counted is the number of connections that the report is about.
func (r *Report) counted() int64 {
	if r.Wanted > 0 {
		return int64(r.Wanted)
	}
	return r.Holds
}

func (l *Line) allowance() string {
	if l.Allows == nil {
		return ""
	}
	return Count(*l.Allows)
}

// verdict is the last line: what to think of it all.
func (r *Report) verdict() string {
	said := fmt.Sprintf("%s, %s.", plural(r.Warnings, "warning"), plural(r.Failures, "failure"))
	switch {
	case r.Wanted == 0:
		return said + " Ask for a number: papertape doctor --connections 250000 (exit 99 if it does not fit)"
	case r.Fits:
		return fmt.Sprintf("%s %s connections fit.", said, Count(int64(r.Wanted)))
	default:
		return fmt.Sprintf("%s %s connections do not fit.", said, Count(int64(r.Wanted)))
	}
}

func plural(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}
