package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/usertext"
)

func newAccount() *cobra.Command {
	return group(&cobra.Command{
		Use:   "account",
		Short: "Open, fund, empty and reset accounts of a running server",
		Long: `Open an account of a running server, book cash in and out, and begin an account anew. Each is one event, which its clients see.
papertape accounts lists the accounts.`,
		Example: `  papertape account open --cash 1000000 --reason "a new pupil"
  papertape account deposit 100001 500 --reason "pocket money"
  papertape account reset 100001 --reason "a new term"`,
	}, newAccountOpen(), newAccountDeposit(), newAccountWithdraw(), newAccountReset())
}

// bookingFlags are the flags that the commands about one account share.
type bookingFlags struct {
	consoleFlags
	reason, actor, requestID string
}

func (b *bookingFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	b.consoleFlags.register(flags)
	flags.StringVar(&b.reason, "reason", "", "why, in a line that the client is told too")
	flags.StringVar(&b.actor, "actor", "", "who asks, for the record (default: operator)")
}

func (b *bookingFlags) registerID(cmd *cobra.Command) {
	b.register(cmd)
	cmd.Flags().StringVar(&b.requestID, "request-id", "", "do it once under this `id`, however often it is asked "+
		"(default: one is made up)")
}

// needReason returns an error without a reason.
func (b *bookingFlags) needReason(cmd *cobra.Command) error {
	if b.reason == "" {
		return usageError{fmt.Errorf(`%s needs a reason: write --reason "a new term"`, cmd.CommandPath())}
	}
	return nil
}

// id returns the request id. A generated one is printed before asking: without an answer, the user needs
// it to ask again.
func (b *bookingFlags) id(cmd *cobra.Command) string {
	if b.requestID == "" {
		b.requestID = "a-" + strings.ToLower(rand.Text()[:16]) // 80 bits
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "request id %s; to ask again if no answer comes: --request-id %s\n",
			b.requestID, b.requestID)
	}
	return b.requestID
}

// send makes the request and prints the result.
func (b *bookingFlags) send(cmd *cobra.Command, what string,
	request func(context.Context, *console.Client) (console.Booked, error),
) error {
	c, err := b.client()
	if err != nil {
		return err
	}
	done, err := request(cmd.Context(), c)
	var refused *console.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	return printAs(cmd.OutOrStdout(), b.output, done, func(w io.Writer) error { return renderBooked(w, what, &done) })
}

// renderBooked shows what was done to an account.
func renderBooked(w io.Writer, what string, done *console.Booked) error {
	again := ""
	if done.Repeated {
		again = "already done under this request id: "
	}
	reason, actor := "", ""
	switch {
	case done.Adjustment != nil:
		reason, actor = done.Adjustment.Reason, done.Adjustment.Actor
	case done.Reset != nil:
		reason, actor = done.Reset.Reason, done.Reset.Actor
	}
	gone := ""
	if n := len(done.Positions); n > 0 {
		gone = fmt.Sprintf(", %s gone", plural(n, "row"))
	}
	_, err := fmt.Fprintf(w, "%saccount %d %s by event %d, %s\n%s\ncash %s%s\n", again, done.Account, what, done.Seq,
		done.Time.Format(time.RFC3339), usertext.Shown(fmt.Sprintf("reason: %s; by %s", reason, actor)),
		done.Cash.Balance, gone)
	return err
}

// amountOf parses an amount of the command line.
func amountOf(what, text string) (console.Money, error) {
	money, err := market.ParseMoney(text)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s: %w", what, err)}
	}
	return console.Money(money), nil
}

