package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// bodies are the operations that take a body, each with a valid one.
var bodies = map[string]string{
	"POST /api/v1/backup":      `{"out":"/b"}`,
	"POST /api/v1/busts":       bustOperations["POST /api/v1/busts"],
	"POST /api/v1/corrections": bustOperations["POST /api/v1/corrections"],
	"PUT /api/v1/log":          `{"level":"debug"}`,
	"PUT /api/v1/simulator":    `{"rate":2}`,
}

// changed returns everything that a refused request must not change.
func (f *fixture) changed() string {
	if f.flow.state.Rate != 1 || f.desk.asked != nil || len(f.backups) > 0 || len(f.list.infos) != 3 ||
		f.level != "info" {
		return fmt.Sprintf("rate %v, asked %+v, backups %q, %d sessions, level %s",
			f.flow.state.Rate, f.desk.asked, f.backups, len(f.list.infos), f.level)
	}
	return ""
}

// refuse makes a request, and checks that it is refused with this message and changes nothing.
func refuse(t *testing.T, operation, body string, status int, code, message string, header ...string) {
	t.Helper()
	f := newFixture(t, "")
	method, path, _ := strings.Cut(operation, " ")
	w := f.ask(method, path, body, header...)
	var got failure
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != status || got.Error.Code != code ||
		!strings.Contains(got.Error.Message, message) {
		t.Errorf("%s %.120s: %d %s, want %d %s", operation, body, w.Code, w.Body, status, message)
	}
	if changed := f.changed(); changed != "" {
		t.Errorf("%s %.120s was refused and carried out: %s", operation, body, changed)
	}
}

// TestBodies: all operations read their bodies in the same strict way, and refuse what two
// programs may read differently.
func TestBodies(t *testing.T) {
	for operation, body := range bodies {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatal(err)
		}
		refused := func(body, message string) {
			t.Helper()
			refuse(t, operation, body, 400, "bad_request", message)
		}
		without := strings.TrimSuffix(body, "}")
		for name, value := range members {
			twice := fmt.Sprintf("%q is there twice; write it once", name)
			refused(fmt.Sprintf("%s,%q:%s}", without, name, value), twice)
			escaped := fmt.Sprintf("%s,\"\\u00%x%s\":%s}", without, name[0], name[1:], value)
			refused(escaped, twice) // the same name, spelt differently
			upper := strings.ToUpper(name)
			refused(strings.Replace(body, `"`+name+`"`, `"`+upper+`"`, 1),
				fmt.Sprintf("there is no %q here; it takes", upper))
			refused(fmt.Sprintf("%s,%q:%s}", without, upper, value), fmt.Sprintf("there is no %q here", upper))
			refused(strings.Replace(body, `"`+name+`":`+string(value), `"`+name+`":null`, 1),
				name+": null is no value; write one, or leave the member out")
			refused(strings.Replace(body, `"`+name+`":`+string(value), `"`+name+`":[`+string(value)+`]`, 1),
				", and is an array")
			refused(strings.Replace(body, `"`+name+`":`+string(value), `"`+name+`":{}`, 1), ", and is an object")
			refused(strings.Replace(body, `"`+name+`":`+string(value), `"`+name+`":true`, 1), ", and is true")
			switch value[0] {
			case '"':
				refused(strings.Replace(body, string(value), `"\ud800"`, 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), `"\udc00\ud800"`, 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), "\"\xff\"", 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), "\"\xed\xa0\x80\"", 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), "\"a\nb\"", 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), "'a'", 1), "it is no JSON: at byte ")
				refused(strings.Replace(body, string(value), "7", 1), "must be a string, and is a number")
			case '[': // its elements are refused otherwise
			default:
				refused(strings.Replace(body, `"`+name+`":`+string(value), `"`+name+`":01`, 1),
					"it is no JSON: at byte ")
			}
		}
		for text, message := range map[string]string{
			"": "it is empty; write an object with", " \n": "it is empty", body + body: "after top-level value",
			body + "x":    "after top-level value",
			body + "\x00": "after top-level value", "[" + body + "]": "it must be an object, and is an array",
			"null": "null is no value", `"x"`: "it must be an object, and is a string",
			"7": "it must be an object, and is a number", without: "it is no JSON",
			without + ",}": "it is no JSON", "\ufeff" + body: "it is no JSON", "// x\n" + body: "it is no JSON",
			without + `,"x":1}`: `there is no "x" here; it takes `, without + `,"":1}`: `there is no "" here`,
			without + `,"__proto__":{}}`:             `there is no "__proto__" here`,
			body + strings.Repeat(" ", bodyBytesMax): "the body is longer than 65536 bytes",
			strings.Repeat("[", bodyBytesMax/2):      "it must be an object, and is an array",
		} {
			refused(text, message)
		}
	}
}

