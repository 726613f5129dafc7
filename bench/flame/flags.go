package flame

import "flag"

// flags is a command line that pprof is given, instead of the program's own.
type flags struct {
	*flag.FlagSet
	args []string
}

func newFlags(args ...string) *flags {
	return &flags{flag.NewFlagSet("pprof", flag.ContinueOnError), args}
}

// StringList defines a flag that may be given once.
func (f *flags) StringList(name, def, usage string) *[]*string {
	return &[]*string{f.String(name, def, usage)}
}

// ExtraUsage is none.
func (f *flags) ExtraUsage() string { return "" }

// AddExtraUsage adds nothing.
func (f *flags) AddExtraUsage(string) {}

// Parse returns what is left of the command line.
func (f *flags) Parse(usage func()) []string {
	f.Usage = usage
	if f.FlagSet.Parse(f.args) != nil {
		return nil
	}
	return f.Args()
}
