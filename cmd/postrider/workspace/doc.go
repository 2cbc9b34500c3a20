// Package workspace is what the commands of postrider share. A folder of cmd/postrider
// has the commands about one thing and imports this package; this one imports none of
// them.
//
// A command that works at the store takes the flags --config and --data from a Target,
// and calls With:
//
//	var t workspace.Target
//	...
//	return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
//		a, err := ws.AccountNamed(args[0])
//		...
//	})
//
// The configuration is the file of --config, else $POSTRIDER_CONFIG, else
// /etc/postrider.toml if it exists. With asks the running server at its admin socket, and
// takes the settings from it (Workspace.Config); where none runs it opens the store itself,
// as the user that the server runs as, until the function returns. The command does not see
// the difference, unless it asks Running. A store is made only by "serve", and with --create
// by commands that call FlagsWithCreate and ask for Create.
//
// Errors end in an exit code: their own (package sysexits), else the code for their kind
// (ExitCode). An error without a kind is a usage error: IOError gives it the code for
// input and output.
//
// Other parts: Root, Group, AtLeast, AtMost and Exactly for the tree of commands; PrintJSON,
// Bar and ReadPassword for terminals and scripts; Roster and DeadWords for commands that
// look at all aliases; PortHolder, Process and Servers, which name processes in errors.
package workspace
