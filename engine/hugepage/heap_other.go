//go:build !linux

package hugepage

// Reserve does nothing here: 0 bytes are backed with huge pages.
func Reserve(int64) (int64, error) { return 0, nil }
