// Package webtest tries the console's pages in a real Chromium, against the real server. It is a module of its own,
// so that the server's has nothing of it.
//
//	go test ./... -short           the walk of a newcomer, in under a minute
//	go test ./...                  every page, in both languages, dark and light, wide and narrow
//	go test -run TestPictures -update ./...   the pictures in docs/images/console
//
// Where there is no Chromium the tests skip, and say so; with PAPERTAPE_CI=1 they fail. CHROMIUM names one that is
// not in PATH.
package webtest
