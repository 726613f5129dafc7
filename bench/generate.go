package main

import (
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/bench/load"
)

// newGenerate is a load generator in a process of its own: what the other commands start, so that the processor time that it takes
// is told apart from the server's and from theirs.
func newGenerate() *cobra.Command {
	return &cobra.Command{
		Use:    "generate",
		Short:  "Be a load generator, told by lines of JSON on stdin what to do",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return load.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
