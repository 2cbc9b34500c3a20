package smtpsrv

import "testing"

// A refusal in the words of Postfix's smtpd, which fail2ban's filters look for.
func TestRejection(t *testing.T) {
	for _, c := range []struct{ verb, reply, reverse, forward, want string }{
		{"RCPT", "550 5.1.1 jones... User unknown\r\n", "a@b", "jones@here.test", "550 5.1.1 <jones@here.test>: Recipient address rejected: User unknown"},
		{"RCPT", "554 5.7.1 Relay access denied\r\n", "", "x@there.test", "554 5.7.1 <x@there.test>: Relay access denied"},
		{"RCPT", "450 4.7.1 Greylisted: come back in 5m0s\r\n", "", `"a>b"@here.test`, `450 4.7.1 <"a?b"@here.test>: Recipient address rejected: Greylisted: come back in 5m0s`},
		{"RCPT", "501 5.1.3 Bad address\r\n", "a@b", "none", "501 5.1.3 Bad address"},
		{"MAIL", "553 5.7.1 <x@y>: Sender address rejected: not owned by user z\r\n", "x@y", "none", "553 5.7.1 <x@y>: Sender address rejected: not owned by user z"},
		{"MAIL", "450 4.7.1 Too many messages\r\n", "", "none", "450 4.7.1 <>: Sender address rejected: Too many messages"},
		{"CONNECT", "554 5.7.1 Service refused\r\n", "none", "none", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Service refused"},
		{"DATA", "550 5.7.1 No\r\n", "a@b", "none", "550 5.7.1 <DATA>: Data command rejected: No"},
		{"HELO", "500 Bad command\r\n", "none", "none", "500 Bad command"},
		{"RCPT", "550-5.1.1 Syntax: RCPT\r\n550 5.1.1 jones... User unknown\r\n", "a@b", "jones@here.test", "550 5.1.1 <jones@here.test>: Recipient address rejected: User unknown"},
	} {
		path := func(s string) []byte {
			if s == "none" {
				return nil
			}
			return append([]byte{}, s...)
		}
		if got := rejection(c.verb, "unknown[192.0.2.1]", []byte(c.reply), path(c.reverse), path(c.forward)); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.verb, c.reply, got, c.want)
		}
	}
}
