package main

import (
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/bench/load"
)

// newGenerate runs a load generator. The other commands start it as a process of its own,
// so that its processor time can be told apart from the server's and from theirs.
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
