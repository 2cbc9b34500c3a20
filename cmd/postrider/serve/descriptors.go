package serve

import (
	"fmt"
	"log/slog"
	"math"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/server"
	"postrider/storage/lsm"
)

// The open files that a process may have are shared out at the start, so that clients and
// next hops, which come as they like, leave the store and the spools theirs. With fewer
// than all wants, there are fewer of everything, and connections get what the others leave.

// fileShare divides the open files among their uses.
type fileShare struct {
	connections int // from clients: limits.connections
	relay       int // to other hosts: relay.connections
	questions   int // to name servers
	store       int
	beside      int // health checks, commands, mail of local users, uploads
}

// uploadFiles are for uploads in the web client that come in at the same moment.
const uploadFiles = 256

// usualStore is enough for a store with no more than some thousand files.
const usualStore = 1024 + lsm.FilesBeside

// leastFiles is the minimum to run with.
var leastFiles = fileShare{connections: 8, relay: 4, questions: 4, store: 40, beside: 16}

// wantedFiles is the share for a whole configuration.
func wantedFiles(cfg *config.Config) fileShare {
	s := fileShare{
		connections: cfg.Limits.Connections, relay: cfg.Relay.Connections, questions: server.MostQuestions,
		store: lsm.DefaultOpenFiles + lsm.FilesBeside, beside: 160,
	}
	if len(cfg.Web.Listen)+len(cfg.Web.ListenTLS) > 0 {
		s.beside += reserveHTTP + uploadFiles
	}
	return s
}

// all is the open files of a share: limits.connections does not count lingering
// connections.
func (s fileShare) all() int {
	return conn.MaxConns(s.connections) + s.relay + s.questions + s.store + s.beside
}

// filesOfProcess is what is open without any client, besides the store: standard streams,
// pollers, the listening sockets twice.
func filesOfProcess(cfg *config.Config) int {
	listeners := len(cfg.SMTP.Listen) + len(cfg.SMTP.ListenTLS) + len(cfg.Submission.Listen) + len(cfg.Submission.ListenTLS) +
		len(cfg.POP3.Listen) + len(cfg.POP3.ListenTLS) + len(cfg.Web.Listen) + len(cfg.Web.ListenTLS) + len(cfg.TLS.ACMEListen)
	return 32 + 3*loops(cfg) + 2*listeners
}

// shareFiles shares a limit of open files out.
func shareFiles(cfg *config.Config, limit int) (fileShare, error) {
	want, least, process := wantedFiles(cfg), leastFiles, filesOfProcess(cfg)
	room := limit - process
	if want.all() <= room {
		return want, nil
	}
	if least.all() > room {
		return least, fmt.Errorf("the limit of open files is %d, but at least %d are needed: %s", limit, process+least.all(), raiseFiles(process+want.all()))
	}
	part := func(least, share, want int) int { return min(want, max(least, room/share)) }
	s := fileShare{
		relay: part(least.relay, 10, want.relay), questions: part(least.questions, 16, want.questions),
		beside: part(least.beside, 10, want.beside), connections: least.connections,
	}
	s.store = min(want.store, max(least.store, min(2*room/5, max(usualStore, room/16))))
	others := []struct{ has, least, want *int }{
		{&s.store, &least.store, &want.store}, {&s.relay, &least.relay, &want.relay},
		{&s.questions, &least.questions, &want.questions}, {&s.beside, &least.beside, &want.beside},
	}
	for _, o := range others { // in small rooms the least of some is more than its part
		*o.has -= min(*o.has-*o.least, max(0, s.all()-room))
	}
	s.connections = min(want.connections, max(least.connections, conn.ConnectionsIn(room-(s.all()-conn.MaxConns(s.connections)))))
	for _, o := range others {
		*o.has += min(*o.want-*o.has, room-s.all())
	}
	return s, nil
}

// cuts describes what a share has less of than the configuration wants; "": nothing.
func (s fileShare) cuts(cfg *config.Config, limit int) string {
	want := wantedFiles(cfg)
	var cut []string
	say := func(what string, has, want int) {
		if has < want {
			cut = append(cut, fmt.Sprintf("%s %d instead of %d", what, has, want))
		}
	}
	say("limits.connections is", s.connections, want.connections)
	say("relay.connections is", s.relay, want.relay)
	say("questions to name servers are", s.questions, want.questions)
	say("files of the store that are kept open are", s.store, want.store)
	if len(cut) == 0 {
		return ""
	}
	return fmt.Sprintf("the limit of open files is %d: %s; %s", limit, strings.Join(cut, ", "), raiseFiles(filesOfProcess(cfg)+want.all()))
}

// raiseFiles describes how to raise the limit.
func raiseFiles(to int) string {
	return fmt.Sprintf("set LimitNOFILE=%d in the unit (or \"ulimit -n %[1]d\" before the start), or a lower limits.connections", to)
}

// openFileLimit is the limit of open files, after it was raised as far as the process may.
func openFileLimit() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("the limit of open files: %w", err)
	}
	if l.Cur < l.Max {
		if raised := (unix.Rlimit{Cur: l.Max, Max: l.Max}); unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			l = raised
		}
	}
	return int(min(l.Cur, math.MaxInt32)), nil //nolint:gosec // bounded
}

// setFilesAside shares the open files of this process out, and takes what it can't have
// off the configuration.
func setFilesAside(cfg *config.Config, log *slog.Logger) (fileShare, error) {
	limit, err := openFileLimit()
	if err != nil {
		return fileShare{}, sysexits.Unavailable.With(err)
	}
	s, err := shareFiles(cfg, limit)
	if err != nil {
		return s, sysexits.Config.With(err)
	}
	if cuts := s.cuts(cfg, limit); cuts != "" {
		log.Warn(cuts)
	}
	cfg.Limits.Connections, cfg.Relay.Connections = s.connections, s.relay
	cfg.Process = config.Process{Questions: s.questions, StoreFiles: max(s.store-lsm.FilesBeside, lsm.MinOpenFiles)}
	return s, nil
}

// shareFilesAgain takes off a new configuration what the process can't have beside the files
// that its store and its resolver were given at the start.
func shareFilesAgain(cfg *config.Config, start fileShare, log *slog.Logger) error {
	limit, err := openFileLimit()
	if err != nil {
		return sysexits.Unavailable.With(err)
	}
	s, err := shareFiles(cfg, limit)
	if err != nil {
		return sysexits.Config.With(err)
	}
	kept := max(start.store-s.store, 0) + max(start.questions-s.questions, 0)
	s.store, s.questions = start.store, start.questions
	s.connections = max(s.connections-kept, leastFiles.connections)
	if cuts := s.cuts(cfg, limit); cuts != "" {
		log.Warn(cuts)
	}
	cfg.Limits.Connections, cfg.Relay.Connections = s.connections, s.relay
	return nil
}
