//go:build race

package conformance

// buildFlags: under the race detector the server is built with it too. If it has found a race, it
// ends with an exit code other than 0, which every test that stops a server checks.
var buildFlags = []string{"-race"}
