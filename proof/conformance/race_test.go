//go:build race

package conformance

// buildFlags: under the race detector the server that is judged runs under it too. It then ends with another exit code than
// 0 if it has found a race, which every test that stops a server checks.
var buildFlags = []string{"-race"}
