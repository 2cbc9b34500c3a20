package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Fault is one thing wrong in a file or between keys.
type Fault struct {
	File string // "" when it comes from no file
	Line int    // 0: of no single line
	Key  string // "" when the file can't be read as TOML
	Text string // what is wrong, and what is allowed
	Err  error  // why the file can't be read; nil: it could be
}

// Unwrap returns why the file can't be read.
func (f *Fault) Unwrap() error { return f.Err }

func (f *Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Load reads the file over the defaults; with an empty path it returns the
// defaults. The error joins every Fault of the file, in the order of its lines,
// or tells why the file can't be read. The keys are not yet checked together:
// see Check.
func Load(path string) (*Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Fault{File: path, Text: "no such file; \"postrider config defaults\" writes one to begin with"}
	}
	if err != nil {
		return nil, &Fault{File: path, Text: reason(err), Err: err}
	}
	c.file = path
	if err := c.read(path, string(text)); err != nil {
		return nil, err
	}
	return c, nil
}

// reason is what went wrong with a file, without its name.
func reason(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// read takes in the text of a file.
func (c *Config) read(path, text string) error {
	var groups map[string]toml.Primitive
	md, err := toml.Decode(text, &groups)
	if err != nil || !c.hasAnyGroup(groups) {
		if other := foreign(path, text); other != nil {
			return other
		}
	}
	if err != nil {
		f := faultAt(path, "", err)
		f.Text += "; a line is [GROUP] or KEY = VALUE, with text in quotes: hostname = \"mx.example.org\""
		return f
	}
	var faults []*Fault
	for name, group := range groups {
		var values map[string]toml.Primitive
		if !c.hasGroup(name) {
			err := md.PrimitiveDecode(group, &spot{func(any) error { return c.noSuchGroup(name) }})
			faults = append(faults, faultAt(path, name, err))
			continue
		}
		// The decoder leaves a map empty, without an error, where the file has no table.
		err := md.PrimitiveDecode(group, &spot{isTable})
		if err == nil {
			err = md.PrimitiveDecode(group, &values)
		}
		if err != nil {
			faults = append(faults, faultAt(path, name, err))
			continue
		}
		for base, value := range values {
			if f := c.take(md, path, name+"."+base, value); f != nil {
				faults = append(faults, f)
			}
		}
	}
	slices.SortFunc(faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// take sets one key, and keeps its line.
func (c *Config) take(md toml.MetaData, path, name string, value toml.Primitive) *Fault {
	var wrong error
	// Only an error of the decoder tells the line.
	err := md.PrimitiveDecode(value, &spot{func(raw any) error {
		wrong = c.set(name, raw)
		return errPlace
	}})
	at := faultAt(path, name, err)
	if wrong != nil {
		at.Text = wrong.Error()
		return at
	}
	c.Key(name).line = at.Line
	return nil
}

// errPlace makes the decoder tell where it is.
var errPlace = errors.New("here")

// spot hands a value of the file to set: the decoder adds the line to the error.
type spot struct{ set func(raw any) error }

// UnmarshalTOML implements toml.Unmarshaler.
func (s *spot) UnmarshalTOML(raw any) error { return s.set(raw) }

func isTable(raw any) error {
	if _, ok := raw.(map[string]any); !ok {
		return fmt.Errorf("expected the table of a group, got %s", tomlWord(raw))
	}
	return nil
}

func faultAt(path, key string, err error) *Fault {
	f := &Fault{File: path, Key: key, Text: err.Error()}
	var pe toml.ParseError
	if errors.As(err, &pe) {
		f.Line, f.Text = pe.Position.Line, pe.Message
	}
	return f
}

func (c *Config) set(name string, raw any) error {
	k := c.Key(name)
	if k == nil {
		return c.noSuchKey(name)
	}
	if err := k.value.set(raw); err != nil {
		return k.explain(err)
	}
	return nil
}

// explain adds to err what is allowed.
func (k *Key) explain(err error) error {
	why := ""
	if k.RFC != "" {
		why = " (" + k.RFC + ")"
	}
	return fmt.Errorf("%w; allowed: %s%s", err, k.Allowed(), why)
}

// FaultOf is a fault of a key, at the line of the file that sets it.
func (c *Config) FaultOf(key, text string) *Fault {
	f := &Fault{Key: key, Text: text}
	if k := c.Key(key); k != nil && k.line > 0 {
		f.File, f.Line = c.file, k.line
	}
	return f
}

// Check looks at the keys together, once file and flags are in.
func (c *Config) Check() error {
	var errs []error
	fault := func(key, format string, args ...any) {
		errs = append(errs, c.FaultOf(key, fmt.Sprintf(format, args...)))
	}
	if len(c.Server.Domains) == 0 {
		fault("server.domains", "at least one domain is needed: the default domain")
	}
	implicit := len(c.SMTP.ListenTLS) + len(c.POP3.ListenTLS) + len(c.Submission.ListenTLS)
	if len(c.SMTP.Listen)+len(c.POP3.Listen)+len(c.Submission.Listen)+implicit == 0 {
		fault("smtp.listen", "neither smtp.listen nor pop3.listen has an address: nothing to serve; name one, as \"0.0.0.0:25\"")
	}
	for _, l := range slices.Concat(c.SMTP.Listen, c.SMTP.ListenTLS) {
		if l.Auth == AuthRequired && c.Auth.Mechanisms == 0 {
			fault("smtp.listen", "%s requires a login and auth.mechanisms is empty: no client could send mail there", l)
		}
	}
	if implicit+len(c.Web.ListenTLS) > 0 && !c.HasTLS() {
		fault("tls.certificates", "smtp.listen_tls, pop3.listen_tls, submission.listen_tls and web.listen_tls need a certificate: give one here, or set tls.self_signed")
	}
	if len(c.TLS.ACMEDomains) > 0 && (len(c.TLS.ACMEListen) == 0 || !c.TLS.ACMETerms) {
		fault("tls.acme_domains", "tls.acme_listen has to have an address that the authority can reach (\"0.0.0.0:80\"), and tls.acme_accept_terms has to be true")
	}
	if c.TLS.ClientCertificates != CertificatesOff && (c.TLS.ClientRoots == "" || !c.HasTLS()) {
		fault("tls.client_roots", "tls.client_certificates needs certificates of the server, and here the file of the certificate authorities")
	}
	if len(c.Submission.Listen)+len(c.Submission.ListenTLS) > 0 && c.Auth.Mechanisms == 0 {
		fault("auth.mechanisms", "submission.listen needs a way to log in: name a mechanism")
	}
	if c.POP3.Expire != 0 && c.POP3.Expire < day {
		fault("pop3.expire", "%s is too short: mail would be deleted before most users fetch it, and clients are told of whole days; give at least 1d, or 0 for ever", writeDuration(int64(c.POP3.Expire)))
	}
	if c.Auth.Memory < int64(c.Auth.Threads)*8*kib {
		fault("auth.argon2_memory", "%s is less than 8KiB for each of %d threads (RFC 9106 section 3.1)", writeOctets(c.Auth.Memory), c.Auth.Threads)
	}
	return errors.Join(errs...)
}
