package userfile

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/papertape/papertape/usertext"
)

const (
	nameBytesMax = 255  // of one file or directory, on any file system
	pathBytesMax = 4095 // of all names and the slashes between them
)

// CheckPath returns an error if text can never be the path of a file or directory, whatever is on
// the disk.
func CheckPath(path string) error {
	if _, hides := usertext.Hidden(path); hides {
		return fmt.Errorf("%q has characters that do not belong in a path", clip(path))
	}
	for name := range strings.SplitSeq(path, string(filepath.Separator)) {
		if len(name) > nameBytesMax {
			return fmt.Errorf("the name %s is %d bytes long; a file or directory has one of at most %d",
				clip(name), len(name), nameBytesMax)
		}
	}
	if len(path) > pathBytesMax {
		return fmt.Errorf("the path %s is %d bytes long; there are none of more than %d",
			clip(path), len(path), pathBytesMax)
	}
	return nil
}

// clip shortens a very long path for an error message.
func clip(path string) string {
	const longest, kept = 256, 64
	if len(path) > longest {
		return strings.ToValidUTF8(path[:kept], "") + "…"
	}
	return path
}
