package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/audit"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check the record of who changed what",
		Example: `  papertape audit verify papertape-data/audit.log
  papertape audit verify --head 5f70bf18… papertape-data/audit.log`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; papertape audit --help lists them", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditVerify())
	return cmd
}

func newAuditVerify() *cobra.Command {
	var head, output string
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check that no line of the audit was changed or cut out",
		Long: `Read the files of an audit, oldest first, and check that each line fits the one before it. Exit 0 if all do; 1 with the first
that does not. It may be done while the server runs.

Nothing follows the last line. --head takes a hash that the server has logged ("audit head", every hour and at its stop), and
fails if no line has it: then lines are missing at the end, or the whole was written anew.`,
		Example: `  papertape audit verify papertape-data/audit.log
  papertape audit verify papertape-data/audit.log.4711 papertape-data/audit.log
  papertape audit verify --head 9f86d081… papertape-data/audit.log -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("verify takes the files of an audit, oldest first, as in " +
					"papertape-data/audit.log")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			head = strings.ToLower(head)
			if head != "" && (len(head) != 64 || strings.Trim(head, "0123456789abcdef") != "") {
				return usageError{fmt.Errorf("--head: %q is not a hash; it has 64 hexadecimal digits", head)}
			}
			report, err := audit.Verify(head, args...)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), output, report,
				func(w io.Writer) error { return renderAudit(w, &report) })
		},
	}
	cmd.Flags().StringVar(&head, "head", "", "the `hash` of a line that must be there")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func renderAudit(w io.Writer, r *audit.Report) error {
	torn, found := "", ""
	if r.TornBytes > 0 {
		torn = fmt.Sprintf("; %d bytes of a line that is not complete follow, which nobody was told of", r.TornBytes)
	}
	if r.Found > 0 {
		found = fmt.Sprintf("the hash that was looked for is that of line %d\n", r.Found)
	}
	if r.Lines == 0 {
		_, err := fmt.Fprintf(w, "no lines%s\n", torn)
		return err
	}
	_, err := fmt.Fprintf(w, "%d lines, numbers %d to %d, from %s to %s, in one chain%s\n%shead %s\n", r.Lines, r.First,
		r.Last, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), torn, found, r.Head)
	return err
}
