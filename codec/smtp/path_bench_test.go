package smtp

import "testing"

func BenchmarkParseMail(b *testing.B) {
	arg := []byte("FROM:<bounce+1=alice=example.com@mailer.example> SIZE=1200 BODY=8BITMIME")
	b.SetBytes(int64(len(arg)))
	b.ReportAllocs()
	for b.Loop() {
		if _, refused := ParseMail(arg, everything); refused != nil {
			b.Fatal(refused)
		}
	}
}

func BenchmarkParseRcpt(b *testing.B) {
	arg := []byte("TO:<alice@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;alice@example.com")
	b.SetBytes(int64(len(arg)))
	b.ReportAllocs()
	for b.Loop() {
		if _, refused := ParseRcpt(arg, everything, false); refused != nil {
			b.Fatal(refused)
		}
	}
}

func BenchmarkParseVerb(b *testing.B) {
	line := []byte("MAIL FROM:<a@b.example>")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		ParseVerb(line)
	}
}
