package main

import (
	"bytes"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{nil, 0},
		{[]string{"--help"}, 0},
		{[]string{"measure-nothing"}, exitUsage},
		{[]string{"--no-such-flag"}, exitUsage},
	} {
		var out, errs bytes.Buffer
		if code := Main(c.args, &out, &errs); code != c.code {
			t.Errorf("%q: exit %d, want %d; it said %q", c.args, code, c.code, errs.String())
		}
		if said := errs.Len() > 0; said != (c.code != 0) {
			t.Errorf("%q: exit %d with %q on stderr", c.args, c.code, errs.String())
		}
	}
}
