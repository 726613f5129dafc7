package main

import (
	"fmt"
	"io"
	"strings"
)

// isLicense says whether a file of this name has the conditions of a module: LICENSE, COPYING.md,
// NOTICE and so on.
func isLicense(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "PATENTS":
		return true
	}
	return strings.HasPrefix(stem, "LICENSE-")
}

// licenseOf names the license that a text is, in the words of SPDX, or returns "" for one that is
// not known.
func licenseOf(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	has := func(part string) bool { return strings.Contains(words, part) }
	switch {
	case has("Apache License Version 2.0"):
		return "Apache-2.0"
	case has("Mozilla Public License Version 2.0"), has("Mozilla Public License, version 2.0"):
		return "MPL-2.0"
	case has("Permission is hereby granted, free of charge"):
		return "MIT"
	case has("Permission to use, copy, modify, and/or distribute this software"),
		has("Permission to use, copy, modify, and distribute this software"):
		return "ISC"
	case has("Redistribution and use in source and binary forms"):
		if has("Neither the name") || has("may be used to endorse or promote") {
			return "BSD-3-Clause"
		}
		return "BSD-2-Clause"
	case has("CC0 1.0 Universal"):
		return "CC0-1.0"
	}
	return ""
}

// writeLicenses writes the conditions under which each part of a binary may be passed on.
func writeLicenses(w io.Writer, b binary) error {
	for _, m := range b.modules {
		title := m.path
		if m.path == "std" {
			title = "Go, its library and runtime"
		}
		if _, err := fmt.Fprintf(w, "==== %s %s (%s)\n\n", title, m.version, m.license); err != nil {
			return err
		}
		for _, t := range m.texts {
			if _, err := fmt.Fprintf(w, "---- %s\n\n%s\n\n", t.name, t.text); err != nil {
				return err
			}
		}
	}
	return nil
}
