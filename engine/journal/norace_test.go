//go:build !race

package journal

const (
	crashPointsDefault = 120
	flipsDefault       = 150
)
