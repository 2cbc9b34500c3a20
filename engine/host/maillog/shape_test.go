package maillog

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Each event in Postfix's words, and its facts as fields of JSON. The lines of Postfix 3.7
// are from its source: smtpd.c, cleanup_message.c, qmgr_active.c, log_adhoc.c.
func TestShapes(t *testing.T) {
	id := slog.String("id", "4XYZ")
	for _, c := range []struct {
		event string
		as    []any
		text  string
		json  string
	}{
		{Connect, []any{SMTPD, slog.String("client", "mx.peer.test[192.0.2.1]")},
			"smtpd[1]: connect from mx.peer.test[192.0.2.1]",
			`"msg":"connect","daemon":"smtpd","client_name":"mx.peer.test","client_address":"192.0.2.1"`},
		{Disconnect, []any{SMTPD, slog.String("client", "unknown[2001:db8::1]"), slog.String("counts", "ehlo=1 rcpt=0/2 commands=1/3")},
			"smtpd[1]: disconnect from unknown[2001:db8::1] ehlo=1 rcpt=0/2 commands=1/3",
			`"msg":"disconnect","daemon":"smtpd","client_name":"unknown","client_address":"2001:db8::1","counts":{"ehlo":1,"rcpt":"0/2","commands":"1/3"}`},
		{Reject, []any{SMTPD, slog.String("id", "NOQUEUE"), slog.String("verb", "RCPT"), slog.String("client", "unknown[192.0.2.1]"),
			slog.String("reply", "550 5.1.1 <x@here.test>: no\r\nsuch"), slog.String("from", ""), slog.String("to", "x@here.test"), slog.String("proto", "ESMTP"), slog.String("helo", "h")},
			"smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <x@here.test>: no??such; from=<> to=<x@here.test> proto=ESMTP helo=<h>",
			`"msg":"reject","daemon":"smtpd","id":"NOQUEUE","verb":"RCPT","client_name":"unknown","client_address":"192.0.2.1","reply":"550 5.1.1 <x@here.test>: no\u000d\u000asuch","from":"","to":"x@here.test","proto":"ESMTP","helo":"h"`},
		{Reject, []any{SMTPD, slog.String("id", "NOQUEUE"), slog.String("verb", "CONNECT"), slog.String("client", "unknown[192.0.2.1]"), slog.String("reply", "421 later"), slog.String("proto", "SMTP")},
			"smtpd[1]: NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 421 later; proto=SMTP",
			`"msg":"reject","daemon":"smtpd","id":"NOQUEUE","verb":"CONNECT","client_name":"unknown","client_address":"192.0.2.1","reply":"421 later","proto":"SMTP"`},
		{Client, []any{SMTPD, id, slog.String("client", "unknown[192.0.2.1]"), slog.String("sasl_method", "PLAIN"), slog.String("sasl_username", "a@here.test")},
			"smtpd[1]: 4XYZ: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=a@here.test",
			`"msg":"client","daemon":"smtpd","id":"4XYZ","client_name":"unknown","client_address":"192.0.2.1","sasl_method":"PLAIN","sasl_username":"a@here.test"`},
		{MessageID, []any{Cleanup, id, slog.String("message-id", "<a@b>")},
			"cleanup[1]: 4XYZ: message-id=<a@b>", `"msg":"message-id","daemon":"cleanup","id":"4XYZ","message-id":"<a@b>"`},
		{Queued, []any{Qmgr, id, slog.String("from", "a@b"), slog.Int64("size", 1234), slog.Int("nrcpt", 2), slog.String("queue", "active")},
			"qmgr[1]: 4XYZ: from=<a@b>, size=1234, nrcpt=2 (queue active)",
			`"msg":"queued","daemon":"qmgr","id":"4XYZ","from":"a@b","size":1234,"nrcpt":2,"queue":"active"`},
		{Delivery, []any{SMTP, id, slog.String("to", "c@d"), slog.String("orig_to", "e@f"), slog.String("relay", "mx.d[192.0.2.9]:25"), slog.Int("conn_use", 3),
			slog.Duration("delay", 1234*time.Millisecond), slog.String("delays", string(Delays{100 * time.Millisecond, 0, time.Second, 134 * time.Millisecond}.AppendTo(nil))),
			slog.String("dsn", "2.0.0"), slog.String("status", "sent"), slog.String("reason", "250 ok")},
			"smtp[1]: 4XYZ: to=<c@d>, orig_to=<e@f>, relay=mx.d[192.0.2.9]:25, conn_use=3, delay=1.2, delays=0.1/0/1/0.13, dsn=2.0.0, status=sent (250 ok)",
			`"msg":"delivery","daemon":"smtp","id":"4XYZ","to":"c@d","orig_to":"e@f","relay":"mx.d[192.0.2.9]:25","conn_use":3,"delay":1.234000,"delays":[0.1,0,1,0.13],"dsn":"2.0.0","status":"sent","reason":"250 ok"`},
		{Removed, []any{Qmgr, id}, "qmgr[1]: 4XYZ: removed", `"msg":"removed","daemon":"qmgr","id":"4XYZ"`},
	} {
		line := lines(t, false, func(l *slog.Logger) { l.Info(c.event, c.as...) })[0]
		_, line, _ = strings.Cut(line, "postfix/")
		if line = regexp.MustCompile(`\[\d+\]: `).ReplaceAllString(line, "[1]: "); line != c.text {
			t.Errorf("text\n%s, want\n%s", line, c.text)
		}
		line = lines(t, true, func(l *slog.Logger) { l.Info(c.event, c.as...) })[0]
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if !strings.HasSuffix(line, `"host":"mx.test",`+c.json+"}") {
			t.Errorf("JSON\n%s, want\n%s", line, c.json)
		}
	}
}

func TestAppendDelay(t *testing.T) {
	var got []string
	for _, d := range []time.Duration{-1, 0, 4 * time.Millisecond, 5 * time.Millisecond, 50 * time.Millisecond, 123 * time.Millisecond, 999 * time.Millisecond,
		time.Second, 1250 * time.Millisecond, 9949 * time.Millisecond, 9960 * time.Millisecond, 123456 * time.Millisecond, 100 * time.Hour} {
		got = append(got, string(AppendDelay(nil, d)))
	}
	if want := strings.Fields("0 0 0 0.01 0.05 0.12 1 1 1.2 9.9 10 123 360000"); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
