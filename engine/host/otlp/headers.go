package otlp

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// ReadHeaders reads a file of header fields for each request, as "Authorization: Bearer
// secret", one a line. Lines that begin with "#" are comments. The path "" means that there is
// no file. Only the owner may have permission to read it.
func ReadHeaders(path string) (http.Header, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("web.otlp_headers: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("web.otlp_headers: other users can read %s: run chmod 600 %s", path, path)
	}
	headers := make(http.Header)
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("web.otlp_headers: %s:%d: expected NAME: VALUE, for example \"Authorization: Bearer secret\"", path, n)
		}
		headers.Add(name, value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("web.otlp_headers: %s: %w", path, err)
	}
	return headers, nil
}
