// Package strangers attacks one server with everything at once, as unknown clients do, and
// sends the server's own mail meanwhile. It reports how long the own mail has taken, and
// how much memory the process has held.
//
// # Use
//
// A Run needs a server that is up, with a domain, one account and a configuration as in
// [Config]: the addresses of the server's own networks are trusted, its name server is the
// one of the Run, and its relay connects to the port that the hosts of the Run listen on.
// `bench/run strangers` starts one in a network of its own (where strangers have addresses
// of their own too) and under a limit of memory; the end-to-end tests do it for seconds on
// the loopback network.
//
// # What strangers do
//
// See the table in attacks.go. Each attack is some goroutines that do one thing until the
// time is over: transactions of 1,000 recipients that stay open, bodies of empty lines and
// headers that are costly to check, empty multiparts, signatures whose keys silent name
// servers have, NOTIFY=SUCCESS to hosts that answer an octet a second, commands an octet a
// second, sessions and HTTP connections that say nothing, forms without an end, wrong
// passwords, handshakes without an end. A refusal or a cut connection is right: the attack
// goes on with the next one.
//
// # What is measured
//
// The own mail goes on in a closed loop: submission with a login, relay from the own
// networks to a sink (until its 250, and until the sink has it), polls by POP3, and the
// health check. Own mail that was acknowledged has to be there in the end.
package strangers
