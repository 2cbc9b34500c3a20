// Package address has the one form in which the names of mailboxes are compared
// and kept: domains as A-labels, local parts in lower case and NFC. It also reads domains
// that people write.
//
// # Domains
//
// A domain may be written in capitals, with U-labels ("bücher.example"), with
// A-labels ("xn--bcher-kva.example"), or with decomposed letters: it is one
// domain (RFC 5890 section 2.3.2.5). [FoldDomain] gives the form for comparing
// all of them: A-labels in lower case, by the non-transitional processing of
// UTS 46. That form also is what DNS, TLS and hosts without SMTPUTF8 understand.
// A domain that has no A-label, since IDNA forbids one of its characters or
// since it would be too long, keeps its letters, folded and in NFC; so every
// domain has a form, and mail for strange names on the net is not lost. [IsDNS]
// tells which.
//
// # Local parts
//
// Only the host that a mailbox belongs to may say that capitals mean nothing in
// its local part (RFC 5321 section 2.4). So [FoldLocal] is for mailboxes of this
// host alone; for another host, [Key] folds the domain and keeps the local part.
//
// # Names that people write
//
// [ParseDomain] checks the name of a domain that an operator wrote, or that a caller wants
// to ask DNS about, and folds it. Its error says what is wrong with the text.
//
// # What it promises
//
// All functions are pure, linear in their input, and give back their argument,
// without an allocation, where it is folded ASCII already. Folding twice changes
// nothing. Text that is not UTF-8 is folded as ASCII.
package address
