package config

import (
	"log/slog"
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

// Default returns the configuration that nobody has set anything of.
func Default() *Config {
	c := new(Config)
	c.keys = keys(c)
	for _, k := range c.keys {
		k.initial = k.value.String()
	}
	return c
}

// keys is the one table of keys: it binds each to its field of c and sets the
// field to the default. Groups stand together, in the order of the manual.
func keys(c *Config) []*Key {
	return slices.Concat(keysOfEdge(c), keysOfSubmission(c), keysOfTLS(c), keysOfRelay(c), keysOfPolicy(c), keysOfAuth(c), keysOfHouse(c), keysOfCapture(c))
}

// keysOfEdge are those of taking mail in and giving it out.
func keysOfEdge(c *Config) []*Key {
	return []*Key{
		text("server.hostname", &c.Server.Hostname, hostname(), address.ParseDomain, "a domain name").flag("hostname").
			help("The name of this host: in greetings, Received fields and message ids. Should resolve to this host, and back."),
		list("server.domains", &c.Server.Domains, []string{"localhost"}, address.ParseDomain, sameString, "domain names").flag("domain").
			help("The domains that mail is taken for, besides those made with \"domain add\". The first is the default domain, of addresses and logins that name none. A domain may be written with U-labels or with A-labels (xn--...): mail for both comes here."),
		text("server.data", &c.Server.Data, "./postrider-data", notEmpty, "a path").flag("data").
			help("The data directory. It is made at the first start."),
		text("server.mail_socket", &c.Server.MailSocket, "", anyString, "a path, or empty").
			help("The unix socket at which sendmail hands in mail for users who may not use the data directory. Empty: /run/postrider/mail.sock for the data directory /var/lib/postrider, else the data directory's name with .mail.sock after it. A caller that may not read the configuration looks in /run/postrider."),
		count("server.loops", &c.Server.Loops, 0, 0, 1024).
			help("Event loops; 0: one per core."),
		text("server.user", &c.Server.User, "", func(s string) (string, error) { return s, nil }, "a user's name or number").flag("user").
			help("Who the server becomes once its addresses are bound, when root starts it; it reads keys and opens its store as this user. Root has to be named here to stay root, unless all addresses are on loopback."),

		list("smtp.listen", &c.SMTP.Listen, []SMTPListener{{Addr: "127.0.0.1:2525"}}, smtpListener, SMTPListener.String, "HOST:PORT, or HOST:PORT bare_lf=normalize (or reject) auth=required (or off); port 0 picks a free one").flag("smtp").
			help("Addresses to take mail at by SMTP. Behind a blank, one may have a bare_lf of its own, refuse mail before a login (auth=required), or offer none (auth=off)."),
		list("smtp.listen_tls", &c.SMTP.ListenTLS, nil, smtpListener, SMTPListener.String, "HOST:PORT, with words behind it as in smtp.listen; port 0 picks a free one").flag("smtps").
			help("Addresses to take mail at by SMTP within TLS from the first octet (port 465)."),
		octets("smtp.max_size", &c.SMTP.MaxSize, 50*mib, 64*kib, 2*gib).rfc("RFC 5321 section 4.5.3.1.7: at least 64KiB").
			help("The largest message, announced by SIZE (RFC 1870)."),
		count("smtp.max_recipients", &c.SMTP.MaxRecipients, 1000, 100, 50000).rfc("RFC 5321 section 4.5.3.1.8: at least 100").
			help("Recipients of one message."),
		count("smtp.max_messages", &c.SMTP.MaxMessages, 0, 0, 1<<30).
			help("Messages of one connection, then 421; 0: no limit."),
		count("smtp.max_errors", &c.SMTP.MaxErrors, 20, 1, 1<<20).
			help("Refused commands of one connection, then 421."),
		count("smtp.max_hops", &c.SMTP.MaxHops, 100, 100, 10000).rfc("RFC 5321 section 6.3: at least 100").
			help("Received fields of a message that is not yet taken for a loop."),
		choice("smtp.bare_lf", &c.SMTP.BareLF, BareLFReject, BareLFNormalize).
			help("What becomes of a message with a bare LF: reject it, or normalize it to CRLF. Only CRLF.CRLF ends a message either way."),
		duration("smtp.command_timeout", &c.SMTP.CommandTimeout, 5*time.Minute, time.Second, day).rfc("RFC 5321 section 4.5.3.2.7: at least 5m").
			help("How long a client may take from a reply to the end of its next command, and to take the replies."),
		duration("smtp.data_timeout", &c.SMTP.DataTimeout, 3*time.Minute, time.Second, day).rfc("RFC 5321 section 4.5.3.2.5: 3m").
			help("How long a client may be silent inside a message. See smtp.min_data_rate."),
		octets("smtp.min_data_rate", &c.SMTP.MinDataRate, 100, 0, gib).
			help("Octets a second that a client has to send of a message on average over smtp.data_timeout; 0: no minimum, an octet renews smtp.data_timeout."),
		list("smtp.trusted_networks", &c.SMTP.TrustedNetworks, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			network, netip.Prefix.String, "networks such as 192.0.2.0/24").
			help("Who gets answers to VRFY and EXPN. Others hear 252."),

		list("pop3.listen", &c.POP3.Listen, []string{"127.0.0.1:1110"}, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("pop3").
			help("Addresses to give mail out at by POP3."),
		list("pop3.listen_tls", &c.POP3.ListenTLS, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("pop3s").
			help("Addresses to give mail out at by POP3 within TLS from the first octet (port 995)."),
		duration("pop3.idle_timeout", &c.POP3.IdleTimeout, 10*time.Minute, time.Second, day).rfc("RFC 1939 section 3: at least 10m").
			help("How long a client may take from a reply to the end of its next command, and to take a reply or a piece of 64 KiB of a message."),
		boolean("pop3.apop", &c.POP3.APOP, false).
			help("Offer APOP to all while there is an account made with --apop (its secret is kept in clear text, RFC 1939 section 13). Clients that see the offer may try APOP with other accounts too, and fail."),
		duration("pop3.login_delay", &c.POP3.LoginDelay, 0, 0, day).
			help("The least time between two logins of an account, announced by CAPA; 0: none."),
		count("pop3.max_listing", &c.POP3.MaxListing, 1_000_000, 1000, 100_000_000).
			help("Messages that one session sees; the oldest come first. 12 octets of memory each."),
		count("pop3.max_errors", &c.POP3.MaxErrors, 20, 1, 1<<20).
			help("-ERR replies in a row, then the connection is closed."),
	}
}

// keysOfHouse are those of the process and its store.
func keysOfHouse(c *Config) []*Key {
	return []*Key{
		count("limits.connections", &c.Limits.Connections, 20000, 1, 10_000_000).
			help("Connections at once, of all protocols; the next one hears 421. A tenth is for relay.networks and smtp.trusted_networks alone. Of what others may have, SMTP, submission, POP3 and HTTP have a tenth of this each, and the rest is for whichever needs it; before a login, one network (IPv4: /24, IPv6: /48) may have as many as are still free. If the limit of open files (LimitNOFILE) is too low for this, fewer are accepted."),
		count("limits.connections_per_client", &c.Limits.ConnectionsPerClient, 2000, 1, 10_000_000).
			help("Connections at once of one IP address, HTTP among them, of which one address has up to 512."),
		octets("limits.memory", &c.Limits.Memory, 256*mib, 8*mib, 1024*gib).
			help("Octets of messages on their way in and out, and of pages of the web client, which take up to a quarter; over it clients wait, and pages answer 503."),
		duration("limits.drain_timeout", &c.Limits.DrainTimeout, 30*time.Second, 0, time.Hour).
			help("How long sessions may go on after the order to stop."),

		octets("storage.cache", &c.Storage.Cache, 256*mib, 8*mib, 1024*gib).
			help("The block cache."),
		octets("storage.memtable", &c.Storage.Memtable, 24*mib, mib, gib).
			help("One memtable; up to 8 are in memory."),
		octets("storage.free_floor", &c.Storage.FreeFloor, 0, 0, 1024*gib).
			help("Free disk space below which no mail is taken (452); 0: 5 % of the disk, at least 64MiB, at most 1GiB."),
		octets("storage.ballast", &c.Storage.Ballast, 64*mib, 0, 64*gib).
			help("A file that is given up when the disk is full all the same; 0: none."),
		choice("storage.durability", &c.Storage.Durability, DurabilityCommit, DurabilityNone).flag("durability").
			help("commit: a 250 means synced to disk. none: nothing is synced; mail that got its 250 is lost when the machine fails, and also when only the process ends without notice (kill -9, out of memory). For tests."),
		choice("storage.compression", &c.Storage.Compression, CompressionAuto, CompressionNone).
			help("Compress bodies before they are stored."),

		list("web.listen", &c.Web.Listen, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("http").
			help("Addresses of HTTP: /healthz, /readyz, /metrics, and the web client, which takes passwords there from this host only (see auth.plaintext_without_tls). None: no HTTP."),
		list("web.listen_tls", &c.Web.ListenTLS, nil, hostPort, sameString, "HOST:PORT; port 0 picks a free one").flag("https").
			help("Addresses of the web client within TLS (HTTPS), with the certificates of [tls]. /metrics is not there."),
		boolean("web.client", &c.Web.Client, true).
			help("The web client is at web.listen as well. False: there are /healthz, /readyz and /metrics alone."),
		list("web.hosts", &c.Web.Hosts, nil, address.ParseDomain, sameString, "domain names").
			help("Names by which browsers may ask for the pages, besides server.hostname, IP addresses, localhost and names without a dot. Requests over loopback, and all in capture mode, that give another name are refused (421): a page of somebody else could read mail through such a name. A proxy on this host that passes the browser's Host on needs its names here."),
		list("web.proxies", &c.Web.Proxies, nil, network, netip.Prefix.String, "networks such as 192.0.2.0/24").
			help("Networks of HTTP proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: who the client is, and whether it came by HTTPS. Without it all clients of a proxy are one, and wrong passwords of some keep out all."),
		duration("web.session_idle", &c.Web.SessionIdle, 4*time.Hour, time.Minute, 30*day).
			help("How long somebody who has signed in to the web client may do nothing, then he signs in again."),
		duration("web.session_lifetime", &c.Web.SessionLifetime, 7*day, time.Minute, 365*day).
			help("When he has to sign in again in any case."),

		choice("log.format", &c.Log.Format, LogText, LogJSON).
			help("text: lines as Postfix writes them. json: one object a line."),
		level("log.level", &c.Log.Level, slog.LevelInfo).
			help("The least that is logged."),
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
