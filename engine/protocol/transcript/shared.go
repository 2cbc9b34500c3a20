package transcript

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"postrider/codec/sasl"
)

// Texts returns the files that match glob: the seeds of a fuzz target.
func Texts(t testing.TB, glob string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", glob, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// ChannelBinding is the channel binding of the dialogues within TLS.
func ChannelBinding(kind string) []byte {
	if kind != sasl.TLSExporter {
		return nil
	}
	return []byte("exported")
}

// Pencil returns the verifier of the example in RFC 7677 section 3.
var Pencil = sync.OnceValue(func() sasl.Verifier {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	v, _ := sasl.NewVerifier("pencil", salt, 4096)
	return v
})
