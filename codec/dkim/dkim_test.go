package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"
)

const letter = "Received: by a.test\r\nFROM : Alice <a@x.test>\r\nTo: b@y.test,\r\n\tc@y.test\r\nSubject:  a\r\n  fold \r\nSubject: another\r\nX-Empty:\r\n\r\n"

// What go-msgauth signs holds here.
func TestVerify_WhatGoMsgauthSigns(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, edKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	ofRSA := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	keys := []struct {
		key    crypto.Signer
		record string
	}{
		{rsaKey, ofRSA[:200] + " \r\n " + ofRSA[200:]},
		{edKey, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)},
	}
	for _, text := range []string{"", "\r\n", "hello  there \r\n\r\n\tworld\r\n\r\n\r\n", " \r\n", "no end of line", strings.Repeat("a b\t\r\n\r\n", 3000)} {
		for _, k := range keys {
			key, record := k.key, k.record
			for i := range 4 {
				words := []msgauth.Canonicalization{msgauth.CanonicalizationSimple, msgauth.CanonicalizationRelaxed}
				options := &msgauth.SignOptions{
					Domain: "x.test", Selector: "s", Signer: key, Hash: crypto.SHA256, Identifier: "a@sub.x.test",
					HeaderCanonicalization: words[i/2], BodyCanonicalization: words[i%2],
					HeaderKeys: []string{"from", "from", "Subject", "to", "subject", "x-empty", "nothing", "subject"},
				}
				var b strings.Builder
				if err := msgauth.Sign(&b, strings.NewReader(letter+text), options); err != nil {
					t.Fatal(err)
				}
				field := strings.TrimSuffix(b.String(), letter+text)
				if err := holds(field, letter, text, record); err != nil {
					t.Errorf("%v, %.30q: %v\n%s", options.BodyCanonicalization, text, err, field)
				}
				if text != "" && holds(field, letter, text+"y", record) == nil {
					t.Error("a body that was changed holds")
				}
				if holds(field, strings.Replace(letter, "fold", "Fold", 1), text, record) == nil || holds(field, letter[:len(letter)-2]+"Subject: x\r\n\r\n", text, record) == nil {
					t.Error("a header that was changed holds")
				}
			}
		}
	}
}

// holds checks one signature.
func holds(field, header, text, record string) error {
	s, err := ParseSignature([]byte(field))
	if err != nil {
		return err
	}
	key, err := ParseKey(record)
	if err != nil {
		return err
	}
	h, err := ParseHeader([]byte(field + header))
	if err != nil {
		return err
	}
	sum := sha256.New()
	b := NewBody(sum, s.Body)
	_, _ = io.WriteString(b, text)
	_ = b.Close()
	if string(sum.Sum(nil)) != string(s.BodyHash) {
		return Permanent("body hash")
	}
	sum.Reset()
	s.WriteHeader(sum, h)
	return key.Verify([sha256.Size]byte(sum.Sum(nil)), s.Signature)
}

func TestParseSignature_Failure(t *testing.T) {
	const good = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed; d=x.test; s=s; h=From : to; bh=AAAA; b=AAAA"
	if s, err := ParseSignature([]byte(good)); err != nil || s.Header != Relaxed || s.Body != Simple || s.Domain != "x.test" {
		t.Fatalf("%+v, %v", s, err)
	}
	for from, to := range map[string]string{
		"v=1": "v=2", "v=1;": "", "a=rsa-sha256": "a=rsa-sha1", "rsa-": "dsa-", "sha256": "md5", "=rsa-sha256": "=rsa", "c=relaxed": "c=strict", "relaxed;": "relaxed/x;",
		"d=x.test;": "", "h=From : to": "h=to", "bh=AAAA": "bh=A", "b=AAAA": "b=?", "; b=AAAA": "", "s=s": "s=s; s=s", "s=s;": "s=s; i=a@nox.test;", "d=x.test; ": "d=x.test; i=x.test;",
		"h=From": "h=From" + strings.Repeat(":a", MaxNames), "bh": "t=x; bh", " bh": "x=soon; bh", "; bh": "; q=http; bh", "; s=": "; nothing; s=",
		"; d=": "; " + strings.Repeat("x", 10) + manyTags() + " d=",
	} {
		if text := strings.Replace(good, from, to, 1); text == good {
			t.Errorf("%q is not there", from)
		} else if _, err := ParseSignature([]byte(text)); err == nil {
			t.Errorf("%.200q was taken", text)
		}
	}
	for from, to := range map[string]string{"v=1": "v=1;;", "s=s": "s=s; i=@X.Test", "bh=": "q=x:dns/txt; bh=", "b=AAAA": "b = A\r\n A AA ", "h=From : to": "h=from" + strings.Repeat(":a", MaxNames-1)} {
		if _, err := ParseSignature([]byte(strings.Replace(good, from, to, 1))); err != nil {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func manyTags() string {
	var b strings.Builder
	for i := range maxTags {
		b.WriteString(strings.Repeat("y", i+1) + "=;")
	}
	return "=;" + b.String()
}

// A key is looked at before it is used: its length costs nothing.
func TestParseKey(t *testing.T) {
	record := func(bits int) string {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		n.SetBit(n, 0, 1)
		der, err := asn1.Marshal(struct {
			N *big.Int
			E int
		}{n, 65537})
		if err != nil {
			t.Fatal(err)
		}
		return "p=" + base64.StdEncoding.EncodeToString(der)
	}
	for bits, want := range map[int]string{1023: "too short", 1024: "", 2048: "", 4096: "", 8192: "", 8193: "too long", 8200: "too long", 16384: "too long", 60000: "too long", 400000: "too long"} {
		_, err := ParseKey(record(bits))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bits: %v, want %q", bits, err, want)
		}
	}
	for _, bad := range []string{
		"", "p=", "p=?", "v=DKIM2; p=AAAA", "k=dsa; p=AAAA", "k=ed25519; p=AAAA", "p=AAAA", "p=AAAA; p=AAAA", "x", record(2048) + "; h=sha1", record(2048) + "; s=tlsrpt",
	} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%.60q was taken", bad)
		}
	}
	if _, err := ParseKey(record(2048) + "; h=sha1 : sha256; s=*; t=y; n=note"); err != nil {
		t.Error(err)
	}
}
