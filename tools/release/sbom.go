package main

import (
	"encoding/json"
	"io"
	"time"
)

// The part of CycloneDX 1.5 that is written: https://cyclonedx.org/docs/1.5/json/.
type (
	bom struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Licenses   []license  `json:"licenses"`
		Purl       string     `json:"purl"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	license struct {
		License licenseID `json:"license"`
	}
	licenseID struct {
		ID string `json:"id"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

// purl is the name of a module at https://github.com/package-url.
func purl(path, version string) string { return "pkg:golang/" + path + "@" + version }

func licensed(id string) []license { return []license{{licenseID{id}}} }

// writeSBOM writes what a binary is made of. Which module needs which is not in a binary: it depends
// on all of them.
func writeSBOM(w io.Writer, b binary, version string, at time.Time) error {
	this := purl(b.path, version)
	doc := bom{
		Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata: metadata{
			Timestamp: at.Format(time.RFC3339),
			Component: component{
				Type: "application", Ref: this, Name: b.path, Version: version, Purl: this,
				Hashes: []hash{{"SHA-256", b.sha256}}, Licenses: licensed("Apache-2.0"),
			},
		},
		Dependencies: []dependency{{Ref: this}},
	}
	for _, m := range b.modules {
		c := component{
			Type: "library", Ref: purl(m.path, m.version), Name: m.path, Version: m.version,
			Licenses: licensed(m.license), Purl: purl(m.path, m.version),
		}
		if m.sum != "" {
			c.Properties = []property{{"papertape:go.sum", m.sum}}
		}
		doc.Components = append(doc.Components, c)
		doc.Dependencies[0].DependsOn = append(doc.Dependencies[0].DependsOn, c.Ref)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
