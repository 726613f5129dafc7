package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var releasedAt = time.Unix(1_795_765_536, 0).UTC()

func TestLicenses(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                           "Apache-2.0",
		"Mozilla Public License Version 2.0":                                                     "MPL-2.0",
		"Permission is hereby granted, free of\n charge, to any person":                          "MIT",
		"Permission to use, copy, modify, and/or distribute this software":                       "ISC",
		"Redistribution and use in source and binary forms … Neither the name of":                "BSD-3-Clause",
		"Redistribution and use in source and binary forms … The name may be used to endorse or": "BSD-2-Clause",
		"Redistribution and use in source and binary forms, with or without":                     "BSD-2-Clause",
		"CC0 1.0 Universal": "CC0-1.0",
		"All rights reserved. You may look at this, and no more.": "",
	} {
		if got := licenseOf(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for name, want := range map[string]bool{
		"LICENSE": true, "license.md": true, "LICENCE.txt": true, "COPYING": true, "NOTICE": true, "LICENSE-MIT": true,
		"licenses.go": false, "README.md": false, "noticeboard": false,
	} {
		if got := isLicense(name); got != want {
			t.Errorf("%s has conditions: %v, want %v", name, got, want)
		}
	}
}

// TestUnknownLicense: a part under a license that nobody has looked at stops a release.
func TestUnknownLicense(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Ask us first."), 0o600); err != nil {
		t.Fatal(err)
	}
	m := module{path: "example.com/part", version: "v1.0.0"}
	err := m.read(dir)
	if err == nil || !strings.Contains(err.Error(), "example.com/part v1.0.0") {
		t.Errorf("%v", err)
	}
}

// TestInspect reads this test, which Go built: it has Go's own library in it.
func TestInspect(t *testing.T) {
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := inspect(".", file)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(program)); b.sha256 != want {
		t.Errorf("sha256 %s, want %s", b.sha256, want)
	}
	std := b.modules[len(b.modules)-1]
	if std.path != "std" || std.license != "BSD-3-Clause" || !strings.HasPrefix(std.version, "1.") {
		t.Errorf("Go's library: %s %s %s", std.path, std.version, std.license)
	}
	if err := run([]string{"sbom", "--version", "1", "release_test.go"}, nil, nil); err == nil {
		t.Error("what is no program was taken for one")
	}
}

func TestSBOM(t *testing.T) {
	b := binary{path: "example.com/main", sha256: "ab12", modules: []module{
		{
			path: "example.com/part", version: "v1.2.3", sum: "h1:x", license: "MIT",
			texts: []licenseText{{"LICENSE", "Do."}, {"NOTICE", "Note."}},
		},
		{path: "std", version: "1.26.8", license: "BSD-3-Clause", texts: []licenseText{{"LICENSE", "Go."}}},
	}}
	var out bytes.Buffer
	if err := writeSBOM(&out, b, "1.2.0", releasedAt); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	want := `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"timestamp":"2026-11-27T07:45:36Z",` +
		`"component":{"type":"application","bom-ref":"pkg:golang/example.com/main@1.2.0","name":"example.com/main",` +
		`"version":"1.2.0","hashes":[{"alg":"SHA-256","content":"ab12"}],"licenses":[{"license":{"id":"Apache-2.0"}}],` +
		`"purl":"pkg:golang/example.com/main@1.2.0"}},"components":[` +
		`{"type":"library","bom-ref":"pkg:golang/example.com/part@v1.2.3","name":"example.com/part","version":"v1.2.3",` +
		`"licenses":[{"license":{"id":"MIT"}}],"purl":"pkg:golang/example.com/part@v1.2.3",` +
		`"properties":[{"name":"papertape:go.sum","value":"h1:x"}]},` +
		`{"type":"library","bom-ref":"pkg:golang/std@1.26.8","name":"std","version":"1.26.8",` +
		`"licenses":[{"license":{"id":"BSD-3-Clause"}}],"purl":"pkg:golang/std@1.26.8"}],` +
		`"dependencies":[{"ref":"pkg:golang/example.com/main@1.2.0","dependsOn":` +
		`["pkg:golang/example.com/part@v1.2.3","pkg:golang/std@1.26.8"]}]}`
	if got := compact.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var text strings.Builder
	if err := writeLicenses(&text, b); err != nil {
		t.Fatal(err)
	}
	if want := "==== example.com/part v1.2.3 (MIT)\n\n---- LICENSE\n\nDo.\n\n---- NOTICE\n\nNote.\n\n" +
		"==== Go, its library and runtime 1.26.8 (BSD-3-Clause)\n\n---- LICENSE\n\nGo.\n\n"; text.String() != want {
		t.Errorf("got  %q\nwant %q", text.String(), want)
	}
}

