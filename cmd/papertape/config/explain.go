package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Commented returns a file that explains every key and sets none of them.
func (s *Settings) Commented() string {
	defaults := Default()
	var b strings.Builder
	b.WriteString(`# The configuration of papertape serve. Every line below is a default: take the # away from one to change it.
# Flags (--outbox-bytes-max) win over the environment (PAPERTAPE_OUTBOX_BYTES_MAX), which wins over this file.
# "papertape config check FILE" says whether it would be taken, "papertape config print --config FILE" what is in force.
# A running server reads it again on SIGHUP; what is not marked (live) takes a restart.
`)
	for i := range s.list {
		st := &s.list[i]
		text, live := st.text(defaults), ""
		if text == "" {
			text = strconv.Quote(text)
		}
		if st.live {
			live = " (live)"
		}
		fmt.Fprintf(&b, "\n# %s%s\n#%s: %s\n", strings.ReplaceAll(st.usage, "`", ""), live, st.key, text)
	}
	return b.String()
}

// InForce is a setting with its current value and the source of that value.
type InForce struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"` // default, papertape.json:3, PAPERTAPE_HEARTBEAT or --heartbeat
	Secret string `json:"secret,omitempty"`

	Live    bool   `json:"-"` // SIGHUP changes it
	Meaning string `json:"-"`
}

// mask replaces a secret, whatever its length.
const mask = "********"

// InForce lists the available settings in the order of the registry.
func (s *Settings) InForce(cfg *Config) []InForce {
	lines := make([]InForce, 0, len(s.list))
	for i := range s.list {
		st := &s.list[i]
		line := InForce{Key: st.key, Value: st.text(cfg), Source: cfg.Source(st.key), Live: st.live,
			Meaning: strings.ReplaceAll(st.usage, "`", "")}
		if st.key == "admin_token_file" && cfg.AdminToken != "" {
			line.Secret = mask
		}
		lines = append(lines, line)
	}
	return lines
}

// Differences returns what a reload to next changes. changed lists what takes effect at once,
// compared with the last configuration that was read. restart lists what needs a restart, compared
// with the configuration that the server was started with.
func (s *Settings) Differences(started, last, next *Config) (changed, restart []string) {
	changed = []string{} // encoded as an empty list, not as null
	for i := range s.list {
		st := &s.list[i]
		before := started
		if st.live {
			before = last
		}
		was, is := st.text(before), st.text(next)
		switch {
		case st.key == "admin_token_file" && last.AdminToken != "" && next.AdminToken != "":
			if next.AdminToken != last.AdminToken {
				changed = append(changed, st.key+": another token is in force")
			}
		case was == is:
		case st.live:
			changed = append(changed, fmt.Sprintf("%s: %s, was %s", st.key, is, was))
		default:
			restart = append(restart, fmt.Sprintf("%s: %s, was %s", st.key, orNothing(is), orNothing(was)))
		}
	}
	return changed, restart
}

func orNothing(text string) string {
	if text == "" {
		return `""`
	}
	return text
}