// TestBodyNumbers: a number of shares is a whole number, and a rate is any number.
func TestBodyNumbers(t *testing.T) {
	const correct = `{"trade":"100017-42","reason":"r","price":"9.98","quantity":%s,"revision":%s}`
	for _, c := range []struct{ quantity, revision, message string }{
		{"1e2", "0", "quantity must be a whole number, and is 1e2"},
		{"100.0", "0", "quantity must be a whole number, and is 100.0"},
		{"1.5", "0", "quantity must be a whole number, and is 1.5"},
		{`"100"`, "0", "quantity must be a whole number, and is a string"},
		{"9223372036854775808", "0", "quantity: 9223372036854775808 is out of range"},
		{"0100", "0", "it is no JSON: at byte "},
		{"+100", "0", "it is no JSON: at byte "},
		{"0x64", "0", "it is no JSON: at byte "},
		{"100", "-1", "revision must be a whole number, 0 or more, and is -1"},
		{"100", "1e0", "revision must be a whole number, 0 or more, and is 1e0"},
		{"100", "4294967296", "revision: 4294967296 is out of range"},
	} {
		refuse(t, "POST /api/v1/corrections", fmt.Sprintf(correct, c.quantity, c.revision), 400, "bad_request",
			c.message)
	}
	for body, message := range map[string]string{
		`{"rate":1e999}`: "rate: 1e999 is out of range", `{"rate":NaN}`: "it is no JSON",
		`{"rate":"2"}`: "rate must be a number, and is a string",
		`{"rate":11}`:  "the rate must be between 0 and 10", `{"rate":.5}`: "it is no JSON",
	} {
		refuse(t, "PUT /api/v1/simulator", body, 400, "bad_request", message)
	}
	f := newFixture(t, "")
	if w := f.ask("PUT", "/api/v1/simulator", `{"rate":1e0}`); w.Code != 200 {
		t.Errorf("1e0: %d %s", w.Code, w.Body)
	}
}

// TestBustIDBlank: an id with blanks at its ends is refused, because it looks the same as
// another.
func TestBustIDBlank(t *testing.T) {
	for _, id := range []string{" ", " b-1", "b-1 ", "   "} {
		body := fmt.Sprintf(`{"trade":"100017-42","reason":"r","bust_id":%q}`, id)
		refuse(t, "POST /api/v1/busts", body, 400, "bad_request",
			"begins or ends with a blank, which nobody sees; write it without")
	}
	refuse(t, "POST /api/v1/busts", `{"trade":"0100017-42","reason":"r"}`, 400, "bad_request",
		`"0100017-42" is not the name of a trade`)
}

// TestContentType: a body must be declared as JSON, and not be compressed. Operations without a
// body refuse one.
func TestContentType(t *testing.T) {
	for operation, body := range bodies {
		for _, media := range []string{
			"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
			"application/json; charset=utf-16", "application/json; charset=gbk",
			"application/jsonp", "text/json", "application/json, text/plain", "json", "", "application/json; charset",
		} {
			refuse(t, operation, body, 415, "unsupported_media_type", "send it with Content-Type: application/json",
				"Content-Type", media)
		}
		refuse(t, operation, body, 415, "unsupported_media_type", "as it is", "Content-Encoding", "gzip")
		for _, media := range []string{"application/json", "application/json; charset=utf-8",
			"Application/JSON;charset=UTF-8"} {
			f := newFixture(t, "")
			method, path, _ := strings.Cut(operation, " ")
			if w := f.ask(method, path, body, "Content-Type", media); w.Code != 200 {
				t.Errorf("%s as %s: %d %s", operation, media, w.Code, w.Body)
			}
		}
	}
	f := newFixture(t, "")
	for _, request := range []string{
		"GET /api/v1/accounts", "GET /livez", "GET /debug/pprof/heap", "GET /api/v1/log",
	} {
		method, path, _ := strings.Cut(request, " ")
		if w := f.ask(method, path, `{"limit":5}`); w.Code != 400 ||
			!strings.Contains(w.Body.String(), request+" takes no body") {
			t.Errorf("%s with a body: %d %s", request, w.Code, w.Body)
		}
	}
	if changed := f.changed(); changed != "" {
		t.Error(changed)
	}
	for text, want := range map[string]string{"0x1": "num_symbols: 1", "": "num_symbols: 1"} {
		if w := f.ask("POST", "/debug/pprof/symbol", text, "Content-Type", "text/plain"); w.Code != 200 ||
			!strings.Contains(w.Body.String(), want) {
			t.Errorf("symbols of %q: %d %s", text, w.Code, w.Body)
		}
	}
	for text, want := range map[string]string{
		"main.main":                            "is not a program counter",
		"0x1+":                                 "is not a program counter",
		strings.Repeat("0x1+", symbolBytesMax): "longer than 1048576 bytes",
	} {
		if w := f.ask("POST", "/debug/pprof/symbol", text, "Content-Type", "text/plain"); w.Code != 400 ||
			!strings.Contains(w.Body.String(), want) {
			t.Errorf("symbols of %.20q: %d %s", text, w.Code, w.Body)
		}
	}
}

// TestAnswersRead: the client is as strict, except that a newer server may send unknown
// members.
func TestAnswersRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"rate":5,"fills":1,"none":0,"refused":0,"skipped":0}`:            "",
		`{"rate":5,"fills":1,"none":0,"refused":0,"skipped":0,"lost":"x"}`: "",
		`{"rate":5,"rate":6}`: "is not that of a console",
		`{"rate":5}{}`:        "is not that of a console",
		`{"rate":"5"}`:        "is not that of a console",
		`{"rate":5`:           "is not that of a console",
		"":                    "is not that of a console",
	} {
		s := strangerWith(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		got, err := s.Simulator(t.Context())
		if want == "" && (err != nil || got.Rate != 5 || got.Fills != 1) || want != "" && (err == nil ||
			!strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	s := strangerWith(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"RATE":5}`)) })
	if got, err := s.Simulator(t.Context()); err != nil || got.Rate != 0 {
		t.Errorf("another name was taken for the rate: %+v, %v", got, err)
	}
}
