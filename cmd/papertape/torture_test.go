package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/proof/torture"
)

// forgetful is a server that loses data: its second start keeps a copy of the data, and its seventh
// goes back to that copy.
const forgetful = `#!/bin/sh
set -e
if [ "$1" = serve ]; then
	data=%[1]s
	echo start >> %[1]s.starts
	case $(wc -l < %[1]s.starts) in
	2) cp -r $data $data.kept ;;
	7) rm -r $data && mv $data.kept $data ;;
	esac
fi
exec papertape "$@"
`

// TestTortureFindsLoss runs torture against a server that loses a part of what it acknowledged, and
// is otherwise correct. Its data alone does not reveal the loss.
func TestTortureFindsLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "forgetful"), filepath.Join(dir, "data")
	if err := os.WriteFile(binary, fmt.Appendf(nil, forgetful, data), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var said bytes.Buffer
	report, err := torture.Run(ctx, torture.Config{
		Binary: binary, Kills: 20, Seed: 3, Accounts: 8, Rate: 1000, Data: data, Durability: config.DurabilitySync,
		Progress: &said,
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || report.Lost == 0 || report.Kills > 7 {
		t.Errorf("after %d kills %d acknowledged events are found lost: %q", report.Kills, report.Lost, report.Failures)
	}
	if !slices.ContainsFunc(report.Failures, func(f string) bool {
		return strings.Contains(f, "was told before the kill, and the newest is")
	}) {
		t.Errorf("the failures are %q", report.Failures)
	}
}
