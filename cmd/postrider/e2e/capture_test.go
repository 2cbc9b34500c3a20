package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// captured is the API's answer about messages, as far as the tests look at it.
type captured struct {
	Total    int  `json:"total"`
	Matching int  `json:"messages_count"`
	Complete bool `json:"complete"`
	Messages []struct {
		ID, Subject string
		Attachments int
		Bcc         []struct{ Address string }
		Envelope    struct {
			From string
			To   []string
		}
	} `json:"messages"`
}

// startCapture starts a server that captures.
func startCapture(t *testing.T, args ...string) *server {
	t.Helper()
	s := newServer(t)
	s.args = append(s.args, append([]string{"--capture", "--http", "127.0.0.1:0"}, args...)...)
	s.start()
	return s
}

// ask asks the API, wants a status, and decodes the answer into v.
func (s *server) ask(method, path, body string, status int, v any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.http[0]+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		s.t.Fatalf("%s %s: %d %s, %v", method, path, answer.StatusCode, b, err)
	}
	if v == nil {
		return
	}
	if raw, ok := v.(*[]byte); ok {
		*raw = b
		return
	}
	if err := json.Unmarshal(b, v); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
}

// swaks sends a message with that program.
func (s *server) swaks(args ...string) {
	s.t.Helper()
	need(s.t, "swaks")
	out, err := exec.CommandContext(s.t.Context(), "swaks", append([]string{"--server", s.smtp[0], "--suppress-data"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("swaks %q: %v\n%s", args, err, out)
	}
}

// Mail for any address, from any sender, is taken and shown whole, and nothing goes out.
func TestCapture(t *testing.T) {
	t.Parallel()
	s := startCapture(t)
	s.swaks("--from", "shop@sender.example", "--to", "ann@one.example,bob@two.example,x+y@[192.0.2.1]", "--h-Subject", "Your order",
		"--header", "To: ann@one.example", "--body", "The parcel comes on Monday.", "--auth", "LOGIN", "--auth-user", "any", "--auth-password", "thing")
	s.swaks("--from", "<>", "--to", "postmaster", "--h-Subject", "Delivery failed", "--attach", "@/etc/services")
	var all captured
	s.ask("GET", "/messages", "", 200, &all)
	if all.Total != 2 || len(all.Messages) != 2 || all.Messages[0].Subject != "Delivery failed" || all.Messages[0].Attachments != 1 || all.Messages[0].Envelope.From != "" {
		t.Fatalf("%+v", all)
	}
	order := all.Messages[1]
	if !slices.Equal(order.Envelope.To, []string{"ann@one.example", "bob@two.example", "x+y@[192.0.2.1]"}) || order.Envelope.From != "shop@sender.example" ||
		len(order.Bcc) != 2 || order.Bcc[0].Address != "bob@two.example" {
		t.Errorf("%+v", order)
	}
	f := func(query string, want int) {
		t.Helper()
		var found captured
		s.ask("GET", "/search?query="+query, "", 200, &found)
		if found.Matching != want || len(found.Messages) != want || !found.Complete {
			t.Errorf("%s: %+v", query, found)
		}
	}
	f("parcel", 1)
	f("to:bob%40two", 1)
	f("has:attachment", 1)
	f("-has:attachment%20monday", 1)
	f("from:nobody", 0)

	var one struct {
		Text        string
		Attachments []struct {
			PartID, FileName string
			Size             int
		}
	}
	s.ask("GET", "/message/latest", "", 200, &one)
	if len(one.Attachments) != 1 || one.Attachments[0].FileName != "services" {
		t.Fatalf("%+v", one)
	}
	var file, want []byte
	s.ask("GET", "/message/latest/part/"+one.Attachments[0].PartID, "", 200, &file)
	want, err := exec.CommandContext(t.Context(), "cat", "/etc/services").Output()
	if err != nil || !bytes.Equal(file, want) || len(want) != one.Attachments[0].Size {
		t.Errorf("the attachment has %d octets, %v", len(file), err)
	}
	var raw []byte
	s.ask("GET", "/message/"+order.ID+"/raw", "", 200, &raw)
	if !bytes.HasPrefix(raw, []byte("Return-Path: <shop@sender.example>\r\nDelivered-To: ann@one.example\r\n")) || !bytes.Contains(raw, []byte("\r\nThe parcel comes")) {
		t.Errorf("%q", raw)
	}
	header := map[string][]string{}
	s.ask("GET", "/message/"+order.ID+"/headers", "", 200, &header)
	if !slices.Equal(header["Subject"], []string{"Your order"}) || len(header["Delivered-To"]) != 3 {
		t.Errorf("%q", header)
	}
	s.ask("GET", "/message/0000000000000", "", 404, nil)
	s.ask("GET", "/message/latest/part/9", "", 404, nil)
	s.ask("GET", "/message/what", "", 400, nil)
	s.ask("GET", "/search?query=has:teeth", "", 400, nil)
	s.ask("DELETE", "/search", "", 400, nil)

	// What was captured outlives the process; nothing is in the queue.
	s.kill()
	s.start()
	s.ask("GET", "/messages", "", 200, &all)
	if all.Total != 2 || strings.Contains(s.run("queue", "list", "--json"), "example") {
		t.Errorf("after a kill: %+v", all)
	}
	s.ask("DELETE", "/messages", `{"IDs": ["`+order.ID+`"]}`, 200, nil)
	f("", 1)
	s.ask("DELETE", "/messages", "", 200, nil)
	f("", 0)
	s.terminate()
	s.check()
}

// A client that waits for mail gets its answer when mail comes, and not before.
func TestCaptureWait(t *testing.T) {
	t.Parallel()
	s := startCapture(t)
	s.ask("GET", "/wait?query=subject:two&timeout=300ms", "", 408, nil)
	s.ask("GET", "/wait?timeout=never", "", 400, nil)
	stream, err := http.Get("http://" + s.http[0] + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	totals := make(chan string, 100)
	go func() {
		lines := bufio.NewScanner(stream.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				totals <- data
			}
		}
	}()
	event := func(prefix string) {
		t.Helper()
		for {
			select {
			case data := <-totals:
				if strings.HasPrefix(data, prefix) {
					return
				}
			case <-time.After(patience):
				t.Fatalf("no event %s", prefix)
			}
		}
	}
	event(`{"Total":0,`)
	waited := make(chan captured, 1)
	go func() {
		var found captured
		s.ask("GET", "/wait?query=subject:two&count=2&timeout=50s", "", 200, &found)
		waited <- found
	}()
	for i, subject := range []string{"two", "one", "two again"} {
		s.swaks("--from", "a@b.example", "--to", fmt.Sprintf("n%d@b.example", i), "--h-Subject", subject)
		event(fmt.Sprintf(`{"Total":%d,`, i+1))
	}
	select {
	case found := <-waited:
		if found.Matching != 2 || found.Messages[0].Subject != "two again" {
			t.Errorf("%+v", found)
		}
	case <-time.After(patience):
		t.Fatal("the wait does not end")
	}
}

// The newest messages stay, under load, and old ones go by themselves.
func TestCaptureRetention(t *testing.T) {
	t.Parallel()
	need(t, "smtp-source")
	s := startCapture(t, "--capture-keep", "100")
	out, err := exec.CommandContext(t.Context(), "smtp-source", "-s", "10", "-m", "3000", "-l", "2000", "-t", "x@load.example", s.smtp[0]).CombinedOutput()
	if err != nil {
		t.Fatalf("smtp-source: %v\n%s", err, out)
	}
	s.swaks("--from", "a@b.example", "--to", "last@b.example", "--h-Subject", "the last")
	var all captured
	eventually(t, "100 messages", func() bool {
		s.ask("GET", "/messages", "", 200, &all)
		return all.Total == 100
	})
	if all.Messages[0].Subject != "the last" {
		t.Errorf("%+v", all.Messages[0])
	}
	s.terminate()
	s.args = append(s.args, "--capture-age", "1s")
	s.start()
	eventually(t, "all to be too old", func() bool {
		s.ask("GET", "/messages", "", 200, &all)
		return all.Total == 0
	})
	s.terminate()
	s.check()
}

// The page shows mail as it comes, and opens it.
func TestCapturePage(t *testing.T) {
	t.Parallel()
	s := startCapture(t)
	v := s.visit()
	v.sees("#list", "No mail.")
	s.swaks("--from", "a@b.example", "--to", "ann@one.example,bob@two.example", "--h-Subject", "It shows by itself", "--attach", "@/etc/services")
	v.sees(".row .subject", "It shows by itself")
	v.sees(".count", "1 message")
	v.picture("captured")
	v.click(".row a", "article")
	v.sees(".fields", "bob@two.example")
	v.picture("captured-message")
	want, err := exec.CommandContext(t.Context(), "cat", "/etc/services").Output()
	if got := v.saves(".files li:nth-child(1) a"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the attachment has %d octets, %v", len(got), err)
	}
	v.click("button.danger", ".note.good")
	v.do(chromedp.WaitVisible("#list"))
	v.sees("#list", "No mail.")
}
