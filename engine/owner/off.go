//go:build !ownercheck

package owner

// Checked says whether the checks are built in.
const Checked = false

// Goroutine is the goroutine that owns something. The zero value is owned by none.
type Goroutine struct{}

// Take makes the calling goroutine the owner. It panics if another one is.
func (*Goroutine) Take() {}

// Release makes an end of that. It panics if the calling goroutine is not the owner.
func (*Goroutine) Release() {}

// Check panics if the calling goroutine is not the owner.
func (*Goroutine) Check() {}
