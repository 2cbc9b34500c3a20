package config

import (
	"fmt"
	"time"

	"postrider/codec/sasl"
)

// keysOfAuth returns the keys of passwords and logins.
func keysOfAuth(c *Config) []*Key {
	return []*Key{
		octets("auth.argon2_memory", &c.Auth.Memory, 7*mib, 64*kib, 4*gib).
			help("Memory for one password hash (argon2id). Stored hashes keep their own cost. OWASP calls these equally strong, with one thread: 46MiB and 1 pass, 19MiB and 2, 12MiB and 3, 9MiB and 4, 7MiB and 5. The default takes the least memory and time."),
		count("auth.argon2_time", &c.Auth.Time, 5, 1, 1000).
			help("Passes for one password hash (argon2id)."),
		count("auth.argon2_threads", &c.Auth.Threads, 1, 1, 64).
			help("Threads for one password hash (argon2id)."),
		count("auth.workers", &c.Auth.Workers, 0, 0, 1024).
			help("Maximum number of passwords hashed at once; 0: one per core."),
		mechanisms("auth.mechanisms", &c.Auth.Mechanisms, sasl.ScramSHA256Plus, sasl.ScramSHA256, sasl.Plain, sasl.Login).
			help("The mechanisms of AUTH, in SMTP (RFC 4954) and POP3 (RFC 5034); an empty list: no AUTH. A mechanism that proves the password is offered when accounts have what it needs: CRAM-MD5 while one was made with --apop, SCRAM-SHA-256 as auth.offer_scram says. Without SCRAM-SHA-256 here, new passwords are stored without its verifier."),
		choice("auth.offer_scram", &c.Auth.OfferSCRAM, OfferToAll, OfferToSome).
			help("When SCRAM-SHA-256 is offered. all: while each account with a password has a verifier. some: while at least one has. An account that was imported gets its verifier at its first login by PLAIN, LOGIN or PASS. Many clients choose SCRAM when it is offered, and their login fails without a verifier; with \"some\" such an account needs \"postrider account passwd\" or a client that is set to PLAIN."),
		count("auth.min_password", &c.Auth.MinPassword, 1, 1, 128).
			help("The least number of characters of a new password (account add, passwd, import). From 2 on the name of the account is refused as well."),
		text("auth.refused_passwords", &c.Auth.RefusedPasswords, "", anyString, "a path, or empty").
			help("A file of passwords that no account gets, one a line, in any case."),
		boolean("auth.plaintext_without_tls", &c.Auth.ClearText, false).
			help("Accept passwords in clear text (PLAIN, LOGIN; USER and PASS of POP3) without TLS from other hosts. From this host they are always accepted."),
		count("auth.scram_iterations", &c.Auth.ScramIterations, 16384, 4096, 2_000_000).rfc("RFC 7677 section 4: at least 4096").
			help("Iterations of SCRAM-SHA-256 for new passwords: the cost of each guess for an attacker with a copy of the store, and of each login for its client."),
		duration("auth.cache_ttl", &c.Auth.CacheTTL, 5*time.Minute, 0, time.Hour).
			help("How long a correct password is remembered, so that a client that polls costs no hash each time; 0: not at all. The password can't be computed from what is kept, and a changed password takes effect at once."),
		count("auth.cache_size", &c.Auth.CacheSize, 65536, 1, 10_000_000).
			help("Maximum number of remembered passwords, 64 octets each; the oldest are dropped first."),
		duration("auth.failure_delay", &c.Auth.FailureDelay, 2*time.Second, 0, time.Minute).
			help("Delay of the reply to a wrong password."),
		count("auth.failures_per_network", &c.Auth.NetworkFailures, 50, 0, 1<<20).
			help("Wrong passwords that one network (/24 of IPv4, /64 of IPv6) may try in auth.failure_window; then its passwords are not checked, except remembered passwords of accounts that have logged in from there. 0: no limit."),
		count("auth.failures_per_account", &c.Auth.AccountFailures, 20, 0, 1<<20).
			help("Wrong passwords for one account in auth.failure_window, from all networks, from which on each further login waits before its password is checked, except from where the account has logged in before. No account is locked. 0: no login waits."),
		duration("auth.account_delay", &c.Auth.AccountDelay, 20*time.Second, time.Second, 5*time.Minute).
			help("Maximum of these waits; it is reached 20 wrong passwords later."),
		duration("auth.failure_window", &c.Auth.FailureWindow, 10*time.Minute, time.Second, day).
			help("See auth.failures_per_network."),
	}
}

// mechanisms makes the key of a set of mechanisms.
func mechanisms(name string, p *sasl.Set, initial ...sasl.Mechanism) *Key {
	*p = sasl.SetOf(initial...)
	return &Key{Name: name, value: &mechanismSet{p: p}}
}

// mechanismSet is a list of mechanisms without an order.
type mechanismSet struct {
	p      *sasl.Set
	byFlag bool // the flag was given: what follows is added
}

func (m *mechanismSet) kind() string { return "list" }

func (m *mechanismSet) allowed() string {
	return "a list of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN"
}

func (m *mechanismSet) String() string {
	l := m.list(new([]sasl.Mechanism))
	for one := range m.p.All() {
		*l.p = append(*l.p, one)
	}
	return l.String()
}

func (m *mechanismSet) copy(from value) { *m.p = *from.(*mechanismSet).p }

func (m *mechanismSet) set(raw any) error {
	l := m.list(new([]sasl.Mechanism))
	if err := l.set(raw); err != nil {
		return err
	}
	*m.p = sasl.SetOf(*l.p...)
	return nil
}

func (m *mechanismSet) parse(text string) error {
	one, err := mechanism(text)
	if err != nil {
		return err
	}
	if !m.byFlag {
		*m.p, m.byFlag = 0, true
	}
	*m.p |= sasl.SetOf(one)
	return nil
}

// list is the set as a list, which knows how lists are read and written.
func (m *mechanismSet) list(p *[]sasl.Mechanism) *items[sasl.Mechanism] {
	return &items[sasl.Mechanism]{p: p, read: mechanism, write: sasl.Mechanism.String, what: "mechanisms"}
}

func mechanism(name string) (sasl.Mechanism, error) {
	m := sasl.ParseMechanism([]byte(name))
	if m == sasl.None {
		return m, fmt.Errorf("unknown mechanism %q", name)
	}
	return m, nil
}
