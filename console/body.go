package console

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// bodyKind is what an operation takes as its body.
type bodyKind uint8

const (
	noBody bodyKind = iota
	jsonBody
	optionalJSONBody
	textBody
)

// refuse answers a request whose body is wrong whatever is in it, and reports whether it did.
func (k bodyKind) refuse(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case k == noBody && r.ContentLength != 0:
		badRequest(w, r.Method+" "+r.URL.Path+" takes no body")
	case (k == jsonBody || k == optionalJSONBody && r.ContentLength != 0) && !isJSON(r.Header):
		fail(w, http.StatusUnsupportedMediaType, codeMediaType,
			"the body must be JSON in UTF-8, as it is: send it with Content-Type: application/json")
	default:
		return false
	}
	return true
}

// isJSON reports whether a body is declared as JSON, which is always UTF-8, and not compressed.
// Unlike a form, a page of another site cannot send such a body without a preflight request.
func isJSON(h http.Header) bool {
	if len(h["Content-Type"]) != 1 || len(h["Content-Encoding"]) > 0 {
		return false
	}
	media, with, err := mime.ParseMediaType(h.Get("Content-Type"))
	if charset, ok := with["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return err == nil && media == "application/json"
}

// readBody reads a whole body of at most so many bytes.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fmt.Errorf("the body is longer than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, fmt.Errorf("the body broke off: %w", err)
	}
	return text, nil
}

// decodeBody reads one JSON object and nothing after it. Every member must be known, spelt
// exactly, and appear only once. What two programs may read differently is refused: a repeated
// member, one in another case, half of a surrogate pair, null.
func decodeBody(w http.ResponseWriter, r *http.Request, v any) error {
	return decodeBodyOf(w, r, bodyBytesMax, v)
}

// decodeBodyOf is decodeBody for a body of at most so many bytes.
func decodeBodyOf(w http.ResponseWriter, r *http.Request, most int64, v any) error {
	text, err := readBody(w, r, most)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v, json.RejectUnknownMembers(true), json.WithUnmarshalers(noNull)); err != nil {
		return fmt.Errorf("the body is not what is expected here: %w",
			explainDecodeError(err, text, reflect.TypeOf(v).Elem()))
	}
	return nil
}

// decodeAnswer reads one JSON value as decodeBody does, but ignores unknown members, because a
// newer server may send more than this client knows.
func decodeAnswer(text []byte, v any) error { return json.Unmarshal(text, v) }

var errNull = errors.New("null is no value; write one, or leave the member out")

// noNull refuses null, which would otherwise be read as 0 or empty.
var noNull = json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ any) error {
	if d.PeekKind() == jsontext.KindNull {
		return errNull
	}
	return errors.ErrUnsupported // decode the value as usual
})

// explainDecodeError says for people what is wrong with a text that should be of type t. The
// decoder's own errors are about Go.
func explainDecodeError(err error, text []byte, t reflect.Type) error {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return fmt.Errorf("it is empty; write an object with %s", inWords(memberNames(t)))
	case errors.As(err, &semantic) && errors.Is(semantic.Err, json.ErrUnknownName):
		name := semantic.JSONPointer.LastToken()
		return fmt.Errorf("there is no %q here; it takes %s", clip(name), inWords(memberNames(t)))
	case errors.As(err, &syntax) && errors.Is(syntax.Err, jsontext.ErrDuplicateName):
		return fmt.Errorf("%q is there twice; write it once", clip(syntax.JSONPointer.LastToken()))
	case errors.As(err, &syntax):
		return fmt.Errorf("it is no JSON: at byte %d, %w", syntax.ByteOffset, syntax.Err)
	case errors.As(err, &semantic):
		return explainMismatch(semantic)
	}
	return err
}

// explainMismatch says what is wrong with a value of the wrong type.
func explainMismatch(e *json.SemanticError) error {
	what := e.JSONPointer.LastToken()
	if what == "" {
		what = "it"
	}
	is := kindNames[e.JSONKind]
	if e.JSONKind == jsontext.KindNumber && len(e.JSONValue) > 0 {
		is = clip(string(e.JSONValue))
	}
	switch {
	case isText(e.GoType) && e.JSONKind == jsontext.KindString, errors.Is(e.Err, errNull):
		return fmt.Errorf("%s: %w", what, e.Err)
	case errors.Is(e.Err, strconv.ErrRange):
		return fmt.Errorf("%s: %s is out of range", what, is)
	}
	return fmt.Errorf("%s must be %s, and is %s", what, kindOf(e.GoType), is)
}

// kindNames names the kinds of JSON values.
var kindNames = map[jsontext.Kind]string{
	jsontext.KindNull: "null", jsontext.KindFalse: "false", jsontext.KindTrue: "true", jsontext.KindString: "a string",
	jsontext.KindNumber: "a number", jsontext.KindBeginObject: "an object", jsontext.KindBeginArray: "an array",
}

// isText reports whether a type is a string in JSON that it decodes itself.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// kindOf names what a type is in JSON.
func kindOf(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return kindOf(t.Elem())
	case isText(t), t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Struct:
		return "an object"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "an array"
	case t.Kind() == reflect.Uint32:
		return "a whole number, 0 or more"
	}
	return "a whole number"
}

// memberNames returns the names of the members of an object of type t.
func memberNames(t reflect.Type) (names []string) {
	for _, field := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}
