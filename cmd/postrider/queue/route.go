package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/engine/relay/agent"
	"postrider/engine/relay/mx"
	"postrider/engine/server"
)

// routed is what would become of mail for an address.
type routed struct {
	Address string    `json:"address"`
	Outcome string    `json:"outcome"` // "local", "relay", "unknown", "alias loop"
	To      []string  `json:"maildrops,omitempty"`
	Relay   []relayed `json:"relay,omitempty"`
	Dead    []string  `json:"dead,omitempty"` // members of the alias that lead to no mailbox
}

// relayed is an address that mail is sent on to.
type relayed struct {
	Address string `json:"address"`
	Rule    string `json:"rule"`
	mx.Explanation
	TLS *agent.SecurityReport `json:"tls,omitempty"` // what the hosts have to show; nil: nothing is sent
}

// routing routes addresses.
type routing struct {
	*workspace.Workspace
	ctx   context.Context // the command's
	from  string          // the reverse-path that is assumed
	rules *router.Transports
	hosts *mx.Finder // asked as the server asks
	tls   *agent.Security
}

// RouteCommand is "postrider route".
func RouteCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	var from string
	cmd := &cobra.Command{
		Use:   "route ADDRESS...",
		Short: "Print where mail for an address would go, and send nothing",
		Long: `Print where mail for an address would go now: to which maildrops, or by which rule
to which next hop, with the hosts that would be tried in their order, and the TLS that
each host must have. Nothing is sent; the name servers are asked, and for an MTA-STS
policy the domain's web server. Exit code 67 if an address does not exist.`,
		Example: `  postrider route jsmith@mindspring.com
  postrider route --from newsletter@example.org bob@example.net --json`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				return route(ws, cmd.Context(), cmd.OutOrStdout(), args, from, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "sender, for the rules of relay.sender_transports")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

func route(ws *workspace.Workspace, ctx context.Context, out io.Writer, args []string, from string, asJSON bool) error {
	rules, err := ws.Config.RelayRules()
	if err != nil {
		return sysexits.Config.With(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	r := &routing{ws, ctx, from, rules, server.NewFinder(ws.Config, server.NewResolver(ws.Config, quiet), listeners(ws, ctx)), nil}
	security, err := server.SecuritySettings(ws.Config)
	if err != nil {
		return sysexits.Config.With(err)
	}
	if r.tls, err = agent.NewSecurity(ctx, security, r.hosts, quiet); err != nil {
		return sysexits.Config.With(err)
	}
	all := []*routed{}
	unknown := 0
	for _, arg := range args {
		one, err := r.find(arg)
		if err != nil {
			return err
		}
		if len(one.To)+len(one.Relay) == 0 {
			unknown++
		}
		all = append(all, one)
	}
	if asJSON {
		err = workspace.PrintJSON(out, all)
	} else {
		for _, one := range all {
			one.print(out)
		}
	}
	if err == nil && unknown > 0 {
		err = sysexits.NoUser.With(fmt.Errorf("%d of %d addresses do not exist", unknown, len(args)))
	}
	return err
}

// find routes one address as the server does.
func (r *routing) find(text string) (*routed, error) {
	path, refused := smtp.ParseRcpt([]byte("TO:<"+text+">"), 0, true)
	if refused != nil {
		local, domain, err := r.ParseName(text)
		if err != nil {
			return nil, err
		}
		path, refused = smtp.ParseRcpt([]byte("TO:<"+router.Mailbox(local, domain)+">"), 0, true)
		if refused != nil {
			return nil, sysexits.Usage.With(fmt.Errorf("%q: %s", text, refused.Text))
		}
	}
	one := &routed{Address: path.To.String()}
	targets, dead, outcome := r.Router.Resolve(path.To.Local(), path.To.Domain(), nil)
	for _, d := range dead {
		one.Dead = append(one.Dead, d.Mailbox)
	}
	one.Outcome = outcome.String()
	if outcome == router.NotOurs {
		one.Outcome = "relay"
		targets = []router.Target{{Remote: one.Address, Domain: r.Router.Domain(path.To.Domain())}}
	}
	for _, t := range targets {
		if t.Remote == "" {
			if a, err := r.Account(t.Account); err == nil {
				one.To = append(one.To, workspace.Mailbox(a))
			}
			continue
		}
		hop, rule := r.Router.NextHop(r.rules, t.Domain, r.from)
		relay := relayed{t.Remote, rule, r.hosts.Explain(r.ctx, hop), nil}
		if relay.Error == nil {
			o := r.tls.Explain(r.ctx, hop, &relay.Explanation)
			relay.TLS = &o
		}
		one.Relay = append(one.Relay, relay)
	}
	return one, nil
}

func (r *routed) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %s\n", r.Address, r.Outcome)
	for _, to := range r.To {
		fmt.Fprintf(out, "  maildrop %s\n", to)
	}
	for _, member := range r.Dead {
		fmt.Fprintf(out, "  no mailbox %s\n", member)
	}
	for _, hop := range r.Relay {
		if hop.Address != r.Address {
			fmt.Fprintf(out, "  sent on to %s\n", hop.Address)
		}
		fmt.Fprintf(out, "  rule: %s\n  %s", hop.Rule, hop.String())
		if hop.TLS != nil {
			fmt.Fprintf(out, "  %s", hop.TLS)
		}
	}
}

// listeners are the addresses that the running server takes mail at, or without a
// running server the configured ones.
func listeners(ws *workspace.Workspace, ctx context.Context) (at []netip.AddrPort) {
	var texts []string
	if server := ws.Running(); server != nil {
		if s, err := server.Status(ctx); err == nil {
			texts = s.SMTP
		}
	} else {
		for _, l := range ws.Config.SMTP.Listen {
			texts = append(texts, l.Addr)
		}
	}
	for _, text := range texts {
		if a, err := netip.ParseAddrPort(text); err == nil {
			at = append(at, a)
		}
	}
	return at
}
