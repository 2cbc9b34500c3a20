package screen

// maxResults bounds the field; storage.MaxTrace has room for it.
const maxResults = 2000

// maxReason bounds the text about why a signature does not pass.
const maxReason = 80

// appendResults appends the Authentication-Results field (RFC 8601) of a message to
// dst, with its line ends. Signatures that would make it too long are left out.
func appendResults(dst []byte, host string, env *Envelope, v *Verdict) []byte {
	start := len(dst)
	dst = append(append(dst, "Authentication-Results: "...), host...)
	if c := env.Client; c != nil && c.Rev != "" {
		dst = result(dst, "iprev", c.Rev)
		dst = value(append(dst, " policy.iprev="...), env.IP.Unmap().WithZone("").String())
	}
	dst = result(dst, "spf", v.SPF.Result)
	switch {
	case v.SPF.Domain == "":
	case v.SPF.Helo:
		dst = append(append(dst, " smtp.helo="...), v.SPF.Domain...)
	default:
		dst = append(append(dst, " smtp.mailfrom="...), v.SPF.Domain...)
	}
	if len(v.Signatures) == 0 {
		dst = result(dst, "dkim", None)
	}
	for _, s := range v.Signatures {
		if len(dst)-start > maxResults-1000 { // room for this one and for dmarc
			break
		}
		dst = result(dst, "dkim", s.Result)
		if s.Reason != "" {
			dst = quoted(append(dst, " reason="...), s.Reason)
		}
		if s.Domain != "" {
			dst = append(append(dst, " header.d="...), s.Domain...)
		}
	}
	dst = result(dst, "dmarc", v.DMARC.Result)
	if v.DMARC.Result == Fail {
		dst = append(append(append(dst, " (p="...), v.DMARC.Disposition.String()...), ')')
	}
	if v.DMARC.From != "" {
		dst = append(append(dst, " header.from="...), v.DMARC.From...)
	}
	return append(dst, "\r\n"...)
}

// result begins the word of one method on a line of its own.
func result(dst []byte, method string, r Result) []byte {
	return append(append(append(append(dst, ";\r\n\t"...), method...), '='), r...)
}

// value appends an address, quoted if it is not a token.
func value(dst []byte, s string) []byte {
	for _, c := range s {
		if c == ':' {
			return quoted(dst, s)
		}
	}
	return append(dst, s...)
}

// quoted appends a quoted string of text that a peer may have written: "?" replaces
// what has no place in one, and ";", at which simple readers take the field apart.
func quoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range []byte(s[:min(len(s), maxReason)]) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == ';' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
