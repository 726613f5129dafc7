//go:build ownercheck

package owner

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
)

// Checked reports whether the checks are built in.
const Checked = true

// Goroutine records which goroutine owns something. The zero value has no owner.
type Goroutine struct {
	id atomic.Uint64 // 0: none
}

// Take makes the calling goroutine the owner. It panics if another goroutine is.
func (g *Goroutine) Take() {
	me := current()
	if owner := g.id.Load(); owner == me {
		return
	} else if owner != 0 || !g.id.CompareAndSwap(0, me) {
		panic(fmt.Sprintf("owner: goroutine %d takes what goroutine %d owns", me, g.id.Load()))
	}
}

// Release gives up ownership. It panics if the calling goroutine is not the owner.
func (g *Goroutine) Release() {
	g.Check()
	g.id.Store(0)
}

// Check panics if the calling goroutine is not the owner.
func (g *Goroutine) Check() {
	if me, owner := current(), g.id.Load(); me != owner {
		panic(fmt.Sprintf("owner: goroutine %d touches what goroutine %d owns", me, owner))
	}
}

// current returns the number of the calling goroutine. Go shows it only in the first line of a
// stack trace.
func current() uint64 {
	var stack [64]byte
	line := bytes.TrimPrefix(stack[:runtime.Stack(stack[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(line, []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		panic("owner: no number of a goroutine in " + string(stack[:]))
	}
	return id
}
