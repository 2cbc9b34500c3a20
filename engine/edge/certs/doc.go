// Package certs has the certificates of the server's listeners: where they come from, and
// when they change.
//
//	m, err := certs.New(certs.Settings{...})
//	m.Start()                  // looks for new files, renews
//	m.Configs.SMTPS            // the tls.Config of a listener; it stays the same
//	m.Reload()                 // SIGHUP
//	defer m.Close()
//
// # Sources
//
// The operator's files ([Settings].Files), or else one that the server signs itself and
// keeps in a file ([SelfSigned]); and those of an authority by ACME (package acme), which
// come first where both have a name. All are in one tlsio.CertStore, a snapshot that is
// replaced as a whole: a renewal is a file that changes ([Watch]), and sessions go on.
//
// # Keys of tickets
//
// [TicketKeys] live in a file, so clients resume their TLS sessions after a restart. A new
// key is made each day.
//
// # Goroutines
//
// One goroutine does all of it. ACME may take minutes and has one of its own, which
// nothing waits for, not even Close. What fails is logged, and what was there before
// serves on. A file of ours that is damaged on the disk is renamed and made again.
package certs
