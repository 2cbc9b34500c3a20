package look

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
)

// with calls f with the running server.
func with(cmd *cobra.Command, t *workspace.Target, f func(*admin.Client) error) error {
	server, err := t.Server(cmd.Context())
	if err != nil {
		return err
	}
	defer server.Close()
	return f(server)
}

// criteria are the flags that select sessions.
type criteria struct{ protocol, client, account string }

func (c *criteria) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.protocol, "protocol", "", "only sessions of this protocol: smtp (submission is among it), submission, pop3 or web")
	f.StringVar(&c.client, "client", "", "only sessions of this address or network, such as 192.0.2.7 or 192.0.2.0/24")
	f.StringVar(&c.account, "account", "", "only sessions that this account has logged in to: NAME, of any domain, or NAME@DOMAIN")
}

// selection reads the flags.
func (c *criteria) selection() (sel conn.Selection, err error) {
	sel.Protocol, sel.Account = c.protocol, c.account
	switch c.protocol {
	case "", "smtp", "submission", "pop3", "web":
	default:
		return sel, sysexits.Usage.With(fmt.Errorf("--protocol %s: expected smtp, submission, pop3 or web", c.protocol))
	}
	if c.client != "" {
		if sel.Client, err = network(c.client); err != nil {
			return sel, sysexits.Usage.With(fmt.Errorf("--client %s: expected an address or a network, such as 192.0.2.7 or 2001:db8::/32", c.client))
		}
	}
	return sel, nil
}

// network reads an address or a network.
func network(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return ip.Unmap().Prefix(ip.Unmap().BitLen())
}

// sessionIDs reads ids of sessions.
func sessionIDs(args []string) (ids []uint64, err error) {
	for _, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || id == 0 {
			return nil, sysexits.Usage.With(fmt.Errorf("%q is not an id of a session: \"postrider who\" shows them", arg))
		}
		ids = append(ids, id)
	}
	return ids, nil
}
