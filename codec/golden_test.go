package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/papertape/papertape/codec"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

// goldenFile is a file of testdata, as described in testdata/README.md.
type goldenFile struct {
	name    string
	typ     codec.Type
	flags   codec.Flags
	id      uint64
	length  int
	message protoreflect.FullName
	frame   []byte
	json    []byte
}

// text returns the file for a frame and its message.
func (c *goldenCase) text(t testing.TB) []byte {
	t.Helper()
	f, n, err := codec.Cut(c.frame, codec.LimitToClient)
	if err != nil || n != len(c.frame) {
		t.Fatalf("%s: Cut = %d, %v", c.file, n, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "name: %s\ntype: %d\nflags: %d\nid: %d\nlength: %d\nmessage: %s\n\nframe:\n%x\n",
		strings.TrimSuffix(c.name, " reply"), f.Type, f.Flags, f.ID, n-4,
		c.message.ProtoReflect().Descriptor().FullName(), c.frame[:codec.HeaderBytes])
	for rest := f.Payload; len(rest) > 0; {
		line := min(len(rest), 32)
		fmt.Fprintf(&b, "%x\n", rest[:line])
		rest = rest[line:]
	}
	fmt.Fprintf(&b, "\njson:\n%s\n", plainJSON(t, c.message))
	return b.Bytes()
}

// plainJSON returns the protobuf JSON of m in a fixed layout, as that of protojson varies
// from build to build.
func plainJSON(t testing.TB, m proto.Message) []byte {
	t.Helper()
	compact, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readGolden(t testing.TB, path string) *goldenFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./codec -run Golden -update", err)
	}
	parts := strings.SplitN(string(b), "\n\n", 3)
	if len(parts) != 3 {
		t.Fatalf("%s has %d parts, want header, frame and json", path, len(parts))
	}
	header := make(map[string]string)
	for line := range strings.SplitSeq(parts[0], "\n") {
		key, value, _ := strings.Cut(line, ": ")
		header[key] = value
	}
	number := func(key string) uint64 {
		v, err := strconv.ParseUint(header[key], 10, 64)
		if err != nil {
			t.Fatalf("%s: %s: %v", path, key, err)
		}
		return v
	}
	frame, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(parts[1], "frame:\n"), "\n", ""))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &goldenFile{
		name: header["name"], typ: codec.Type(number("type")), flags: codec.Flags(number("flags")), id: number("id"),
		length: int(number("length")), message: protoreflect.FullName(header["message"]), frame: frame,
		json: []byte(strings.TrimSuffix(strings.TrimPrefix(parts[2], "json:\n"), "\n")),
	}
}

// TestGolden compares the package with the bytes in testdata, in both directions.
func TestGolden(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join("testdata", c.file+".txt")
			if *update {
				if err := os.WriteFile(path, c.text(t), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden := readGolden(t, path)
			if !bytes.Equal(c.frame, golden.frame) {
				t.Errorf("encoded: %x\n    want: %x", c.frame, golden.frame)
			}
			checkGoldenDecodes(t, golden)
			if c.check != nil {
				c.check(t, golden.frame[codec.HeaderBytes:])
			}
		})
	}
}

// checkGoldenDecodes checks that the bytes decode to the header and the JSON, and that the
// JSON encodes to the bytes.
func checkGoldenDecodes(t *testing.T, golden *goldenFile) {
	t.Helper()
	payload := onlyFrame(t, golden.frame, golden.typ, golden.flags, golden.id)
	if golden.length != 12+len(payload) || len(golden.frame) != 4+golden.length {
		t.Errorf("length %d of a frame of %d", golden.length, len(golden.frame))
	}
	if strings.TrimSuffix(golden.typ.String(), " reply") != golden.name {
		t.Errorf("name %s of type %v", golden.name, golden.typ)
	}
	m := newMessage(t, golden.message)
	if err := codec.Unmarshal(payload, m); err != nil {
		t.Fatal(err)
	}
	if got := plainJSON(t, m); !bytes.Equal(got, golden.json) {
		t.Errorf("decoded: %s\n   want: %s", got, golden.json)
	}
	fromJSON := newMessage(t, golden.message)
	if err := protojson.Unmarshal(golden.json, fromJSON); err != nil {
		t.Fatal(err)
	}
	checkPayload(t, payload, fromJSON)
	if size := fromJSON.SizeVT(); size != len(payload) {
		t.Errorf("the JSON's message takes %d bytes, the payload has %d", size, len(payload))
	}
}

// TestGoldenIsComplete: every message type has a file, and the test writes every file.
func TestGoldenIsComplete(t *testing.T) {
	types, files := make(map[codec.Type]bool), make(map[string]bool)
	for _, c := range goldenCases(t) {
		f, _, _ := codec.Cut(c.frame, codec.LimitToClient)
		types[f.Type] = true
		files[c.file+".txt"] = true
	}
	for typ := codec.Type(0); typ < codec.TypeEmbedder; typ++ {
		if known := !strings.HasPrefix(typ.String(), "type "); known != types[typ] {
			t.Errorf("%v: a golden frame is there: %t", typ, types[typ])
		}
	}
	readme, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for file := range files {
		if !bytes.Contains(readme, []byte("`"+file+"`")) {
			t.Errorf("testdata/README.md does not mention %s", file)
		}
	}
	there, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !files[filepath.Base(path)] {
			t.Errorf("%s is not one of the golden cases", path)
		}
	}
}
