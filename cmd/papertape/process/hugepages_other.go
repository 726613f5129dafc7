//go:build !linux || race

package process

// ReserveHugePages does nothing on this platform and returns 0. It also does nothing under the race
// detector, which shadows each byte of the heap four times and would take up the memory.
func ReserveHugePages(int64) (int64, error) { return 0, nil }

// AdviseHugePages does nothing, for the same reasons.
func AdviseHugePages([]byte) {}
