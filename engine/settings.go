package engine

import (
	"postrider/engine/config"
	"postrider/engine/courier"
	"postrider/engine/relay"
)

// courierSettings are the settings for mail to other hosts; the error names the key.
func courierSettings(cfg *config.Config) (set courier.Settings, err error) {
	r := &cfg.Relay
	set = courier.Settings{
		Hostname: cfg.Server.Hostname, DefaultDomain: cfg.DefaultDomain(), Passwords: r.Passwords,
		Policy:         relay.Policy{Retry: r.Retry, Jitter: r.Jitter, WarnAfter: r.WarnAfter, Lifetime: r.Lifetime},
		AuthWithoutTLS: r.AuthWithoutTLS, DropDoubleBounces: r.DoubleError == config.DoubleDrop, ReturnSize: r.ReturnSize,
		Source: cfg.SourceAddr(),
		Sizes: courier.Sizes{
			Connections: r.Connections, ConnectionsPerDestination: r.ConnectionsPerDestination, InitialConnections: r.InitialConnections,
			MessagesPerConnection: r.MessagesPerConnection, Rate: r.Rate, MaxEntries: r.MaxEntries,
		},
		Times: courier.Times{
			Connect: r.ConnectTimeout, Command: r.CommandTimeout, Data: r.DataTimeout, MinDataRate: r.MinDataRate,
			Reply: r.ReplyTimeout, Idle: r.IdleConnection,
		},
		Limits: make(map[string]relay.Limit),
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
		set.Limits[l.Destination] = relay.Limit{Rate: l.Rate, Sessions: l.Connections}
	}
	return set, nil
}

// SecuritySettings are the settings for TLS with other hosts; the error names the key.
func SecuritySettings(cfg *config.Config) (courier.SecuritySettings, error) {
	rules, err := cfg.TLSRules()
	return courier.SecuritySettings{Rules: rules, Roots: cfg.Relay.TLSRoots, MTASTS: cfg.Relay.MTASTS}, err
}
