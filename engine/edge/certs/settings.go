package certs

import (
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
)

// Settings are the settings for a Manager.
type Settings struct {
	Data  string           // the directory for files that the server makes
	Files []tlsio.CertFile // the operator's certificates; none: a self-signed one
	Names []string         // the names in the self-signed certificate

	ACME        acme.Options // no domains: no certificates by ACME; Folder is made from Data
	ReloadEvery time.Duration

	MinVersion     uint16 // the lowest TLS version
	SMTPMinVersion uint16 // the lowest TLS version for SMTP from other hosts

	Clients     ClientCertificates
	ClientRoots string // a file with the authorities for client certificates

	Log *slog.Logger
}

// ClientCertificates tells whether clients are asked for certificates.
type ClientCertificates uint8

// The values of ClientCertificates. Demanded applies where clients log in, and not to SMTP
// from other hosts.
const (
	NotAsked ClientCertificates = iota
	Asked
	Demanded
)

// Configs are the configurations for the listeners.
type Configs struct {
	SMTP  *tls.Config // STARTTLS at port 25
	SMTPS *tls.Config // implicit TLS, and submission
	POP3  *tls.Config // STLS
	POP3S *tls.Config
	HTTPS *tls.Config
}

// Files in the data directory.
const (
	SelfSignedFile = "tls-selfsigned.pem"
	TicketFile     = "tls-tickets"
	acmeFolder     = "acme"
)

func (s *Settings) file(name string) string { return filepath.Join(s.Data, name) }
