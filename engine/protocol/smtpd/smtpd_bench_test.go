package smtpd

import "testing"

func benchmark(b *testing.B, in []byte) {
	cfg := testConfig()
	cfg.MaxSize, cfg.MaxErrors = 64<<20, 0
	var s Session
	var e Effects
	s.Init(&cfg, Peer{Addr: "192.0.2.1", Name: "client.example"})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if run(&s, in, &e) == 0 {
			b.Fatal("no message was stored")
		}
	}
}

const envelope = "MAIL FROM:<a@mailer.example>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n"

func BenchmarkMessage1k(b *testing.B) {
	benchmark(b, []byte("EHLO a\r\n"+envelope+bulkText+".\r\n"))
}

func BenchmarkMessage1M(b *testing.B) {
	in := []byte("EHLO a\r\n" + envelope)
	for len(in) < 1<<20 {
		in = append(in, bulkText...)
	}
	benchmark(b, append(in, ".\r\n"...))
}

func BenchmarkBulkSession(b *testing.B) { benchmark(b, bulk) }
