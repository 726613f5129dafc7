package web

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Figures look the same in both languages, and the same as static/format.js makes them: testdata/figures.json
// has what both are held to.

// nothing is shown where there is no figure.
const nothing = "–"

var functions = template.FuncMap{
	"at": at, "n": count, "money": money, "traded": traded,
	"signed": signed, "bytes": sizeOf, "rate": rate, "ms": milliseconds,
	"percent": percent, "s": text, "figure": figure, "spark": spark, "sparkPrice": sparkPrice,
	"curve": drawCurve, "gauge": gauge, "dict": dict,
	"list": func(all ...string) []string { return all }, "change": priceChange, "slice": section, "sub": subtract,
	"has": strings.Contains, "split": strings.Fields, "list_of": listOf, "first": first, "last": last,
}

// text returns a value as it is, "" for none.
func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// number returns a value of JSON as a number, NaN if it is none.
func number(value any) float64 {
	switch v := value.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return math.NaN()
		}
		return f
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return math.NaN()
		}
		return f
	case float64:
		return v
	case int:
		return float64(v)
	}
	return math.NaN()
}

func orNothing(value any, form func(float64) string) string {
	if f := number(value); !math.IsNaN(f) {
		return form(f)
	}
	return nothing
}

// grouped puts a comma before each three digits of the whole part of a decimal number.
func grouped(decimal string) string {
	sign := ""
	if strings.HasPrefix(decimal, "-") {
		sign, decimal = "-", decimal[1:]
	}
	whole, part, hasPart := strings.Cut(decimal, ".")
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if hasPart {
		b.WriteString("." + part)
	}
	return sign + b.String()
}

// count shows a whole number.
func count(value any) string {
	return orNothing(value, func(f float64) string { return grouped(strconv.FormatFloat(f, 'f', 0, 64)) })
}

// traded is money for a price, of which 0 says that there is none.
func traded(value any) string {
	if strings.Trim(text(value), "0.") == "" {
		return "–"
	}
	return money(value)
}

// money shows an amount.
func money(value any) string {
	if s := text(value); s != "" {
		return grouped(s)
	}
	return nothing
}

// signed shows a gain or a loss: with a sign, an arrow and a colour, never by colour alone.
func signed(value any) template.HTML { return signedAs(number(value), money(value)) }

func signedAs(f float64, shown string) template.HTML {
	class, mark := "dim", "="
	switch {
	case math.IsNaN(f):
		return nothing
	case f > 0:
		class, mark, shown = "up", "▲", "+"+shown
	case f < 0:
		class, mark = "down", "▼"
	}
	return template.HTML( //nolint:gosec // figures were parsed
		`<span class="` + class + `"><span aria-hidden="true">` + mark + `</span> ` +
			template.HTMLEscapeString(shown) + `</span>`)
}

// percent shows what a part is of a whole, with its sign.
func percent(part, whole any) template.HTML {
	p, w := number(part), number(whole)
	if math.IsNaN(p) || math.IsNaN(w) || w == 0 {
		return nothing
	}
	f := p / math.Abs(w) * 100
	return signedAs(f, strconv.FormatFloat(f, 'f', 2, 64)+" %")
}

// priceChange shows by how much a price differs from the previous close.
func priceChange(price, before any) template.HTML {
	return percent(number(price)-number(before), number(before))
}

// subtract returns the difference of two amounts, with two decimals.
func subtract(a, b any) string { return strconv.FormatFloat(number(a)-number(b), 'f', 2, 64) }

// sizeOf shows bytes, in the largest unit of which there is one at least.
func sizeOf(value any) string {
	return orNothing(value, func(f float64) string {
		units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
		i := 0
		for f >= 1024 && i < len(units)-1 {
			f, i = f/1024, i+1
		}
		return shortest(f, i == 0) + " " + units[i]
	})
}

// shortest shows about three digits.
func shortest(f float64, whole bool) string {
	switch {
	case whole || math.Abs(f) >= 100:
		return grouped(strconv.FormatFloat(f, 'f', 0, 64))
	case math.Abs(f) >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// rate shows how many there are a second.
func rate(value any) string {
	return orNothing(value, func(f float64) string {
		if f == math.Trunc(f) {
			return grouped(strconv.FormatFloat(f, 'f', 0, 64))
		}
		return shortest(f, false)
	})
}

// seconds shows a length of time.
func seconds(f float64) string {
	switch {
	case f < 0.001:
		return shortest(f*1e6, false) + " µs"
	case f < 1:
		return shortest(f*1e3, false) + " ms"
	case f < 60:
		return shortest(f, false) + " s"
	case f < 3600:
		return fmt.Sprintf("%d min %02d s", int(f)/60, int(f)%60)
	case f < 86400:
		return fmt.Sprintf("%d h %02d min", int(f)/3600, int(f)%3600/60)
	}
	return fmt.Sprintf("%d d %02d h", int(f)/86400, int(f)%86400/3600)
}

// milliseconds shows a length of time in milliseconds.
func milliseconds(value any) string {
	return orNothing(value, func(f float64) string { return shortest(f, false) + " ms" })
}

// figure shows a figure of the API with its unit.
func figure(value any, unit string) string {
	switch unit {
	case "bytes":
		return sizeOf(value)
	case "milliseconds":
		return milliseconds(value)
	case "seconds":
		return orNothing(value, seconds)
	case "a_second", "ratio":
		return rate(value)
	}
	return count(value)
}

// dict makes a map of names and values, for templates that take more than one.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[text(pairs[i])] = pairs[i+1]
	}
	return m
}

// section returns at most so many elements of a list.
func section(value any, most int) []any {
	list, _ := value.([]any)
	return list[:min(most, len(list))]
}

// listOf returns a list, empty where the API has none.
func listOf(value any) []any {
	list, _ := value.([]any)
	return list
}

// first returns the first element of a list, or nil.
func first(value any) any {
	if list := listOf(value); len(list) > 0 {
		return list[0]
	}
	return nil
}

// last returns the last element of a list, or nil.
func last(value any) any {
	if list := listOf(value); len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}
