package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A relative is another mail server whose configuration may be given by mistake.
type relative struct {
	program string
	file    string         // its usual name
	mark    *regexp.Regexp // a line that only its configuration has
}

var relatives = []relative{
	{"Postfix", "main.cf", regexp.MustCompile(`(?m)^(myhostname|mydomain|myorigin|mydestination|mynetworks|relayhost|inet_interfaces|compatibility_level|queue_directory|(smtpd|smtp|virtual|local|alias)_[a-z_]+)[ \t]*=[ \t]*[^"'\[\s]`)},
	{"Postfix", "master.cf", regexp.MustCompile(`(?m)^[a-z0-9:.\[\]-]+[ \t]+(inet|unix|unix-dgram|fifo|pass)[ \t]+[yn-][ \t]+[yn-][ \t]+`)},
	{"Dovecot", "dovecot.conf", regexp.MustCompile(`(?m)^[ \t]*(protocols|mail_location|mail_driver|ssl_cert|ssl_server_cert_file|auth_mechanisms)[ \t]*=[ \t]*[^"'\[\s]|^(passdb|userdb|namespace)\b.*\{`)},
	{"Exim", "exim4.conf", regexp.MustCompile(`(?m)^begin[ \t]+(acl|routers|transports|retry|rewrite|authenticators)\b`)},
	{"Sendmail", "sendmail.mc", regexp.MustCompile("(?m)^(divert\\(|OSTYPE\\(|FEATURE\\(|MAILER\\(|define\\(`)")},
	{"OpenSMTPD", "smtpd.conf", regexp.MustCompile(`(?m)^(listen on|pki \S+ cert|match (from|for)|action "?\w+"? (maildir|mbox|lmtp|relay))\b`)},
}

// foreign reports that a file that is not ours is the configuration of another mail
// server; nil: it is none that is known.
func foreign(path, text string) error {
	for _, r := range relatives {
		at := r.mark.FindStringIndex(text)
		if at == nil {
			continue
		}
		whole := fmt.Sprintf("this is a configuration of %s (%s), and postrider has a file of its own, in TOML: \"postrider config defaults > postrider.toml\" writes one to begin with", r.program, r.file)
		if r.file != "main.cf" {
			return &Fault{File: path, Line: 1 + strings.Count(text[:at[0]], "\n"), Text: whole}
		}
		errs := []error{&Fault{File: path, Text: whole}}
		return errors.Join(append(errs, translated(path, text)...)...)
	}
	return nil
}

// parameter is a line of main.cf that sets something.
var parameter = regexp.MustCompile(`^([a-z][a-z0-9_]*)[ \t]*=[ \t]*(.*)$`)

// translated tells for each parameter of main.cf that is known what does the same here.
func translated(path, text string) (all []error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		m := parameter.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil || ofPostfix[m[1]] == "" {
			continue
		}
		all = append(all, &Fault{File: path, Line: number, Key: m[1], Text: ofPostfix[m[1]]})
	}
	return all
}

// ofPostfix tells what takes the place of Postfix's parameters.
var ofPostfix = map[string]string{
	"myhostname":                         "in postrider: server.hostname",
	"mydomain":                           "in postrider: the first of server.domains",
	"myorigin":                           "in postrider: the first of server.domains",
	"mydestination":                      "in postrider: server.domains, or \"postrider domain add\"",
	"virtual_mailbox_domains":            "in postrider: server.domains, or \"postrider domain add\"",
	"virtual_alias_domains":              "in postrider: server.domains, or \"postrider domain add\"",
	"mynetworks":                         "in postrider: relay.networks, written \"192.0.2.0/24\"",
	"inet_interfaces":                    "in postrider: smtp.listen, an address with its port, as \"0.0.0.0:25\"",
	"inet_protocols":                     "in postrider: the addresses of smtp.listen, and relay.families for mail to other hosts",
	"relayhost":                          "in postrider: relay.smarthost, written in the same way",
	"transport_maps":                     "in postrider: relay.transports, a list of DOMAIN=NEXTHOP",
	"sender_dependent_relayhost_maps":    "in postrider: relay.sender_transports, a list of SENDER=NEXTHOP",
	"smtp_sasl_password_maps":            "in postrider: relay.passwords, a file with lines \"NEXTHOP USER:PASSWORD\"",
	"smtp_tls_security_level":            "in postrider: relay.tls_default",
	"smtp_tls_policy_maps":               "in postrider: relay.tls, a list of \"DESTINATION LEVEL\"",
	"smtp_tls_CAfile":                    "in postrider: relay.tls_roots",
	"smtp_bind_address":                  "in postrider: relay.source",
	"smtp_destination_concurrency_limit": "in postrider: relay.connections_per_destination",
	"message_size_limit":                 "in postrider: smtp.max_size",
	"smtpd_recipient_limit":              "in postrider: smtp.max_recipients",
	"smtpd_hard_error_limit":             "in postrider: smtp.max_errors",
	"smtpd_timeout":                      "in postrider: smtp.command_timeout and smtp.data_timeout",
	"hopcount_limit":                     "in postrider: smtp.max_hops",
	"smtpd_tls_cert_file":                "in postrider: tls.certificates, a list of \"CERTIFICATES KEY\"",
	"smtpd_tls_key_file":                 "in postrider: tls.certificates, a list of \"CERTIFICATES KEY\"",
	"smtpd_tls_chain_files":              "in postrider: tls.certificates",
	"smtpd_tls_security_level":           "in postrider: TLS is offered whenever there is a certificate, see tls.certificates",
	"smtpd_relay_restrictions":           "in postrider: relay.networks and logins may relay, no other client",
	"smtpd_sasl_auth_enable":             "in postrider: AUTH is offered by itself, see auth.mechanisms",
	"smtpd_client_connection_rate_limit": "in postrider: policy.client_connections, as \"30/1m\"",
	"smtpd_client_message_rate_limit":    "in postrider: policy.client_messages, as \"100/1m\"",
	"postscreen_dnsbl_sites":             "in postrider: policy.dnsbl",
	"maximal_queue_lifetime":             "in postrider: relay.lifetime",
	"delay_warning_time":                 "in postrider: relay.warn_after",
	"minimal_backoff_time":               "in postrider: relay.retry",
	"maximal_backoff_time":               "in postrider: relay.retry, whose last wait repeats",
	"alias_maps":                         "in postrider: \"postrider alias import FILE\" takes the aliases over",
	"virtual_alias_maps":                 "in postrider: \"postrider alias import FILE\" takes the aliases over",
	"virtual_mailbox_maps":               "in postrider: \"postrider account add\" or \"postrider account import\"",
	"home_mailbox":                       "in postrider: mail is in the store; \"postrider import --format maildir\" takes it over",
	"virtual_mailbox_base":               "in postrider: mail is in the store; \"postrider import --format maildir\" takes it over",
	"recipient_delimiter":                "in postrider: + is the delimiter",
	"mailbox_size_limit":                 "in postrider: maildrops have no limit by configuration",
}
