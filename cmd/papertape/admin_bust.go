package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// bustFlags are the flags that bust and correct share.
type bustFlags struct {
	consoleFlags
	reason, policy, bustID, actor string
	preview                       bool
}

func (b *bustFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	b.consoleFlags.register(flags)
	flags.StringVar(&b.reason, "reason", "", "why, in a line that the client is told too")
	flags.StringVar(&b.policy, "policy", positions.PolicyReject.String(),
		"where other trades rest on it: reject, and name them, or cascade, and take them back as well")
	flags.StringVar(&b.bustID, "bust-id", "", "do it once under this `id`, however often it is asked (default: one "+
		"is made up)")
	flags.StringVar(&b.actor, "actor", "", "who asks, for the record (default: operator)")
	flags.Var(boolFlag{&b.preview}, "preview", "show what it would do, and do nothing")
	flags.Lookup("preview").NoOptDefVal = "true"
	policies := []string{positions.PolicyReject.String(), positions.PolicyCascade.String()}
	// This cannot fail, since the flag exists.
	_ = cmd.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions(policies, cobra.ShellCompDirectiveNoFileComp))
}

// request builds the request from the command line. It prints a generated bust ID before asking:
// without an answer, the user needs it to ask again.
func (b *bustFlags) request(cmd *cobra.Command, trade string) (r console.BustRequest, err error) {
	if _, _, err = console.ParseTradeID(trade); err == nil {
		_, err = positions.ParseBustPolicy(b.policy)
	}
	if err == nil && b.reason == "" {
		err = fmt.Errorf(`%s needs a reason: write --reason "wrong price"`, cmd.Name())
	}
	if err != nil {
		return r, usageError{err}
	}
	if b.preview && b.bustID != "" {
		return r,
			usageError{errors.New("--preview does nothing, so it takes no --bust-id; " +
				"its answer has one to do it under")}
	}
	if b.bustID == "" && !b.preview {
		b.bustID = "b-" + strings.ToLower(rand.Text()[:16]) // 80 bits
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "bust id %s; to ask again if no answer comes: --bust-id %s\n", b.bustID,
			b.bustID)
	}
	return console.BustRequest{Trade: trade, Reason: b.reason, Policy: b.policy, BustID: b.bustID, Actor: b.actor}, nil
}

// send makes the request and prints the result. What was before comes from a preview; where that is refused, the
// request is too, or it was carried out before.
func (b *bustFlags) send(
	cmd *cobra.Command, preview func() (console.BustPreview, error), request func() (console.TakenBack, error),
) error {
	var before *console.BustPreview
	if b.preview || b.output == "text" {
		p, err := preview()
		switch {
		case b.preview && err != nil:
			return asUsage(err)
		case b.preview:
			return printAs(cmd.OutOrStdout(), b.output, p, func(w io.Writer) error { return renderPreview(w, &p) })
		case err == nil:
			before = &p
		}
	}
	done, err := request()
	if err != nil {
		return asUsage(err)
	}
	return printAs(cmd.OutOrStdout(), b.output, done, func(w io.Writer) error {
		return renderTakenBack(w, &done, before)
	})
}

// asUsage makes a wrong use of a request that the server finds malformed.
func asUsage(err error) error {
	var refused *console.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return usageError{err}
	}
	return err
}

