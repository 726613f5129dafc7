//go:build !linux

package doctor

// Elsewhere the kernel says less about itself, and nothing of it in files.

func freeBytes(string) int64    { return Unknown }
func clockSynchronised() Answer { return Nobody }
func isLocked(string) bool      { return false }
