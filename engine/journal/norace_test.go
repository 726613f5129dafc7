//go:build !race

package journal

const (
	crashPointsDefault = 120
	flipsDefault       = 150
	faultsLeftOut      = 1 // times as many faults are left out of quick tests as there would be
)
