package config

// Listeners are the addresses of one protocol.
type Listeners struct {
	Name  string // "smtp": of a socket that is handed over, and in the ready line
	Key   string // "smtp.listen"
	Addrs []string
	Set   func(addrs []string) // replaces them
}

// Listeners are all that is listened on, of TCP.
func (c *Config) Listeners() []Listeners {
	plain := func(name, key string, p *[]string) Listeners {
		return Listeners{name, key, *p, func(addrs []string) { *p = addrs }}
	}
	return []Listeners{
		smtpListeners("smtp", "smtp.listen", &c.SMTP.Listen),
		smtpListeners("smtps", "smtp.listen_tls", &c.SMTP.ListenTLS),
		plain("submission", "submission.listen", &c.Submission.Listen),
		plain("submissions", "submission.listen_tls", &c.Submission.ListenTLS),
		plain("pop3", "pop3.listen", &c.POP3.Listen),
		plain("pop3s", "pop3.listen_tls", &c.POP3.ListenTLS),
		plain("http", "web.listen", &c.Web.Listen),
		plain("https", "web.listen_tls", &c.Web.ListenTLS),
		plain("acme", "tls.acme_listen", &c.TLS.ACMEListen),
	}
}

// smtpListeners are listeners that may have options after the address, which
// the first, second … one keeps whatever its new address is.
func smtpListeners(name, key string, p *[]SMTPListener) Listeners {
	l := Listeners{Name: name, Key: key}
	for _, at := range *p {
		l.Addrs = append(l.Addrs, at.Addr)
	}
	l.Set = func(addrs []string) {
		listeners := make([]SMTPListener, len(addrs))
		copy(listeners, *p)
		for i, addr := range addrs {
			listeners[i].Addr = addr
		}
		*p = listeners
	}
	return l
}