func newBust() *cobra.Command {
	var b bustFlags
	cmd := &cobra.Command{
		Use:   "bust TRADE --reason R",
		Short: "Take a trade of a running server back, as if it had never happened",
		Long: `Take a trade of a running server back. The account becomes what it would be had the trade never happened; its clients see the
trade struck. Nothing is deleted, and a bust is never undone: book a new trade instead.

Where other trades rest on it, as the sale of the shares that it bought, it is refused and they are named; --policy cascade
takes them back as well, at most 100. Asked again under the same --bust-id it answers what was done, and does nothing.
--preview shows what it would do to rows and cash, and which trades would go with it.`,
		Example: `  papertape bust 100017-42 --reason "wrong price" --preview
  papertape bust 100017-42 --reason "wrong account" --policy cascade --bust-id desk-7
  papertape trade 100017-42     what became of it`,
		Args: exactArgs(1, "the name of a trade, as 100017-42"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := b.client()
			if err != nil {
				return err
			}
			r, err := b.request(cmd, args[0])
			if err != nil {
				return err
			}
			preview := r
			preview.BustID = ""
			return b.send(cmd,
				func() (console.BustPreview, error) { return c.PreviewBust(cmd.Context(), preview) },
				func() (console.TakenBack, error) { return c.Bust(cmd.Context(), r) })
		},
	}
	b.register(cmd)
	return cmd
}

func newCorrect() *cobra.Command {
	var b bustFlags
	var price string
	var quantity int64
	var revision uint32
	cmd := &cobra.Command{
		Use:   "correct TRADE --price P --quantity Q --reason R",
		Short: "Have a trade of a running server stand at another price and quantity",
		Long: `Correct a trade of a running server. The account becomes what it would be had the trade happened at this price and of this
quantity, at its place among the others; its clients see the old one struck and the new one. A correction can be corrected, and
busted; each raises the trade's revision by one, and --revision refuses to touch another than the one meant.

Where other trades rest on what it takes away, it is refused and they are named; --policy cascade takes them back, at most 100.
Asked again under the same --bust-id it answers what was done, and does nothing.`,
		Example: `  papertape correct 100017-42 --price 9.98 --quantity 100 --reason "wrong price"
  papertape correct 100017-42 --price 9.98 --quantity 80 --reason "wrong quantity" --revision 1
  papertape trade 100017-42     its revisions`,
		Args: exactArgs(1, "the name of a trade, as 100017-42"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("price") || !cmd.Flags().Changed("quantity") {
				return usageError{errors.New("correct needs both, what the trade is to stand at: --price and " +
					"--quantity")}
			}
			money, err := market.ParseMoney(price)
			if err != nil {
				return usageError{fmt.Errorf("--price: %w", err)}
			}
			c, err := b.client()
			if err != nil {
				return err
			}
			bust, err := b.request(cmd, args[0])
			if err != nil {
				return err
			}
			r := console.CorrectionRequest{BustRequest: bust, Price: console.Money(money), Quantity: quantity}
			if cmd.Flags().Changed("revision") {
				r.Revision = &revision
			}
			preview := r
			preview.BustID = ""
			return b.send(cmd,
				func() (console.BustPreview, error) { return c.PreviewCorrection(cmd.Context(), preview) },
				func() (console.TakenBack, error) { return c.Correct(cmd.Context(), r) })
		},
	}
	b.register(cmd)
	cmd.Flags().StringVar(&price, "price", "", "the price, as 9.98")
	cmd.Flags().Var(decimal.Whole(&quantity, 0, 0, positions.MaxOrderShares), "quantity", "how many shares")
	cmd.Flags().Var(decimal.Whole(&revision, 0, 0, math.MaxUint32), "revision",
		"only if the trade stands at this revision (default: whichever it is)")
	return cmd
}

func newTrade() *cobra.Command {
	var server consoleFlags
	cmd := &cobra.Command{
		Use:   "trade TRADE",
		Short: "A trade of a running server, as executed and as it stands",
		Long: `Show a trade of a running server as it was executed, its corrections, and whether and by whom it was taken back. The account's
events are read from the trade to the newest, some millions a second, for at most two minutes.`,
		Example: `  papertape trade 100017-42
  papertape trade 100017-42 -o json`,
		Args: exactArgs(1, "the name of a trade, as 100017-42"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := console.ParseTradeID(args[0]); err != nil {
				return usageError{err}
			}
			c, err := server.client()
			if err != nil {
				return err
			}
			t, err := c.Trade(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, t, func(w io.Writer) error { return renderTrade(w, &t) })
		},
	}
	server.register(cmd.Flags())
	return cmd
}
