package smtp

import "unicode/utf8"

// Extensions is a set of service extensions, as a server offers them in its
// reply to EHLO. After HELO none is offered.
type Extensions uint16

// The extensions that allow a parameter.
const (
	ExtSize       Extensions = 1 << iota // RFC 1870
	Ext8BitMIME                          // RFC 6152
	ExtBinaryMIME                        // RFC 3030
	ExtDSN                               // RFC 3461
	ExtSMTPUTF8                          // RFC 6531
	ExtAuth                              // RFC 4954
)

// Body is the BODY parameter of MAIL.
type Body uint8

// The bodies: not said, 7BIT, 8BITMIME (RFC 6152), BINARYMIME (RFC 3030).
const (
	BodyUnsaid Body = iota
	Body7Bit
	Body8BitMIME
	BodyBinaryMIME
)

// Ret is the RET parameter of MAIL (RFC 3461 section 4.3): how much of the
// message a notification brings back.
type Ret uint8

// The values of RET.
const (
	RetUnsaid Ret = iota
	RetFull
	RetHdrs
)

// Notify is the NOTIFY parameter of RCPT (RFC 3461 section 4.1), as a set. Zero
// is not said.
type Notify uint8

// The members of NOTIFY. NotifyNever comes alone.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// WithoutSuccess is n without SUCCESS. A sender that asked for SUCCESS alone wants no
// other notification: the result is NEVER then.
func (n Notify) WithoutSuccess() Notify {
	if n == NotifySuccess {
		return NotifyNever
	}
	return n &^ NotifySuccess
}

// MailArgs is the argument of MAIL: the reverse-path and its parameters.
type MailArgs struct {
	From     ReversePath
	Size     int64  // octets announced; 0: not said
	EnvID    []byte // xtext as it came; nil: not said
	Body     Body
	Ret      Ret
	SMTPUTF8 bool
}

// RcptArgs is the argument of RCPT: the forward-path and its parameters.
type RcptArgs struct {
	To     ForwardPath
	ORcpt  []byte // "addr-type;xtext" as it came; nil: not said
	Notify Notify
}

// What the parsers of MAIL and RCPT refuse.
var (
	mailSyntax    = Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: MAIL FROM:<address> [parameters]"}
	rcptSyntax    = Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: RCPT TO:<address> [parameters]"}
	badSender     = Reply{Code: 501, Enhanced: "5.1.7", Text: "Bad sender address syntax"}
	badRecipient  = Reply{Code: 501, Enhanced: "5.1.3", Text: "Bad recipient address syntax"}
	noDomain      = Reply{Code: 501, Enhanced: "5.1.3", Text: "The recipient address needs a domain"}
	senderUTF8    = Reply{Code: 501, Enhanced: "5.1.7", Text: "A sender address beyond ASCII needs SMTPUTF8"}
	recipientUTF8 = Reply{Code: 501, Enhanced: "5.1.3", Text: "A recipient address beyond ASCII needs MAIL with SMTPUTF8"}
	badParam      = Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad parameter value"}
	badParams     = Reply{Code: 501, Enhanced: "5.5.4", Text: "Bad parameter syntax"}
	twice         = Reply{Code: 501, Enhanced: "5.5.4", Text: "A parameter is given twice"}
	unsupported   = Reply{Code: 555, Enhanced: "5.5.4", Text: "Unsupported parameter"}
)

// ParseMail reads the arguments of MAIL. Parameters are taken only if their
// extension is offered. A nil Reply means success; otherwise it is the reply to
// send. The result borrows from arg.
func ParseMail(arg []byte, offered Extensions) (m MailArgs, refused *Reply) {
	rest, ok := cutKeyword(arg, "from:")
	if !ok {
		return m, &mailSyntax
	}
	box, rest, ok := cutPath(rest)
	if !ok || len(box.domain) == 0 && len(box.local) > 0 || box.quote && len(box.domain) == 0 {
		return m, &badSender
	}
	m.From = ReversePath{box}
	var seen uint
	for {
		var p param
		if p, rest, ok = cutParam(rest); !ok {
			return m, &badParams
		}
		if len(p.key) == 0 {
			break
		}
		if refused = m.set(p, offered, &seen); refused != nil {
			return m, refused
		}
	}
	if box.NeedsUTF8() && !m.SMTPUTF8 {
		return m, &senderUTF8
	}
	if !utf8.Valid(box.local) || !utf8.Valid(box.domain) {
		return m, &badSender
	}
	return m, nil
}

