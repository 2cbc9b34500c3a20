package server

import (
	"postrider/engine/config"
	"postrider/engine/relay/agent"
	"postrider/engine/relay/queue"
)

// courierSettings are the settings for mail to other hosts; the error names the key.
func courierSettings(cfg *config.Config) (set agent.Settings, err error) {
	r := &cfg.Relay
	set = agent.Settings{
		Hostname: cfg.Server.Hostname, DefaultDomain: cfg.DefaultDomain(), Passwords: r.Passwords,
		Policy:         queue.Policy{Retry: r.Retry, Jitter: r.Jitter, WarnAfter: r.WarnAfter, Lifetime: r.Lifetime},
		AuthWithoutTLS: r.AuthWithoutTLS, DropDoubleBounces: r.DoubleError == config.DoubleDrop, ReturnSize: r.ReturnSize,
		OverQuotaFails: cfg.SMTP.OverQuota == config.OverQuotaFinal,
		Source:         cfg.SourceAddr(),
		Sizes: agent.Sizes{
			Connections: r.Connections, ConnectionsPerDestination: r.ConnectionsPerDestination, InitialConnections: r.InitialConnections,
			MessagesPerConnection: r.MessagesPerConnection, Rate: r.Rate, MaxEntries: r.MaxEntries,
		},
		Times: agent.Times{
			Connect: r.ConnectTimeout, Command: r.CommandTimeout, Data: r.DataTimeout, MinDataRate: r.MinDataRate,
			Reply: r.ReplyTimeout, Idle: r.IdleConnection,
		},
		Limits: make(map[string]queue.Limit),
	}
	if set.Rules, err = cfg.RelayRules(); err != nil {
		return set, err
	}
	if set.Security, err = SecuritySettings(cfg); err != nil {
		return set, err
	}
	for _, text := range r.Limits {
		l, err := config.ParseLimit(text)
		if err != nil {
			return set, err
		}
		set.Limits[l.Destination] = queue.Limit{Rate: l.Rate, Sessions: l.Connections}
	}
	return set, nil
}

// SecuritySettings are the settings for TLS with other hosts; the error names the key.
func SecuritySettings(cfg *config.Config) (agent.SecuritySettings, error) {
	rules, err := cfg.TLSRules()
	return agent.SecuritySettings{Rules: rules, Roots: cfg.Relay.TLSRoots, MTASTS: cfg.Relay.MTASTS}, err
}
