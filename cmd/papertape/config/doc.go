// Package config reads how a server is to run: from a file (JSON or YAML), the environment and the command line.
//
// A setting has one key, and three places to write it: the key itself in a file (outbox_bytes_max), a flag
// (--outbox-bytes-max), the environment (PAPERTAPE_OUTBOX_BYTES_MAX). Flags win over the environment, which wins over
// the file, which wins over the default. A command registers the settings as its flags, and loads them when those
// were parsed:
//
//	settings := config.NewSettings()
//	settings.Register(cmd.Flags())
//	…
//	started, err := settings.Load(cmd.Flags(), os.Environ()) // an Error names the place and what would be right
//	last := started
//	for range hangups { // a running server reads everything again
//		next, err := settings.Load(cmd.Flags(), os.Environ())
//		changed, restart := settings.Differences(started, last, next)
//		…
//		last = next
//	}
//
// What Load returns has been checked, as far as that is possible without asking the machine. Every value remembers
// where it came from, so that whoever finds it wrong later says so by Config.Wrong.
package config
