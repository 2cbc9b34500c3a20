// Package mtasts finds and keeps the MTA-STS policies of other domains (RFC 8461):
// the TLS that a domain requires for its mail, published in DNS and by HTTPS.
//
//	policies := mtasts.New(ctx, mtasts.Options{Names: resolver, Hosts: hosts, Roots: roots})
//	finding := policies.For(ctx, "example.org")
//
// # When a policy is fetched
//
// A domain that has one announces it by a TXT record, whose id changes with the policy.
// The policy is fetched when there is none in the cache or the id is another, and
// again after a day, or half of its max_age if that is less: in the background of
// sessions, which go on with what they have. A fetch that fails is not repeated for
// 5 minutes. While there is neither a record nor a fetch that succeeds, the policy
// in the cache counts to the end of its max_age; without one the domain has none.
//
// # What it costs a session
//
// For a domain without a policy a question to DNS, whose answer the resolver keeps.
// For the first message to a domain with a policy the fetch, but not longer than
// Options.Patience: after that, mail goes on without the policy, and the fetch goes
// on as well, for the next message. Of fetches there are 8 at a time; a policy has
// at most 64 KiB, redirections are not followed, and the certificate has to be valid
// for mta-sts.DOMAIN.
//
// # What it does not do
//
// Policies are in memory only, of 10,000 domains: after a restart an attacker that
// can keep us from fetching one has that first chance again. Reports (RFC 8460) are
// not sent.
package mtasts
