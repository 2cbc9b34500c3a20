// Package queue has the commands about mail to other hosts: what waits and why, what to
// do with it, and where mail for an address would go.
//
//	queue   list, show, cat, stat; hold, release, requeue, flush, bounce, delete
//	mailq   queue list, under its old name
//	postqueue, postsuper, postcat, qshape   as in Postfix, octet for octet
//	why     the life of a message
//	route   where mail for an address would go
//
// Listings have the formats that Postfix prints (postqueue -p and -j, postcat -q, qshape),
// so that scripts for Postfix can read them; where the commands of our own say more than
// Postfix, those under its names print what Postfix prints. The end-to-end test
// TestNamesOfPostfix compares them with a real Postfix. Package selection reads which entries a
// command works on, package entry prints entries, package life prints a message's history.
//
// A change is carried out while the queue is read, in steps of the store, so that a
// change of a large queue is never in memory. What was done before an error stays done,
// and is counted.
package queue
