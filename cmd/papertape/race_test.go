//go:build race

package main

// raceDetector says whether the tests run under the race detector, which counts no bytes.
const raceDetector = true
