package config

import (
	"net/netip"
	"os"
	"slices"
	"time"

	"postrider/codec/address"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	day = 24 * time.Hour
)

// Default returns the configuration in which no key is set.
func Default() *Config {
	c := new(Config)
	c.keys = keys(c)
	for _, k := range c.keys {
		k.initial = k.value.String()
	}
	return c
}

// keys is the one table of keys: it binds each to its field of c and sets the
// field to the default. Groups are together, in the order of the manual.
func keys(c *Config) []*Key {
	return slices.Concat(keysOfEdge(c), keysOfSubmission(c), keysOfTLS(c), keysOfRelay(c), keysOfPolicy(c), keysOfAuth(c), keysOfProcess(c), keysOfOTLP(c), keysOfLog(c), keysOfCapture(c))
}

// keysOfEdge returns the keys of SMTP and POP3 listeners.
func keysOfEdge(c *Config) []*Key {
	return []*Key{
		text("server.hostname", &c.Server.Hostname, hostname(), address.ParseDomain, "a domain name").flag("hostname").
			help("The name of this host: in greetings, Received fields and message ids. It should resolve to this host, and the address back to it."),
		list("server.domains", &c.Server.Domains, []string{"localhost"}, address.ParseDomain, sameString, "domain names").flag("domain").
			help("The domains that mail is accepted for, besides domains made with \"domain add\". The first is the default domain for addresses and logins without one. A domain may be written with U-labels or with A-labels (xn--...): mail for both forms is accepted."),
		text("server.data", &c.Server.Data, "./postrider-data", notEmpty, "a path").flag("data").
			help("The data directory. It is created at the first start. A relative path begins at the directory in which the server or the command is started. In /etc/postrider.toml the default is /var/lib/postrider.").atStart(),
		text("server.mail_socket", &c.Server.MailSocket, "", anyString, "a path, or empty").
			help("The Unix socket over which sendmail submits mail of users without access to the data directory. Empty: /run/postrider/mail.sock for the data directory /var/lib/postrider, else the data directory's name with .mail.sock after it. A sendmail that may not read the configuration looks in /run/postrider.").atStart(),
		count("server.loops", &c.Server.Loops, 0, 0, 1024).
			help("Event loops; 0: one per core.").atStart(),
		text("server.user", &c.Server.User, "", func(s string) (string, error) { return s, nil }, "a user's name or number").flag("user").
			help("User to switch to after binding, when started as root; keys are read and the store is opened as this user. To run as root, set it to root, unless all addresses are on loopback.").atStart(),

		list("smtp.listen", &c.SMTP.Listen, []SMTPListener{{Addr: "127.0.0.1:2525"}}, smtpListener, SMTPListener.String, "HOST:PORT, or HOST:PORT bare_lf=normalize (or reject) auth=required (or off); port 0 picks a free one").flag("smtp").
			help("Addresses to listen on for SMTP. Options may follow an address, separated by a space: bare_lf=reject or bare_lf=normalize instead of smtp.bare_lf, auth=required to refuse mail before a login, auth=off to offer no AUTH."),
		list("smtp.listen_tls", &c.SMTP.ListenTLS, nil, smtpListener, SMTPListener.String, "HOST:PORT, with options as in smtp.listen; port 0 picks a free one").flag("smtps").
			help("Addresses to listen on for SMTP with implicit TLS (port 465)."),
		octets("smtp.max_size", &c.SMTP.MaxSize, 50*mib, 64*kib, 2*gib).rfc("RFC 5321 section 4.5.3.1.7: at least 64KiB").
			help("The largest message, announced by SIZE (RFC 1870)."),
		count("smtp.max_recipients", &c.SMTP.MaxRecipients, 1000, 100, 50000).rfc("RFC 5321 section 4.5.3.1.8: at least 100").
			help("Maximum number of recipients of a message."),
		count("smtp.max_messages", &c.SMTP.MaxMessages, 0, 0, 1<<30).
			help("Maximum number of messages per connection; then 421; 0: no limit."),
		count("smtp.max_errors", &c.SMTP.MaxErrors, 20, 1, 1<<20).
			help("Maximum number of refused commands per connection since its last accepted message; then 421."),
		count("smtp.max_hops", &c.SMTP.MaxHops, 100, 100, 10000).rfc("RFC 5321 section 6.3: at least 100").
			help("Maximum number of Received fields of a message; a message with more is refused as a mail loop."),
		choice("smtp.over_quota", &c.SMTP.OverQuota, OverQuotaWait, OverQuotaFinal).
			help("The reply to a message for a maildrop that is over its quota. 452: the client tries again later. 552: the sender gets the message back at once."),
		choice("smtp.bare_lf", &c.SMTP.BareLF, BareLFReject, BareLFNormalize).
			help("What to do with a message that has a bare LF: reject it, or normalize it to CRLF. Only CRLF.CRLF ends a message either way. With reject, a dot on a line of its own that ends with LF alone gets a 550 at once, and ends the session."),
		duration("smtp.command_timeout", &c.SMTP.CommandTimeout, 5*time.Minute, time.Second, day).rfc("RFC 5321 section 4.5.3.2.7: at least 5m").
			help("How long a client may take from a reply to the end of its next command, and to read the replies."),
		duration("smtp.data_timeout", &c.SMTP.DataTimeout, 3*time.Minute, time.Second, day).rfc("RFC 5321 section 4.5.3.2.5: 3m").
			help("How long a client may be silent inside a message. See smtp.min_data_rate."),
		octets("smtp.min_data_rate", &c.SMTP.MinDataRate, 100, 0, gib).
			help("Minimum rate at which a client has to send a message, in octets per second, on average over smtp.data_timeout; 0: no minimum, each octet renews smtp.data_timeout."),
		list("smtp.trusted_networks", &c.SMTP.TrustedNetworks, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			network, netip.Prefix.String, "networks such as 192.0.2.0/24").
			help("Networks of clients that may use VRFY and EXPN. Other clients get 252."),

		list("pop3.listen", &c.POP3.Listen, []string{"127.0.0.1:1110"}, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("pop3").
			help("Addresses to listen on for POP3."),
		list("pop3.listen_tls", &c.POP3.ListenTLS, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("pop3s").
			help("Addresses to listen on for POP3 with implicit TLS (port 995)."),
		duration("pop3.idle_timeout", &c.POP3.IdleTimeout, 10*time.Minute, time.Second, day).rfc("RFC 1939 section 3: at least 10m").
			help("How long a client may take from a reply to the end of its next command, and to take a reply or a piece of 64 KiB of a message."),
		boolean("pop3.apop", &c.POP3.APOP, false).
			help("Offer APOP to all clients while there is an account made with --apop (its secret is kept in clear text, RFC 1939 section 13). Clients that see the offer may try APOP with other accounts too; that fails."),
		duration("pop3.login_delay", &c.POP3.LoginDelay, 0, 0, day).
			help("Minimum time between two logins of an account, announced by CAPA; 0: none."),
		days("pop3.expire", &c.POP3.Expire, 0, 3650*day).
			help("How long a message stays in a maildrop, announced by CAPA in whole days (EXPIRE, RFC 2449); 0: for ever, else at least 1d. \"account expire\" sets another time for an account. What expires can be undeleted for storage.keep_deleted."),
		count("pop3.max_listing", &c.POP3.MaxListing, 1_000_000, 1000, 100_000_000).
			help("Maximum number of messages that a session lists, the oldest ones first. Each takes 12 octets of memory."),
		count("pop3.max_errors", &c.POP3.MaxErrors, 20, 1, 1<<20).
			help("Maximum number of -ERR replies in a row; then the connection is closed."),
	}
}

// keysOfProcess returns the keys of the process and its store.
func keysOfProcess(c *Config) []*Key {
	return []*Key{
		count("limits.connections", &c.Limits.Connections, 20000, 1, 10_000_000).
			help("Maximum number of connections, of all protocols; a client over it gets 421. A tenth is reserved for relay.networks and smtp.trusted_networks. Of the rest, SMTP, submission, POP3 and HTTP have a tenth of this each, and what remains is shared; before a login, one network (IPv4: /24, IPv6: /48) may have as many as are still free. If the limit of open files (LimitNOFILE) is too low for this, fewer are accepted."),
		count("limits.connections_per_client", &c.Limits.ConnectionsPerClient, 2000, 1, 10_000_000).
			help("Maximum number of connections per IP address, with HTTP, of which an address may have up to 512."),
		octets("limits.memory", &c.Limits.Memory, 256*mib, 8*mib, 1024*gib).
			help("Memory for messages that are received and sent, and for pages of the web client, which take up to a quarter; when it is used up clients wait, and pages answer 503."),
		duration("limits.drain_timeout", &c.Limits.DrainTimeout, 30*time.Second, 0, time.Hour).
			help("How long sessions may continue after the server is told to stop."),

		octets("storage.cache", &c.Storage.Cache, 256*mib, 8*mib, 1024*gib).
			help("Size of the block cache.").atStart(),
		octets("storage.memtable", &c.Storage.Memtable, 24*mib, mib, gib).
			help("Size of a memtable; up to 8 are in memory.").atStart(),
		octets("storage.free_floor", &c.Storage.FreeFloor, 0, 0, 1024*gib).
			help("Free disk space below which no mail is accepted (452); 0: 5 % of the disk, at least 64MiB, at most 1GiB."),
		octets("storage.ballast", &c.Storage.Ballast, 64*mib, 0, 64*gib).
			help("Size of a reserve file that is deleted when the disk is full all the same; 0: none.").atStart(),
		choice("storage.durability", &c.Storage.Durability, DurabilityCommit, DurabilityNone).flag("durability").
			help("commit: a message is synced to disk before its 250. none: nothing is synced; accepted mail is lost when the machine fails, and also when the process is killed (kill -9, out of memory). For tests.").atStart(),
		choice("storage.compression", &c.Storage.Compression, CompressionAuto, CompressionNone).
			help("Compress message bodies before they are stored.").atStart(),

		days("storage.keep_deleted", &c.Storage.KeepDeleted, 0, 3650*day).
			help("How long mail that was deleted or has expired can be brought back with \"undelete\"; 0: not at all, its space is free at once. It counts for what is kept already, too. No quota counts what is kept. While the disk is below storage.free_floor it goes before its time, the oldest first."),
		days("storage.keep_removed", &c.Storage.KeepRemoved, 7*day, 3650*day).
			help("How long a removed account can be brought back with \"account undelete\", with its mail; 0: not at all. It counts for what is kept already, too."),

		list("web.listen", &c.Web.Listen, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("http").
			help("Addresses to listen on for HTTP: /healthz, /readyz, /metrics, and the web client, which accepts passwords there from this host only (see auth.plaintext_without_tls). None: no HTTP."),
		list("web.listen_tls", &c.Web.ListenTLS, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("https").
			help("Addresses to listen on for HTTPS: the web client, with the certificates of [tls], without /metrics."),
		boolean("web.client", &c.Web.Client, true).
			help("Serve the web client on web.listen too. False: only /healthz, /readyz and /metrics."),
		boolean("web.profiling", &c.Web.Profiling, false).
			help("Serve /debug/pprof/ on web.listen: profiles of the running server for go tool pprof. A CPU profile costs a few percent while it is taken."),
		list("web.hosts", &c.Web.Hosts, nil, address.ParseDomain, sameString, "domain names").
			help("Names by which browsers may ask for the pages, besides server.hostname, IP addresses, localhost and names without a dot. Requests over loopback, and all in capture mode, that have another name are refused (421): another site's page could read mail through such a name. A proxy on this host that forwards the browser's Host needs its names here."),
		list("web.proxies", &c.Web.Proxies, nil, network, netip.Prefix.String, "networks such as 192.0.2.0/24").
			help("Networks of HTTP proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted: the client's address, and whether it used HTTPS. Without it all clients of a proxy count as one, and wrong passwords of some lock out all."),
		duration("web.session_idle", &c.Web.SessionIdle, 4*time.Hour, time.Minute, 30*day).
			help("How long a session of the web client may be idle; after this the user has to sign in again."),
		duration("web.session_lifetime", &c.Web.SessionLifetime, 7*day, time.Minute, 365*day).
			help("Maximum lifetime of a session of the web client; after this the user has to sign in again in any case."),
	}
}

// hostname is the name that the machine gives itself, if it can be used.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	name, err = address.ParseDomain(name)
	if err != nil {
		return "localhost"
	}
	return name
}
