package owner

import (
	"strings"
	"testing"
	"unsafe"
)

// TestNoCost: without the tag a Goroutine takes no memory.
func TestNoCost(t *testing.T) {
	if size := unsafe.Sizeof(Goroutine{}); !Checked && size != 0 {
		t.Errorf("a Goroutine that checks nothing takes %d bytes", size)
	}
}

// TestWrongGoroutine: a goroutine other than the owner may not take, touch or release.
func TestWrongGoroutine(t *testing.T) {
	if !Checked {
		t.Skip("built without the tag ownercheck")
	}
	var g Goroutine
	if said := panicOf(g.Check); !strings.Contains(said, "touches") {
		t.Errorf("Check of what nobody owns panicked with %q", said)
	}
	g.Take()
	g.Take() // the owner may take it again
	g.Check()
	for name, do := range map[string]func(){"Take": g.Take, "Check": g.Check, "Release": g.Release} {
		if said := elsewhere(do); !strings.Contains(said, "owns") {
			t.Errorf("%s on another goroutine panicked with %q", name, said)
		}
	}
	g.Release()
}

func elsewhere(do func()) string {
	said := make(chan string)
	go func() { said <- panicOf(do) }()
	return <-said
}

func panicOf(do func()) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = p.(string)
		}
	}()
	do()
	return ""
}
