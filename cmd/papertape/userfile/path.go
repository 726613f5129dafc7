package userfile

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/papertape/papertape/usertext"
)

const (
	nameBytesMax = 255  // of a file or directory, on whatever file system
	pathBytesMax = 4095 // of names and the slashes between them
)

// CheckPath says why a text cannot be the path of a file or directory, whatever there is on the disk.
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

// clip is a path for a sentence, which does not repeat all of one that is very long.
func clip(path string) string {
	const longest, kept = 256, 64
	if len(path) > longest {
		return strings.ToValidUTF8(path[:kept], "") + "…"
	}
	return path
}
