// Package acmetest is a small authority for tests: enough of an ACME server (RFC 8555) for
// clients to get certificates. It makes the http-01 challenge, but does not verify its
// clients' signatures.
package acmetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Authority is a running authority.
type Authority struct {
	URL   string         // the URL of the directory
	Roots *x509.CertPool // a pool with the authority's certificate

	server *httptest.Server
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	find   func(domain string) string // "host:port" where a domain answers

	mu     sync.Mutex
	orders []*order
	refuse bool
	asked  int
}

type order struct {
	domain, token string
	valid, failed bool
	chain         []byte // PEM
}

// Start runs an authority until the test ends. find returns where a domain's port 80 is.
func Start(t testing.TB, find func(domain string) string) *Authority {
	t.Helper()
	a := &Authority{find: find, Roots: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acmetest"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Roots.AddCert(a.cert)
	a.server = httptest.NewServer(a.routes())
	a.URL = a.server.URL + "/directory"
	t.Cleanup(a.server.Close)
	return a
}

// Refuse sets whether all requests are refused from now on. (After a 503 the client in
// x/crypto would retry for five minutes.)
func (a *Authority) Refuse(all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = all
}

// Issued is how many certificates were issued for a domain.
func (a *Authority) Issued(domain string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.orders {
		if o.domain == domain && o.chain != nil {
			n++
		}
	}
	return n
}

// Asked is how many requests came, without those for nonces and authorizations: after an order
// has ended, its client looks at the authorizations once more, at a time of its own.
func (a *Authority) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *Authority) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/directory", func(w http.ResponseWriter, _ *http.Request) {
		u := a.server.URL
		reply(w, http.StatusOK, map[string]any{"newNonce": u + "/nonce", "newAccount": u + "/account", "newOrder": u + "/orders",
			"revokeCert": u + "/revoke", "keyChange": u + "/key", "meta": map[string]any{"termsOfService": u + "/terms"}})
	})
	mux.HandleFunc("/nonce", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/account", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", a.server.URL+"/account/1")
		reply(w, http.StatusCreated, map[string]any{"status": "valid"})
	})
	mux.HandleFunc("/account/1", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"status": "valid"})
	})
	mux.HandleFunc("/orders", a.newOrder)
	mux.HandleFunc("/order/{n}", a.with(a.showOrder))
	mux.HandleFunc("/authz/{n}", a.with(a.showAuthz))
	mux.HandleFunc("/challenge/{n}", a.with(a.challenge))
	mux.HandleFunc("/finalize/{n}", a.with(a.finalize))
	mux.HandleFunc("/cert/{n}", a.with(func(w http.ResponseWriter, _ *http.Request, o *order, _ int) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(o.chain)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		refuse := a.refuse
		if !strings.HasPrefix(r.URL.Path, "/authz/") && r.URL.Path != "/nonce" {
			a.asked++
		}
		a.mu.Unlock()
		w.Header().Set("Replay-Nonce", rand.Text())
		if refuse {
			reply(w, http.StatusForbidden, map[string]any{"type": "urn:ietf:params:acme:error:unauthorized", "detail": "not today"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// payload reads the payload in a request's JWS.
func payload(r *http.Request, v any) error {
	var jws struct{ Payload string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&jws); err != nil {
		return err
	}
	octets, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil || len(octets) == 0 {
		return err
	}
	return json.Unmarshal(octets, v)
}

// with finds the order for a request.
func (a *Authority) with(f func(w http.ResponseWriter, r *http.Request, o *order, n int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var n int
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, err := fmt.Sscan(r.PathValue("n"), &n); err != nil || n < 0 || n >= len(a.orders) {
			http.NotFound(w, r)
			return
		}
		f(w, r, a.orders[n], n)
	}
}

func (a *Authority) newOrder(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Identifiers []struct{ Value string } }
	if err := payload(r, &asked); err != nil || len(asked.Identifiers) != 1 {
		http.Error(w, "one identifier", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.orders)
	a.orders = append(a.orders, &order{domain: asked.Identifiers[0].Value, token: rand.Text()})
	w.Header().Set("Location", fmt.Sprint(a.server.URL, "/order/", n))
	reply(w, http.StatusCreated, a.shown(n))
}

func (a *Authority) shown(n int) map[string]any {
	o, u := a.orders[n], a.server.URL
	v := map[string]any{"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": o.domain}},
		"authorizations": []string{fmt.Sprint(u, "/authz/", n)}, "finalize": fmt.Sprint(u, "/finalize/", n)}
	switch {
	case o.chain != nil:
		v["status"], v["certificate"] = "valid", fmt.Sprint(u, "/cert/", n)
	case o.valid:
		v["status"] = "ready"
	}
	return v
}

func (a *Authority) showOrder(w http.ResponseWriter, _ *http.Request, _ *order, n int) {
	w.Header().Set("Location", fmt.Sprint(a.server.URL, "/order/", n))
	reply(w, http.StatusOK, a.shown(n))
}

func (a *Authority) showAuthz(w http.ResponseWriter, _ *http.Request, o *order, n int) {
	status := o.status()
	reply(w, http.StatusOK, map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": o.domain},
		"challenges": []any{map[string]string{"type": "http-01", "status": status, "url": fmt.Sprint(a.server.URL, "/challenge/", n), "token": o.token}}})
}

// status is the status of the order's authorization and challenge.
func (o *order) status() string {
	switch {
	case o.valid:
		return "valid"
	case o.failed:
		return "invalid"
	}
	return "pending"
}

// challenge makes the http-01 challenge at the domain's port 80 (RFC 8555 section 8.3).
func (a *Authority) challenge(w http.ResponseWriter, r *http.Request, o *order, n int) {
	where := a.find(o.domain)
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+where+"/.well-known/acme-challenge/"+o.token, nil)
	if err == nil {
		q.Host = o.domain
		var got *http.Response
		if got, err = http.DefaultClient.Do(q); err == nil {
			text, _ := io.ReadAll(io.LimitReader(got.Body, 1000))
			got.Body.Close()
			o.valid = got.StatusCode == http.StatusOK && strings.HasPrefix(string(text), o.token+".")
		}
	}
	o.failed = !o.valid
	status := o.status()
	reply(w, http.StatusOK, map[string]string{"type": "http-01", "status": status, "url": fmt.Sprint(a.server.URL, "/challenge/", n), "token": o.token})
}

func (a *Authority) finalize(w http.ResponseWriter, r *http.Request, o *order, n int) {
	var asked struct{ CSR string }
	err := payload(r, &asked)
	der, err2 := base64.RawURLEncoding.DecodeString(asked.CSR)
	request, err3 := x509.ParseCertificateRequest(der)
	if err != nil || err2 != nil || err3 != nil || !o.valid {
		http.Error(w, "not valid", http.StatusForbidden)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: o.domain}, DNSNames: []string{o.domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, request.PublicKey, a.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	o.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	o.chain = append(o.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	w.Header().Set("Location", fmt.Sprint(a.server.URL, "/order/", n))
	reply(w, http.StatusOK, a.shown(n))
}
