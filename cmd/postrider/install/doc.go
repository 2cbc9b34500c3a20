// Package install has the command that prints what systemd needs to run the server. The
// files are beside this one; the command fills in the path of the program. The packages
// are built with them too (cmd/postrider/install/package/build).
package install
