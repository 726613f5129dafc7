//go:build race

package journal

// Under the race detector everything takes ten times as long, and what a power loss or a flipped
// bit leads to does not depend on it: fewer of them are tried there.
const (
	crashPointsDefault = 30
	flipsDefault       = 40
	faultsLeftOut      = 3
)
