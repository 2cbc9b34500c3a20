package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// makeAttachments has Python write a message with attachments of all sizes and odd names,
// and tells the digest of each by the name that it should get.
const makeAttachments = `
import email.message, email.policy, hashlib, json, random, sys
random.seed(7)
m = email.message.EmailMessage(policy=email.policy.SMTP)
m["From"], m["To"], m["Subject"] = "writer@localhost", "reader@localhost", "attachments"
m.set_content("See the files.\n.\nFrom: nobody\n")
want = {}
for size, name, safe in (
        (0, "a.bin", "a.bin"), (1, "two words.bin", "two words.bin"), (44, "../up.bin", "up.bin"), (45, "dög 犬.bin", "dög 犬.bin"),
        (46, ".hidden.bin", "hidden.bin"), (4097, "x" * 200 + ".bin", "x" * 116 + ".bin"), (100000, "six.bin", "six.bin"), (5000000, "large.bin", "large.bin")):
    octets = random.randbytes(size)
    m.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    want[safe] = hashlib.sha256(octets).hexdigest()
open(sys.argv[1], "wb").write(bytes(m))
json.dump(want, sys.stdout)
`

// The seed's text file of an account shows attachments as uuencoded files, and they come
// out of it whole: all by our uudecode, the first by that of GNU sharutils.
func TestTextExportHasAttachments(t *testing.T) {
	need(t, "python3")
	need(t, "uudecode")
	dir := t.TempDir()
	file := filepath.Join(dir, "message")
	out, err := exec.CommandContext(t.Context(), "python3", "-c", makeAttachments, file).Output()
	if err != nil {
		said := new(exec.ExitError)
		errors.As(err, &said)
		t.Fatalf("%v\n%s", err, said.Stderr)
	}
	var want map[string]string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	message, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "writer", "reader")
	s.start()
	s.send("reader", message)
	s.run("export", "reader", "--format", "text", "--out", filepath.Join(dir, "out"))
	text := filepath.Join(dir, "out", "READER.TXT")
	if entry, err := os.ReadFile(text); err != nil || !bytes.Contains(entry, []byte("\nSee the files.\n.\n>From: nobody\n")) {
		t.Errorf("the text: %.300q, %v", entry, err)
	}
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), binary, "uudecode", "-o", files, text).CombinedOutput(); err != nil {
		t.Errorf("uudecode: %v, %s", err, said)
	}
	for name, digest := range want {
		octets, err := os.ReadFile(filepath.Join(files, name))
		if got := fmt.Sprintf("%x", sha256.Sum256(octets)); err != nil || got != digest {
			t.Errorf("%s: %d octets are other ones, %v", name, len(octets), err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "uudecode", text)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("GNU uudecode: %v, %s", err, said)
	}
	if octets, err := os.ReadFile(filepath.Join(dir, "a.bin")); err != nil || fmt.Sprintf("%x", sha256.Sum256(octets)) != want["a.bin"] {
		t.Errorf("by GNU uudecode: %d octets, %v", len(octets), err)
	}
	s.terminate()
}
