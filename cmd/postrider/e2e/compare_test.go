package e2e

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// compare wants got to be the messages of sent, each once and in any order, octet
// for octet once the trace fields are off. undo turns what a client stored back
// into what RETR sent; nil when got is that.
func compare(t *testing.T, sent []sample, got [][]byte, undo func([]byte) []byte) {
	t.Helper()
	wanted := make(map[[32]byte]string, len(sent))
	for _, s := range sent {
		wanted[digest(s.message)] = s.name
	}
	strangers := 0
	for _, message := range got {
		if undo != nil {
			message = undo(message)
		}
		rest, err := withoutTrace(message)
		if err != "" {
			t.Errorf("%s: %.300q", err, message)
			continue
		}
		if key := digest(rest); wanted[key] != "" {
			delete(wanted, key)
			continue
		}
		if strangers++; strangers <= 3 {
			t.Errorf("a message that wasn't sent, or came twice, or was changed: %.2000q", rest)
		}
	}
	if strangers > 3 {
		t.Errorf("%d such messages in all", strangers)
	}
	for _, name := range wanted {
		t.Errorf("lost or changed: %s", name)
	}
	t.Logf("%d messages sent, %d came back, %d octet for octet", len(sent), len(got), len(sent)-len(wanted))
}

// digest is the identity of a message: its octets, but for Return-Path fields
// that came with it. RFC 5321 section 4.4 lets the server that makes the final
// delivery take them out.
func digest(message []byte) [32]byte {
	header, text, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	if hasField(header, "return-path:") {
		header = withoutReturnPath(header)
	}
	return sha256.Sum256(append(append(bytes.Clone(header), "\r\n\r\n"...), text...))
}

// withoutReturnPath takes out the Return-Path fields of a header that doesn't
// end with CRLF, with their folded lines.
func withoutReturnPath(header []byte) []byte {
	var kept []byte
	dropping := false
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		if !folded {
			dropping = hasField(line, "return-path:")
		}
		if !dropping {
			kept = append(append(kept, line...), "\r\n"...)
		}
	}
	return bytes.TrimSuffix(kept, []byte("\r\n"))
}

// withoutTrace takes off the fields that our server puts before a message: one
// Return-Path, Delivered-To where an alias was expanded, one Received. The
// second result describes what is wrong with them.
func withoutTrace(message []byte) ([]byte, string) {
	name, rest := cutField(message)
	if name != "return-path" {
		return nil, "it doesn't begin with Return-Path"
	}
	name, rest = cutField(rest)
	for name == "delivered-to" {
		name, rest = cutField(rest)
	}
	if name != "received" {
		return nil, "no Received field of ours follows Return-Path"
	}
	return rest, ""
}

// cutField splits off the first header field with its folded lines.
func cutField(message []byte) (name string, rest []byte) {
	end := 0
	for {
		length := bytes.Index(message[end:], []byte("\r\n"))
		if length < 0 {
			return "", message
		}
		end += length + 2
		if end == len(message) || message[end] != ' ' && message[end] != '\t' {
			break
		}
	}
	field, _, _ := strings.Cut(string(message[:end]), ":")
	return strings.ToLower(field), message[end:]
}
