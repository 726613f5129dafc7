package doctor

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestCostsAreMeasured holds what a connection is said to cost to docs/bench.md.
func TestCostsAreMeasured(t *testing.T) {
	text, err := os.ReadFile("../../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Idle connections\n")
	section, _, _ = strings.Cut(section, "\n## ")
	number := regexp.MustCompile(`[\d,]+`)
	lowest := 0
	var ours [][]int
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.Contains(line, "(") || strings.Contains(line, "---") ||
			strings.Contains(cells[4], "both ends") {
			continue
		}
		var row [][]int
		for _, cell := range cells[3:5] { // user bytes, kernel bytes: median (lowest to highest)
			var values []int
			for _, found := range number.FindAllString(cell, -1) {
				n, err := strconv.Atoi(strings.ReplaceAll(found, ",", ""))
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, n)
			}
			row = append(row, values)
		}
		if lowest == 0 || row[1][0] < lowest {
			lowest = row[1][0]
		}
		if strings.TrimSpace(cells[1]) == "papertape" {
			ours = row
		}
	}
	if len(ours) != 2 || len(ours[0]) != 3 || len(ours[1]) != 3 {
		t.Fatalf("docs/bench.md says of idle connections %v", ours)
	}
	for _, c := range []struct {
		what      string
		are, want int
	}{
		{"userBytes", userBytes, ours[0][0]}, {"userBytesMost", userBytesMost, ours[0][2]},
		{"kernelBytesBoth", kernelBytesBoth, lowest}, {"kernelBytesMost", kernelBytesMost, ours[1][2]},
	} {
		if c.are != c.want {
			t.Errorf("%s is %d; docs/bench.md has %d", c.what, c.are, c.want)
		}
	}
}

// TestTLSCostsAreTested holds what TLS is said to cost to the bounds that the gateway's test keeps.
func TestTLSCostsAreTested(t *testing.T) {
	text, err := os.ReadFile("../../../engine/gateway/tlsmemory_test.go")
	if err != nil {
		t.Fatal(err)
	}
	bounds := regexp.MustCompile(`liveMost, residentMost = (\d+) \* 1024, (\d+) \* 1024`)
	found := bounds.FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("TestTLSIdleMemory does not say its bounds")
	}
	heap, _ := strconv.Atoi(found[1])
	resident, _ := strconv.Atoi(found[2])
	if tlsHeapBytes != heap<<10 || tlsBytes != resident<<10 {
		t.Errorf("%d of heap and %d in all; TestTLSIdleMemory has %d and %d KiB", tlsHeapBytes, tlsBytes, heap,
			resident)
	}
}
