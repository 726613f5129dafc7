// Package zinxconf gives zinx its configuration. zinx reads a file while it is loaded, in any program that it is linked into, and
// complains on stderr where there is none; it can be told a file by an environment variable. This is the one place of the house
// that does something while it is loaded, since that is the only time to do it: it needs nothing but os, so it is loaded
// before zinx is.
package zinxconf

import (
	"os"
	"strconv"
)

// Configured says that zinx has found its configuration here.
var Configured = configure()

// configuration has zinx log what ends it, and nothing else.
const configuration = `{"LogIsolationLevel": 4}`

// configure leaves the configuration in a pipe, which zinx reads once.
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
