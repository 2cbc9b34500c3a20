package smtp

// Verb is the first word of a command.
type Verb uint8

// The verbs. Verbs before Etrn are counted in a session's log line.
const (
	Unknown Verb = iota // no command we know
	Helo
	Ehlo
	Mail
	Rcpt
	Data
	Bdat
	Rset
	Noop
	Quit
	Help
	Vrfy
	Expn
	Verbose // VERB
	Starttls
	Auth
	Etrn
	Turn
	Send
	Saml
	Soml
	Xclient
	HTTP // GET, POST or CONNECT: a browser's, never a mail client's
	Verbs
)

var verbNames = [Verbs]string{
	Unknown: "unknown", Helo: "helo", Ehlo: "ehlo", Mail: "mail", Rcpt: "rcpt", Data: "data", Bdat: "bdat",
	Rset: "rset", Noop: "noop", Quit: "quit", Help: "help", Vrfy: "vrfy", Expn: "expn", Verbose: "verb",
	Starttls: "starttls", Auth: "auth", Etrn: "etrn", Turn: "turn", Send: "send", Saml: "saml", Soml: "soml",
	Xclient: "xclient", HTTP: "http",
}

// String returns the verb in lower case, as in the log line of a session.
func (v Verb) String() string {
	if v >= Verbs {
		return "unknown"
	}
	return verbNames[v]
}

// word packs up to eight letters, as a switch wants them.
func word(b []byte) (w uint64) {
	if len(b) > 8 {
		return 0
	}
	for _, c := range b {
		w = w<<8 | uint64(lower(c))
	}
	return w
}

var verbOf = func() map[uint64]Verb {
	m := make(map[uint64]Verb, Verbs)
	for v := Helo; v < HTTP; v++ {
		m[word([]byte(verbNames[v]))] = v
	}
	for _, s := range []string{"get", "post", "connect"} {
		m[word([]byte(s))] = HTTP
	}
	return m
}()

// ParseVerb reads the verb at the start of a command line, in any case, and
// returns what follows it without blanks around it.
func ParseVerb(line []byte) (Verb, []byte) {
	i := 0
	for i < len(line) && !isBlank(line[i]) {
		i++
	}
	return verbOf[word(line[:i])], trimBlanks(line[i:])
}
