package localmail

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Send hands a message to the server at the socket at path.
func Send(ctx context.Context, path string, l Letter, text io.Reader) (a Answer, err error) {
	coded, err := json.Marshal(l)
	if err != nil {
		return a, err
	}
	body := io.MultiReader(strings.NewReader(strconv.Itoa(len(coded))+"\n"+string(coded)), text)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localmail/mail", body)
	if err != nil {
		return a, err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	answer, err := c.Do(req)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("the server at %s gave no answer: %w", path, err)
	}
	return a, nil
}
