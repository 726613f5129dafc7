package web

import (
	"net/url"
	"strconv"
	"strings"
)

// What the tables of the pages need to be told apart, gone through and read.

// Choices are what can be preferred for a name; Preferred is what is.
func (v *view) Choices(name string) []string {
	return map[string][]string{"theme": themes, "colours": colours[1:], "zone": zones}[name]
}

// Preferred is what is preferred for a name.
func (v *view) Preferred(name string) string {
	return map[string]string{"theme": v.Theme, "colours": v.Colours, "zone": v.Zone}[name]
}

// Or returns the first of two texts that is not empty.
func (v *view) Or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Plus returns the page's path with a parameter changed, and the place in the list kept.
func (v *view) Plus(name, value string) string {
	q := url.Values{}
	for key, values := range v.Query {
		q[key] = values
	}
	q.Set(name, value)
	return v.Path + "?" + q.Encode()
}

func (v *view) offset() int {
	n, _ := strconv.Atoi(v.Q("offset")) // the API has refused what is no number
	return n
}

// Shown says which part of a list is shown.
func (v *view) Shown(shown int, total any) string {
	from := v.offset()
	return v.T("shown", grouped(strconv.Itoa(min(from+1, from+shown))), grouped(strconv.Itoa(from+shown)), count(total))
}

// Before is the link to the part of a list before this one, or "".
func (v *view) Before() string {
	from := v.offset()
	if from == 0 {
		return ""
	}
	if from -= accountsShown; from <= 0 {
		return v.With("offset", "")
	}
	return v.Plus("offset", strconv.Itoa(from))
}

// offsetMax is how far the API goes into a list.
const offsetMax = 1000

// After is the link to the part of a list after this one, or "".
func (v *view) After(shown int, total any) string {
	next := v.offset() + shown
	if v.Page != "accounts" || float64(next) >= number(total) || next+accountsShown > offsetMax {
		return ""
	}
	return v.Plus("offset", strconv.Itoa(next))
}

// Older is the link to what happened before the events that are shown, or "".
func (v *view) Older(history any) string {
	if next := text(at(history, "next_before")); next != "" && next != "0" {
		return v.Plus("before", next)
	}
	events, _ := at(history, "events").([]any)
	if len(events) < eventsShown {
		return ""
	}
	seq := text(at(events[len(events)-1], "seq"))
	if seq == text(at(history, "oldest_seq")) {
		return ""
	}
	return v.Plus("before", seq)
}

// Struck returns the sequence of the event, of those that are shown, that took a trade back; "" for none.
func (v *view) Struck(seq any) string {
	if v.struck == nil {
		v.struck = make(map[string]string)
		events, _ := at(v.D["history"], "events").([]any)
		for _, e := range events {
			bust := at(e, "bust")
			if bust == nil {
				continue
			}
			by := text(at(e, "seq"))
			if at(bust, "replacement") == nil {
				v.struck[seqOf(at(bust, "trade_id"))] = by
			}
			with, _ := at(bust, "cascade").([]any)
			for _, id := range with {
				v.struck[seqOf(id)] = by
			}
		}
	}
	return v.struck[text(seq)]
}

// SeqOf returns the sequence in the name of a trade.
func (v *view) SeqOf(id any) string { return seqOf(id) }

func seqOf(id any) string {
	_, seq, _ := strings.Cut(text(id), "-")
	return seq
}

// Join lists the elements of a list.
func (v *view) Join(list any) string {
	all, _ := list.([]any)
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = text(one)
	}
	return strings.Join(words, ", ")
}

// Result says what became of what a line of the audit is about.
func (v *view) Result(line any) string {
	step, status := text(at(line, "step")), text(at(line, "status"))
	said := v.T("result." + v.kindOf(line))
	if step == "done" || step == "refused" {
		said += " " + status
	}
	if code := text(at(line, "code")); code != "" {
		said += " " + code
	}
	return said
}

// ResultClass is the class of a result; its words say the same.
func (v *view) ResultClass(line any) string {
	return map[string]string{"failed": "bad", "refused": "bad", "done": "good"}[v.kindOf(line)]
}

func (v *view) kindOf(line any) string {
	step := text(at(line, "step"))
	if f := number(at(line, "status")); step == "done" && (f >= 400 || f == 0) {
		return "failed"
	}
	return step
}
