// Package tlspolicy decides what TLS a connection to another mail host has to show,
// and whether a certificate shows it. It does no I/O and reads no clock: records,
// policies, certificates and the time are handed in.
//
// # Levels
//
// What the operator demands of a destination, least first (relay.tls, relay.tls_default):
//
//	none     no TLS, whatever the host offers and its domain wishes
//	may      TLS where it is offered; without it the mail goes in clear text
//	encrypt  TLS, without a check of the host's certificate
//	verify   TLS with a certificate for the name of the host, from a known authority
//	dane     TLS with a certificate that TLSA records name (RFC 7672)
//
// A level is the least that is demanded. From "may" on, what the domain itself asks
// for counts as well: TLSA records, and an MTA-STS policy (RFC 8461) that is to be
// enforced. Against an attacker on the way, "may" and "encrypt" protect from
// reading along only, "verify" for a destination by MX is worth as much as the
// answer to the MX question: use it for next hops that are named, such as a
// smarthost, or dane, or leave it to the domain's own policy.
//
// # Which one counts
//
// TLSA records come first: a host that has some has to match them, and the MTA-STS
// policy of the domain is not looked at for that host (RFC 8461 section 2). If
// none of the records is usable here, TLS is required, with any certificate
// (RFC 7672 section 2.2). After a failed lookup the host is not used
// for now: an attacker could have made the lookup fail. With an MTA-STS policy, hosts
// that it does not list are not used. One in testing is checked, told of in the log,
// and changes nothing.
//
// # Certificates
//
// Usages 2 (DANE-TA) and 3 (DANE-EE) count; 0 and 1 mean nothing for SMTP (RFC 7672
// section 3.1.3). With usage 3 neither names nor dates are looked at, with usage 2
// both, and the name may be that of the host or of the domain. The authority that a
// record of usage 2 names has to be sent by the host, unless the record holds all of
// it.
//
// # Left out
//
// TLSA records at the name that the alias of a mail host leads to (RFC 7672 section
// 2.2.2): mail hosts must not be aliases (RFC 5321 section 5.1). TLS-RPT (RFC 8460).
package tlspolicy
