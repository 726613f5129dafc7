//go:build !race

package observed

const raceDetector = false
