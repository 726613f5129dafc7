// Package observed tries the rules and the dashboard in deploy/ with a real Prometheus that scrapes real
// servers: every query of a panel answers something, and every alert fires when what it is about is made
// to happen. It has nothing but tests.
package observed
