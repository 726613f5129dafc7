// Package zinxconf configures zinx. When zinx is loaded, in any program that links it, it
// reads a file and complains on stderr if there is none. An environment variable can name
// the file. This is the only package of the project with an effect at load time, because
// there is no other time to do this. It imports only os, so it is loaded before zinx.
package zinxconf

import (
	"os"
	"strconv"
)

// Configured reports whether zinx found this configuration.
var Configured = configure()

// configuration makes zinx log only what ends it.
const configuration = `{"LogIsolationLevel": 4}`

// configure puts the configuration into a pipe, which zinx reads once.
func configure() bool {
	r, w, err := os.Pipe()
	if err != nil {
		return false
	}
	_, err = w.WriteString(configuration)
	if w.Close() != nil || err != nil {
		return false
	}
	return os.Setenv("ZINX_CONFIG_FILE_PATH", "/proc/self/fd/"+strconv.Itoa(int(r.Fd()))) == nil
}
