// Package router decides where an address goes. It is pure: it asks the store's
// [storage.Directory], which answers from memory, and does nothing else; so it
// may be called on an event loop, by any number of goroutines at once.
//
// # How an address is resolved
//
// Case never matters ([Fold]). An address without a domain, at the name of this
// host, or at an address literal of this host ("[127.0.0.1]") belongs to the
// default domain. In a domain that is ours these are tried in turn:
//
//  1. the name as it is written, so that an account or an alias may itself hold
//     the delimiter: "c++" is found before "c" is tried;
//  2. the name up to the first delimiter: "alice+shop" is alice;
//  3. the domain's catch-all, the alias with the empty name.
//
// "postmaster" is always taken (RFC 5321 section 4.5.1): in place of step 3 it
// is looked for in the default domain, and at last falls to the first account
// there is, by domain and name. A server makes an account "postmaster" that
// nobody can log in to at its first start, so the last resort is for stores
// where that was removed. Only a store without any account refuses postmaster.
//
// An alias expands to its targets, each resolved by the same steps, as often as
// needed. An address met twice is expanded once, so a circle ends by itself:
// what stands beside it still gets its mail, and only an alias of which nothing
// is left is a [Loop]. Targets that are gone are passed over in the same way.
// A target in a domain of somebody else is kept as it is: the mail is sent on.
// An expansion of more than [MaxExpansion] addresses is a Loop as well.
//
// Mail for domains of others has a next hop ([Transports]): by rules for the
// destination, then for the sender, then the smarthost, then MX.
//
// "%" and "!" are letters like others: nothing is routed by them.
//
// # Dropped
//
// Lookup takes strings, so a plain hit costs one small allocation, for the
// folded address. Pointing a string at a shared buffer would save it, but a
// directory that keeps the name as a cache key would then keep our buffer.
package router
