// Package loop runs connections on event loops: gnet's poller and socket code
// underneath, our own connection layer above. It knows nothing of mail.
package loop
