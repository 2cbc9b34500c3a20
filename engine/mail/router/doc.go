// Package router decides where an address goes. It is pure: it asks the store's
// [storage.Directory], which answers from memory, and does nothing else; so it
// may be called on an event loop, by any number of goroutines at once.
//
// # How an address is resolved
//
// Domains are compared in one form, with A-labels (package address): a domain that is
// written with U-labels is the same. An address without a domain, at the name of this
// host, or at an address literal of this host ("[127.0.0.1]") belongs to the
// default domain. In a domain that is ours case does not matter, nor do composed and
// decomposed letters; the local part of a mailbox elsewhere is passed on as it is
// written (RFC 5321 section 2.4). In a domain of ours these are tried in turn:
//
//  1. the name as it is written, so that an account or an alias may itself hold
//     the delimiter: "c++" is found before "c" is tried;
//  2. the name up to the first delimiter: "alice+shop" is alice;
//  3. the domain's catch-all, the alias with the empty name.
//
// A domain alias is another name of a domain: an address in it is the address of the same
// name there, for mail, for logins and as a sender.
//
// "postmaster" is always taken (RFC 5321 section 4.5.1): in place of step 3 it
// is looked for in the default domain, and at last falls to the first account
// there is, by domain and name. A server makes an account "postmaster"
// without a login at its first start, so the last resort is for stores
// where that was removed. Only a store without any account refuses postmaster.
//
// An alias expands to its targets, each resolved by the same steps, as often as
// needed. An address met twice is expanded once, so a circle ends by itself. A target
// in a domain that is not ours is kept as it is: the mail is forwarded. Aliases that were
// stored by programs that folded all targets have lost the case of names elsewhere: one
// that has to have it must be made again.
//
// An account may have an alias of its own name that names itself: "bob: bob,
// bob@example.net" keeps a copy in bob's maildrop and sends one on.
//
// A member that leads to no mailbox is [Dead]: it does not exist, or it is an alias that
// leads to itself alone. The other members get the mail. [Placement] puts the
// dead member into the queue as a recipient of its own: the attempt to deliver it fails,
// with a line in the log and a notification to the sender ("expanded from"), as with
// Postfix. That ends, since no dead member has a route to a mailbox. A member that
// leads back to its alias is not dead if the alias reaches a recipient: what it would get,
// they get. An alias with dead members only is Unknown; one that leads in a circle, or
// to more than [MaxExpansion] addresses, is a [Loop].
//
// # Mail that comes back
//
// Aliases of two servers may name each other, and no directory shows it. So the copy
// that an alias sends elsewhere has a field "Delivered-To: <the alias>" before it, as
// with Postfix's local(8): the address that mail came for, and not the aliases of
// aliases on the way (frozen_delivered_to). Tags and capitals are left out, letters
// beyond ASCII are in xtext; of a catch-all it is the address that it caught. A message
// that has this field is not sent elsewhere by the alias again ([Placement.Been]): the
// recipient as a whole is refused, with [ForwardLoop]. Its maildrops here had the
// message when it came for the first time. Aliases of aliases are looked at too: one at
// which the message has been is a dead member, the others get the mail. An alias that
// leads to maildrops only sends nothing elsewhere, and so it can be in no loop: it is
// always gone through.
//
// SMTP replies so at the end of the message, with 554 5.4.6, when all recipients are such
// aliases. If others are among them the message is taken, and the loop is told of by a
// notification. A loop ends at its first alias that is met again, so there are at most
// as many copies as ways through aliases that are all different. A message with more
// than 32 Delivered-To fields is in a loop for each alias.
//
// An account that takes no mail (storage.NoMail) is refused as a recipient, with [Disabled],
// and one whose maildrop is full with [Full]. As members of an alias they get the mail by way
// of the queue, where the first fails and the second is tried again; the others get it at
// once.
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
