// Package config reads the configuration of a server from a file (JSON or YAML), the environment
// and the command line.
//
// A setting has one key, which can be written in three places: as itself in a file
// (outbox_bytes_max), as a flag (--outbox-bytes-max), or as an environment variable
// (PAPERTAPE_OUTBOX_BYTES_MAX). Flags take precedence over the environment, the environment over
// the file, and the file over the default. A command registers the settings as flags, and loads
// them after the flags have been parsed:
//
//	settings := config.NewSettings()
//	settings.Register(cmd.Flags())
//	…
//	started, err := settings.Load(cmd.Flags(), os.Environ()) // an Error names the place and says what is valid
//	last := started
//	for range hangups { // a running server reads everything again
//		next, err := settings.Load(cmd.Flags(), os.Environ())
//		changed, restart := settings.Differences(started, last, next)
//		…
//		last = next
//	}
//
// Load checks everything that can be checked without asking the machine. Each value remembers where
// it was set, so that code that rejects a value later can say so with Config.Wrong.
package config
