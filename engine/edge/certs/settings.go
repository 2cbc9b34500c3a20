package certs

import (
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
)

// Settings are what a Manager needs to know.
type Settings struct {
	Data  string           // the directory of the files that we make
	Files []tlsio.CertFile // of the operator; none: one that is signed by itself
	Names []string         // that the latter is for

	ACME        acme.Options // no domains: no certificates by ACME; Folder is made from Data
	ReloadEvery time.Duration

	MinVersion     uint16 // of TLS
	SMTPMinVersion uint16 // of TLS with hosts that bring mail

	// Clients says whether clients are asked for certificates, and ClientRoots is the file
	// of the authorities that theirs have to be from.
	Clients     ClientCertificates
	ClientRoots string

	Log *slog.Logger
}

// ClientCertificates says whether clients have to show a certificate.
type ClientCertificates uint8

// The values of ClientCertificates. It is demanded where clients log in, not of hosts that
// bring mail.
const (
	NotAsked ClientCertificates = iota
	Asked
	Demanded
)

// Configs are the configurations of the listeners.
type Configs struct {
	SMTP  *tls.Config // STARTTLS at port 25
	SMTPS *tls.Config // implicit, and where clients submit mail
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
