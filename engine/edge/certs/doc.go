// Package certs loads, makes and renews the certificates for the server's listeners.
//
//	m, err := certs.New(certs.Settings{...})
//	m.Start()                  // reloads changed files, renews
//	m.Configs().SMTPS          // a listener's tls.Config
//	m.Configure(set)           // other settings; listeners take Configs again
//	m.Reload()                 // on SIGHUP
//	defer m.Close()
//
// # Sources
//
// The certificates come from the operator's files ([Settings].Files), or else from a file
// with a self-signed certificate, which the server makes ([SelfSigned]). Certificates by
// ACME (package acme) come first where both have a name. All are in one tlsio.CertStore, a
// snapshot that is replaced as a whole when a file changes ([Watch]). Open sessions go on.
//
// # Session tickets
//
// [TicketKeys] are in a file, so that clients can resume their TLS sessions after a restart.
// A new key is made each day.
//
// # Goroutines
//
// One goroutine does all this. ACME may take minutes and has a goroutine of its own, which
// nothing waits for, not even Close. Errors are logged, and the certificates before them
// stay in use. A damaged file that the server has made is renamed and made again.
package certs
