//go:build !ownercheck

package owner

// Checked reports whether the checks are built in.
const Checked = false

// Goroutine records which goroutine owns something. The zero value has no owner.
type Goroutine struct{}

// Take makes the calling goroutine the owner. It panics if another goroutine is.
func (*Goroutine) Take() {}

// Release gives up ownership. It panics if the calling goroutine is not the owner.
func (*Goroutine) Release() {}

// Check panics if the calling goroutine is not the owner.
func (*Goroutine) Check() {}
