package accounts

import (
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/shelltest"
)

func TestDKIMKeys(t *testing.T) {
	s := shelltest.Bare(t, DKIMCommand)
	data := " --data " + filepath.Join(t.TempDir(), "data")
	s.Want(69, "", "dkim key Example.org --selector r1"+data, "no store in", "--create")
	s.Want(69, "", "dkim list"+data, "no store in")
	out := s.Want(0, "", "dkim key Example.org --selector r1 --create"+data, `r1._domainkey.example.org. IN TXT (`, `"v=DKIM1; k=rsa; p=`)
	for line := range strings.Lines(out) {
		if len(line) > 255+len("\t\"\" )\n") {
			t.Errorf("a string of more than 255 octets: %s", line)
		}
	}
	s.Want(0, "", "dkim key example.org --selector r2 --bits 1024"+data)
	one := s.Want(0, "", "dkim key example.org --bits ed25519 --selector e1"+data, `e1._domainkey.example.org. IN TXT "v=DKIM1; k=ed25519; p=`)
	s.Want(73, "", "dkim key example.org --selector r1"+data, "take another --selector")
	s.Want(64, "", "dkim key example.org --bits 512"+data, "1024 to 4096, or ed25519")
	s.Want(64, "", "dkim key 192.0.2.1"+data, "IP address")
	if out := s.Want(0, "", "dkim list"+data, "waits"); strings.Count(out, " signs\n") != 2 || strings.Count(out, "\n") != 3 {
		t.Errorf("dkim list:\n%s", out)
	}
	s.Want(0, "", "dkim list --json"+data, `"signs": false`, `"name": "e1._domainkey.example.org"`)
	s.Want(0, "", "dkim list --records"+data, one, out)
}
