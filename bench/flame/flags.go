package flame

import "flag"

// flags is the command line for pprof, instead of the program's own.
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

// ExtraUsage returns nothing.
func (f *flags) ExtraUsage() string { return "" }

// AddExtraUsage does nothing.
func (f *flags) AddExtraUsage(string) {}

// Parse returns the arguments that are not flags.
func (f *flags) Parse(usage func()) []string {
	f.Usage = usage
	if f.FlagSet.Parse(f.args) != nil {
		return nil
	}
	return f.Args()
}
