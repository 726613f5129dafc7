package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newConsole() *cobra.Command {
	var server consoleFlags
	var noOpen bool
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Open the console of a running server in a browser",
		Long: `Open the console of a running server in a browser: print an address that logs a browser in, and open it where this is a
terminal beside a browser.

The address is good once, for 15 minutes. Whoever opens it may do what this command may: as the server's user or root on its machine,
or with the token of --admin-token-file, everything.`,
		Example: `  papertape console
  papertape console --no-open        print the address only
  papertape console --admin https://desk.example.com:7301 --admin-token-file token`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			code, err := c.LoginCode(cmd.Context())
			if err != nil {
				return err
			}
			found := struct {
				URL string `json:"url"`
			}{consoleURL(server.admin) + code.Path}
			if err := printAs(cmd.OutOrStdout(), server.output, found, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, found.URL)
				return err
			}); err != nil || noOpen || !isTerminal(cmd.OutOrStdout()) {
				return err
			}
			openBrowser(cmd.Context(), found.URL)
			return nil
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().Var(boolFlag{&noOpen}, "no-open", "do not open a browser")
	cmd.Flags().Lookup("no-open").NoOptDefVal = "true"
	return cmd
}

// consoleURL returns the address of a console as a browser on this machine wants it.
func consoleURL(admin string) string {
	scheme, address := "http://", admin
	if rest, secure := strings.CutPrefix(admin, "https://"); secure {
		scheme, address = "https://", rest
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return scheme + address
}

// pageTime is how long a browser has to read the page that leads it on.
const pageTime = 3 * time.Second

// openBrowser opens a browser, if there is one; the address has been printed. It opens a file that leads to the
// address, since other users of the machine can read the arguments of a process, and the code in them.
func openBrowser(ctx context.Context, url string) {
	opener := browserOpener()
	if opener == "" {
		return
	}
	dir, err := os.MkdirTemp("", "papertape-console-") // for this user alone
	if err != nil {
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is a code that was used
	page := filepath.Join(dir, "console.html")
	text := `<!doctype html><title>Papertape</title><meta http-equiv="refresh" content="0;url=` +
		html.EscapeString(url) + `">`
	if os.WriteFile(page, []byte(text), 0o600) != nil || exec.CommandContext(ctx, opener, page).Start() != nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(pageTime):
	}
}

// browserOpener returns the program that opens pages, or "" where there is no screen.
func browserOpener() string {
	name := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		name = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return ""
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