// set puts one parameter of MAIL into m. seen has a bit for each that came.
func (m *MailArgs) set(p param, offered Extensions, seen *uint) *Reply {
	ok := false
	switch {
	case p.is("size", ExtSize, offered):
		m.Size, ok = parseDecimal(p.value)
		return p.once(0, ok, seen)
	case p.is("body", Ext8BitMIME, offered):
		m.Body = parseBody(p.value, offered)
		return p.once(1, m.Body != BodyUnsaid, seen)
	case p.is("smtputf8", ExtSMTPUTF8, offered):
		m.SMTPUTF8 = true
		return p.once(2, !p.valued, seen)
	case p.is("ret", ExtDSN, offered):
		m.Ret = parseRet(p.value)
		return p.once(3, m.Ret != RetUnsaid, seen)
	case p.is("envid", ExtDSN, offered):
		m.EnvID = p.value
		return p.once(4, len(p.value) > 0 && len(p.value) <= 100 && isXtext(p.value), seen)
	case p.is("auth", ExtAuth, offered):
		// The message's first sender, as the client knows it. No client is trusted
		// to say that, so it is read and forgotten (RFC 4954 section 5).
		return p.once(5, len(p.value) > 0 && len(p.value) <= maxAuth && isXtext(p.value), seen)
	}
	return &unsupported
}

// maxAuth is the most octets of the AUTH parameter (RFC 4954 section 3).
const maxAuth = 500

// ParseRcpt reads the arguments of RCPT, as ParseMail does. international means
// that MAIL had SMTPUTF8.
func ParseRcpt(arg []byte, offered Extensions, international bool) (r RcptArgs, refused *Reply) {
	rest, ok := cutKeyword(arg, "to:")
	if !ok {
		return r, &rcptSyntax
	}
	box, rest, ok := cutPath(rest)
	if !ok || len(box.local) == 0 && len(box.domain) == 0 {
		return r, &badRecipient
	}
	r.To = ForwardPath{box}
	if len(box.domain) == 0 && !r.To.IsPostmaster() {
		return r, &noDomain
	}
	if box.NeedsUTF8() && !international {
		return r, &recipientUTF8
	}
	if !utf8.Valid(box.local) || !utf8.Valid(box.domain) {
		return r, &badRecipient
	}
	var seen uint
	for {
		var p param
		if p, rest, ok = cutParam(rest); !ok {
			return r, &badParams
		}
		if len(p.key) == 0 {
			return r, nil
		}
		if refused = r.set(p, offered, international, &seen); refused != nil {
			return r, refused
		}
	}
}

// set puts one parameter of RCPT into r.
func (r *RcptArgs) set(p param, offered Extensions, international bool, seen *uint) *Reply {
	switch {
	case p.is("notify", ExtDSN, offered):
		r.Notify = parseNotify(p.value)
		return p.once(0, r.Notify != 0, seen)
	case p.is("orcpt", ExtDSN, offered):
		r.ORcpt = p.value
		return p.once(1, isORcpt(p.value, international), seen)
	}
	return &unsupported
}

// param is one esmtp-param: key ["=" value].
type param struct {
	key, value []byte
	valued     bool // "=" was there
}

// is reports whether p is the parameter key, and its extension offered.
func (p param) is(key string, ext, offered Extensions) bool {
	return offered&ext != 0 && equalFoldASCII(p.key, key)
}

// once refuses a parameter that is bad or that came before.
func (p param) once(bit uint, ok bool, seen *uint) *Reply {
	again := *seen>>bit&1 != 0
	*seen |= 1 << bit
	switch {
	case again:
		return &twice
	case !ok:
		return &badParam
	}
	return nil
}

// cutKeyword drops word, in any case, and the blanks after it from s.
func cutKeyword(s []byte, word string) ([]byte, bool) {
	if len(s) < len(word) || !equalFoldASCII(s[:len(word)], word) {
		return nil, false
	}
	return trimBlanks(s[len(word):]), true
}

// cutParam reads the next parameter of s; its key is empty when there is none.
func cutParam(s []byte) (p param, rest []byte, ok bool) {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	i := 0
	for i < len(s) && (is(s[i], letDig) && s[i] < 0x80 || s[i] == '-' && i > 0) {
		i++
	}
	p.key, s = s[:i], s[i:]
	if len(s) > 0 && s[0] == '=' {
		i = 1
		for i < len(s) && is(s[i], value) {
			i++
		}
		p.value, p.valued, s = s[1:i], true, s[i:]
		if len(p.key) == 0 || len(p.value) == 0 {
			return p, nil, false
		}
	}
	return p, s, len(s) == 0 || isBlank(s[0])
}