// optionalCash parses --cash; nil if it was not given.
func optionalCash(cmd *cobra.Command, text string) (*console.Money, error) {
	if !cmd.Flags().Changed("cash") {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	cash, err := amountOf("--cash", text)
	return &cash, err
}

func newAccountOpen() *cobra.Command {
	var b bookingFlags
	var cash string
	cmd := &cobra.Command{
		Use:   "open [ACCOUNT] --cash AMOUNT --reason R",
		Short: "Open an account of a running server, and print its number",
		Long: `Open an account of a running server, with cash and without rows. Its clients may log in at once. Without a number it is one above
the highest account. If no answer comes, look with papertape accounts whether it is there before asking again.

A key for a list or a range of accounts is not extended; papertape keys add makes one for the new account.`,
		Example: `  papertape account open --cash 1000000 --reason "a new pupil"
  papertape account open 200017 --cash 0 --reason "desk 7" -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactArgs(1, "one account number, or none")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r := console.OpenRequest{Reason: b.reason, Actor: b.actor}
			var err error
			if len(args) > 0 {
				if r.Account, err = accountNumber(args[0]); err != nil {
					return err
				}
			}
			if r.Cash, err = optionalCash(cmd, cash); err != nil {
				return err
			}
			if r.Cash == nil {
				return usageError{errors.New("open needs the cash that the account begins with: write --cash 1000000")}
			}
			if err := b.needReason(cmd); err != nil {
				return err
			}
			return b.send(cmd, "opened", func(ctx context.Context, c *console.Client) (console.Booked, error) {
				return c.OpenAccount(ctx, r)
			})
		},
	}
	b.register(cmd)
	cmd.Flags().StringVar(&cash, "cash", "", "the cash that it begins with, as 1000000.00")
	return cmd
}

// cashCommand completes a command that books an amount.
func cashCommand(cmd *cobra.Command, done string,
	book func(context.Context, *console.Client, uint64, console.CashRequest) (console.Booked, error),
) *cobra.Command {
	var b bookingFlags
	cmd.Args = exactArgs(2, "an account number and an amount, as 100001 500.00")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		account, err := accountNumber(args[0])
		if err != nil {
			return err
		}
		amount, err := amountOf("the amount", args[1])
		if err == nil {
			err = b.needReason(cmd)
		}
		if err != nil {
			return err
		}
		what := fmt.Sprintf(done, amount)
		return b.send(cmd, what, func(ctx context.Context, c *console.Client) (console.Booked, error) {
			r := console.CashRequest{Amount: amount, Reason: b.reason, RequestID: b.id(cmd), Actor: b.actor}
			return book(ctx, c, account, r)
		})
	}
	b.registerID(cmd)
	return cmd
}

func newAccountDeposit() *cobra.Command {
	return cashCommand(&cobra.Command{
		Use:   "deposit ACCOUNT AMOUNT --reason R",
		Short: "Book cash into an account of a running server",
		Long: `Book cash into an account of a running server. Asked again under the same --request-id it answers what was done, and does
nothing.`,
		Example: `  papertape account deposit 100001 500 --reason "pocket money"
  papertape account deposit 100001 500.25 --reason "interest" --request-id interest-2026-12`,
	}, "was given %s", func(ctx context.Context, c *console.Client, account uint64, r console.CashRequest,
	) (console.Booked, error) {
		return c.Deposit(ctx, account, r)
	})
}

func newAccountWithdraw() *cobra.Command {
	return cashCommand(&cobra.Command{
		Use:   "withdraw ACCOUNT AMOUNT --reason R",
		Short: "Book cash out of an account of a running server",
		Long: `Book cash out of an account of a running server, at most what it has. Asked again under the same --request-id it answers what was
done, and does nothing.`,
		Example: `  papertape account withdraw 100001 500 --reason "a fine"
  papertape account withdraw 100001 500 --reason "a fine" -o json`,
	}, "was taken %s", func(ctx context.Context, c *console.Client, account uint64, r console.CashRequest,
	) (console.Booked, error) {
		return c.Withdraw(ctx, account, r)
	})
}

func newAccountReset() *cobra.Command {
	var b bookingFlags
	var cash string
	cmd := &cobra.Command{
		Use:   "reset ACCOUNT [--cash AMOUNT] --reason R",
		Short: "Begin an account of a running server anew",
		Long: `Begin an account of a running server anew: with the cash of its opening, or with --cash, and without rows. Fees paid and realised
gains count from then on. Its history stays, but no trade before the reset can be taken back or corrected any more; client
order ids stay remembered. Asked again under the same --request-id it answers what was done, and does nothing.`,
		Example: `  papertape account reset 100001 --reason "a new term"
  papertape account reset 100001 --cash 50000 --reason "a new term" --request-id term-2`,
		Args: exactArgs(1, "an account number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			r := console.ResetRequest{Reason: b.reason, Actor: b.actor}
			if r.Cash, err = optionalCash(cmd, cash); err == nil {
				err = b.needReason(cmd)
			}
			if err != nil {
				return err
			}
			return b.send(cmd, "reset", func(ctx context.Context, c *console.Client) (console.Booked, error) {
				r.RequestID = b.id(cmd)
				return c.Reset(ctx, account, r)
			})
		},
	}
	b.registerID(cmd)
	cmd.Flags().StringVar(&cash, "cash", "", "the cash that it begins with (default: that of its opening)")
	return cmd
}
