package inspect

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/host/otlp"
	"postrider/engine/host/perms"
	"postrider/engine/relay/agent"
)

// asUser finds the user that the server will run as.
func (r *report) asUser() {
	name := r.Server.User
	if name == "" {
		return
	}
	u, err := r.world.Find(name)
	if err != nil {
		r.fault("server.user", "%v", err)
		return
	}
	if r.world.UID != 0 && r.world.UID != u.UID {
		r.warn("server.user", "only root can become %s, and this command runs as user %d: start the server as root or as %s", name, r.world.UID, name)
	}
	r.user = &u
}

// files looks at the files that keys name.
func (r *report) files() {
	for _, c := range r.TLS.Certificates {
		r.certificate(c)
	}
	r.certificateNames()
	if r.TLS.ClientCertificates != config.CertificatesOff {
		r.authorities("tls.client_roots", r.TLS.ClientRoots)
	}
	r.authorities("relay.tls_roots", r.Relay.TLSRoots)
	r.secretFile("relay.passwords", r.Relay.Passwords, func(path string) error {
		_, err := agent.ReadPasswords(path)
		return err
	})
	r.secretFile("web.otlp_headers", r.Web.OTLPHeaders, func(path string) error {
		_, err := otlp.ReadHeaders(path)
		return err
	})
}

// secretFile looks at a file that the server reads with read, whose errors begin with the key.
func (r *report) secretFile(key, path string, read func(path string) error) {
	if path == "" || !r.readable(key, path) {
		return
	}
	if err := read(path); err != nil {
		r.fault(key, "%s", strings.TrimPrefix(err.Error(), key+": "))
	}
}

// readable reports whether the server can read a file, and notes why not.
func (r *report) readable(key, path string) bool {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fault(key, "%s does not exist: correct the path (relative ones begin at the directory that the server is started in), or make the file", path)
		return false
	case errors.Is(err, fs.ErrPermission) && r.world.UID != 0:
		r.warn(key, "this user can't look at %s: run the check as root or as the server's user", path)
		return false
	case err != nil:
		r.fault(key, "%s can't be looked at: %v", path, err)
		return false
	case info.IsDir():
		r.fault(key, "%s is a directory: name a file", path)
		return false
	}
	if r.user != nil {
		if blocked := closedTo(*r.user, path); blocked != "" {
			r.fault(key, "%s can't be read by %s, the user of server.user, because of the mode of %s: chown or chmod it, or add the user to its group", path, r.user.Name, blocked)
			return false
		}
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) && r.world.UID != 0 {
		r.warn(key, "this user can't read %s: run the check as root or as the server's user", path)
		return false
	}
	if err != nil {
		r.fault(key, "%s can't be read: %v", path, err)
		return false
	}
	f.Close()
	return true
}

// closedTo is the directory or file that keeps a user from reading path; "": none does.
func closedTo(u privilege.User, path string) string {
	path, err := filepath.Abs(path)
	if err != nil || u.UID == 0 {
		return ""
	}
	want := fs.FileMode(4)
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil || !permits(u, info, want) {
			return path
		}
		if path == "/" {
			return ""
		}
		want = 1 // directories: pass through
	}
}

// permits reports whether the mode of a file gives a user the bits of want.
func permits(u privilege.User, info fs.FileInfo, want fs.FileMode) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return true
	case int(owner.Uid) == u.UID:
		mode >>= 6
	case int(owner.Gid) == u.GID || slices.Contains(u.Groups, int(owner.Gid)):
		mode >>= 3
	}
	return mode&want == want
}

// authorities looks at a file of certificate authorities.
func (r *report) authorities(key, path string) {
	if path == "" || !r.readable(key, path) {
		return
	}
	text, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
		r.fault(key, "%s has no certificate of an authority in PEM (-----BEGIN CERTIFICATE-----): correct the path", path)
	}
}

// certificate looks at a certificate and its key.
func (r *report) certificate(c config.CertFile) {
	const key = "tls.certificates"
	if !r.readable(key, c.Cert) || c.Key != c.Cert && !r.readable(key, c.Key) {
		return
	}
	chain, problem := readChain(c.Cert)
	if problem == "" {
		problem = keyProblem(c.Key)
	}
	if problem != "" {
		r.fault(key, "%s", problem)
		return
	}
	if err := perms.SharedSecret(c.Key); err != nil {
		r.fault(key, "the private key is not secret: %v", err)
	}
	if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		r.fault(key, "the key in %s does not belong to the certificate in %s (%v): name the files of one pair, the certificate of the server first in its file", c.Key, c.Cert, strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	leaf, now := chain[0], r.world.Now
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		r.fault(key, "the certificate in %s expired on %s: renew it", c.Cert, leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		r.fault(key, "the certificate in %s is not valid before %s: look at the clock of this machine, or wait", c.Cert, leaf.NotBefore.UTC().Format(time.DateOnly))
	case left < 14*24*time.Hour:
		r.warn(key, "the certificate in %s expires on %s: renew it", c.Cert, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if len(chain) == 1 && leaf.Issuer.String() != leaf.Subject.String() && !r.knownIssuer(leaf) {
		r.warn(key, "%s has one certificate, issued by %q, which this machine does not know: append the certificates of the issuers (the \"chain\" or \"full chain\"), or clients refuse it", c.Cert, leaf.Issuer.CommonName)
	}
}

// knownIssuer reports whether the system trusts the issuer of a certificate.
func (r *report) knownIssuer(leaf *x509.Certificate) bool {
	_, err := leaf.Verify(x509.VerifyOptions{CurrentTime: r.world.Now})
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return !unknown
}

// readChain reads the certificates of a file, and says what is wrong with it.
func readChain(path string) (chain []*x509.Certificate, problem string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err.Error()
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Sprintf("a certificate in %s is damaged: %v: get the file again", path, err)
		}
		chain = append(chain, c)
	}
	if len(chain) > 0 {
		return chain, ""
	}
	if _, err := x509.ParseCertificate(text); err == nil {
		return nil, fmt.Sprintf("%s is in DER form: turn it into PEM (openssl x509 -inform der -in %[1]s -out NEW)", path)
	}
	return nil, fmt.Sprintf("%s has no certificate in PEM (-----BEGIN CERTIFICATE-----): the first file is the certificate, the second its key", path)
}

// keyProblem says what is wrong with a file as that of a private key; "": nothing.
func keyProblem(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return fmt.Sprintf("%s has no private key in PEM (-----BEGIN PRIVATE KEY-----): name the file of the key after that of the certificate", path)
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return fmt.Sprintf("the key in %s is encrypted, and a server can't ask for its password: decrypt it (openssl pkey -in %[1]s -out NEW)", path)
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return ""
		}
	}
}

// certificateNames warns when no certificate is for the name of the host.
func (r *report) certificateNames() {
	var all []string
	for _, c := range r.TLS.Certificates {
		chain, problem := readChain(c.Cert)
		if problem != "" || chain[0].VerifyHostname(r.Server.Hostname) == nil {
			return
		}
		all = append(all, chain[0].DNSNames...)
	}
	if len(r.TLS.Certificates) > 0 {
		r.warn("tls.certificates", "no certificate is for server.hostname, %s, but for %s: clients that ask for that name refuse it", r.Server.Hostname, strings.Join(all, ", "))
	}
}
