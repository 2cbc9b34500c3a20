package dsn

import (
	"strings"
	"testing"

	"postrider/codec/smtp"
)

// Section 4.2: ORCPT comes back decoded, and people see it where the
// address became another one.
func TestRFC3461_4_2_orcpt(t *testing.T) {
	f := func(orcpt, original, words string) {
		t.Helper()
		r := report(Failure)
		r.Recipients[0] = Recipient{Final: "a@b.example", ORcpt: orcpt, Diagnostic: "no"}
		p := parse(t, Append(nil, r))
		want(t, p.recipients[0], map[string]string{"Original-Recipient": original})
		if !strings.HasSuffix(p.parts[0].text, "\r\n"+words+"\r\n") {
			t.Errorf("%q: got %q", orcpt, p.parts[0].text)
		}
	}
	f("", "", "<a@b.example>: no")
	f("rfc822;a@B.example", "rfc822; a@B.example", "<a@b.example>: no")
	f("RFC822;c+2Bd+3D@e.example", "RFC822; c+d=@e.example", "<a@b.example> (expanded from <c+d=@e.example>): no")
	f("x400;/G=a+20b/", "x400; /G=a b/", "<a@b.example>: no")
	f("rfc822;%+zz", "rfc822; %+zz", "<a@b.example> (expanded from <%+zz>): no")
}

// Section 4.3: RET is about failures only, and no promise to return what is large.
func TestRFC3461_4_3_ret(t *testing.T) {
	f := func(ret smtp.Ret, k Kind, size int64, want bool) {
		t.Helper()
		if got := Whole(ret, k, size, 1000); got != want {
			t.Errorf("%v %v %d: got %v", ret, k, size, got)
		}
	}
	f(smtp.RetUnsaid, Failure, 1000, true)
	f(smtp.RetUnsaid, Failure, 1001, false)
	f(smtp.RetFull, Failure, 1000, true)
	f(smtp.RetFull, Failure, 1001, false)
	f(smtp.RetHdrs, Failure, 1, false)
	for _, k := range []Kind{Delay, Success, Relayed, Expanded} {
		f(smtp.RetFull, k, 1, false)
	}
}

// Section 4.4: ENVID comes back decoded.
func TestRFC3461_4_4_envid(t *testing.T) {
	for envid, id := range map[string]string{"QQ314159": "QQ314159", "a+2Bb+20c": "a+b c", "+C3+B6+00": "???"} {
		r := report(Success)
		r.EnvID = envid
		want(t, parse(t, Append(nil, r)).message, map[string]string{"Original-Envelope-Id": id})
	}
}

// Section 9.2: the type smtp is for what a server replied and nothing else.
func TestRFC3461_9_2_diagnosticType(t *testing.T) {
	f := func(p Recipient, code string) {
		t.Helper()
		r := report(Failure)
		r.Recipients[0] = p
		want(t, parse(t, Append(nil, r)).recipients[0], map[string]string{"Diagnostic-Code": code})
	}
	f(Recipient{Diagnostic: "550 no", DiagnosticType: TypeSMTP}, "smtp; 550 no")
	f(Recipient{Diagnostic: "550-no\r\n550 never", DiagnosticType: TypeSMTP}, "smtp; 550-no 550 never")
	f(Recipient{Diagnostic: "no host", DiagnosticType: TypePostrider}, "X-Postrider; no host")
	f(Recipient{Diagnostic: "no host", DiagnosticType: "x\r\ny: z"}, "X-Postrider; no host")
	f(Recipient{Reason: "no host", DiagnosticType: TypeSMTP}, "X-Postrider; no host")
	f(Recipient{Diagnostic: " \r\n"}, "")
	f(Recipient{Diagnostic: "a\x00b\x7f\xc2\x85ö"}, "X-Postrider; a?b???")
}