// file is one of an archive.
type file struct {
	name string
	body []byte
	mode int64
	uid  int
}

func archiveOf(t *testing.T, at time.Time, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{
			Name: f.name, Size: int64(len(f.body)), Mode: f.mode, Uid: f.uid, ModTime: at, Uname: "ann",
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// saved is what docker save writes of an image that was built at a time, by a container.
func saved(t *testing.T, at time.Time, container string, compressed bool) []byte {
	t.Helper()
	layer := archiveOf(t, at, file{"papertape", []byte("binary"), 0o755, 0}, file{"data/", nil, 0o700, 65532})
	if compressed {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(layer); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer = z.Bytes()
	}
	created := at.Format(time.RFC3339Nano)
	config := fmt.Appendf(nil, `{"created": %q, "container": %q, "docker_version": "1", "os": "linux",
		"config": {"Image": "sha256:%s", "Hostname": %q, "User": "65532", "Healthcheck": {"Interval": 10000000001}},
		"container_config": {"Hostname": %q}, "history": [{"created": %q, "created_by": "COPY"}],
		"rootfs": {"type": "layers", "diff_ids": ["sha256:%x"]}}`,
		created, container, container, container, container, created, sha256.Sum256(layer))
	list := fmt.Appendf(nil, `[{"Config": "%s.json", "RepoTags": ["papertape:1"], "Layers": ["%s/layer.tar"]}]`,
		container, container)
	return archiveOf(t, at, file{container + "/layer.tar", layer, 0o644, 0},
		file{container + ".json", config, 0o644, 0}, file{"manifest.json", list, 0o644, 0})
}

// TestImage: an image that is built again is the same archive, with everything in it that makes it
// what it is.
func TestImage(t *testing.T) {
	var first []byte
	for i, in := range [][]byte{
		saved(t, releasedAt.Add(time.Hour), "c1", false),
		saved(t, releasedAt.Add(2*time.Hour+time.Nanosecond), "c2", true),
	} {
		var out bytes.Buffer
		args := []string{"image", "--time", fmt.Sprint(releasedAt.Unix())}
		if err := run(args, bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = out.Bytes()
		} else if !bytes.Equal(first, out.Bytes()) {
			t.Error("another archive")
		}
	}
	files, err := readArchive(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	var images []manifest
	if err := json.Unmarshal(files["manifest.json"], &images); err != nil || len(images) != 1 {
		t.Fatalf("%v: %s", err, files["manifest.json"])
	}
	got := files[images[0].Layers[0]]
	checkLayer(t, got)
	digest := fmt.Sprintf("%x", sha256.Sum256(got))
	wantConfig := `{"config":{"Healthcheck":{"Interval":10000000001},"User":"65532"},"created":"2026-11-27T07:45:36Z",` +
		`"history":[{"created":"2026-11-27T07:45:36Z","created_by":"COPY"}],"os":"linux",` +
		`"rootfs":{"diff_ids":["sha256:` + digest + `"],"type":"layers"}}`
	if config := string(files[images[0].Config]); config != wantConfig {
		t.Errorf("configuration %s\nwant %s", config, wantConfig)
	}
	if images[0].RepoTags[0] != "papertape:1" || images[0].Layers[0] != digest+".tar" {
		t.Errorf("%+v", images[0])
	}
}

// checkLayer: names, modes, owners and contents of a layer are kept, and times are the release's.
func checkLayer(t *testing.T, layer []byte) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(layer))
	for _, want := range []file{{"papertape", []byte("binary"), 0o755, 0}, {"data/", nil, 0o700, 65532}} {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != want.name || h.Mode != want.mode || h.Uid != want.uid || !bytes.Equal(body, want.body) {
			t.Errorf("file %+v with %q, want %+v", h, body, want)
		}
		if h.Uname != "" || !h.ModTime.Equal(releasedAt) {
			t.Errorf("file %s of %q, at %v", h.Name, h.Uname, h.ModTime)
		}
	}
}

func TestBadImages(t *testing.T) {
	for name, in := range map[string][]byte{
		"no archive":  []byte("no such image"),
		"no manifest": archiveOf(t, releasedAt, file{"x", nil, 0o644, 0}),
		"two images":  archiveOf(t, releasedAt, file{"manifest.json", []byte(`[{}, {}]`), 0o644, 0}),
	} {
		if err := normalize(bytes.NewReader(in), &bytes.Buffer{}, releasedAt); err == nil {
			t.Errorf("%s was taken for an image", name)
		}
	}
}
