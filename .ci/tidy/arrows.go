package tidy

import (
	"strings"
)

const module = "postrider/"

// machines are the pure rooms under engine: sessions and decisions, with no I/O.
var machines = []string{"engine/protocol/smtpd", "engine/protocol/pop3d", "engine/protocol/smtpclient", "engine/mail/router", "engine/relay/queue", "engine/admit/policy", "engine/relay/tlspolicy", "engine/edge/limit"}

// only lists what is known to few: an import, and the rooms that may have it.
var only = []struct {
	path  string
	rooms []string
	why   string
}{
	{"postrider/storage/lsm", []string{"cmd", "storage/lsm"}, "only cmd picks an engine of the store; take a storage.Store"},
	{"github.com/cockroachdb/pebble", []string{"storage/lsm"}, "only storage/lsm knows Pebble"},
	{"github.com/klauspost/compress", []string{"storage/lsm", "engine/mail/transfer", "engine/host/history"}, "only storage/lsm, engine/host/history for its own files, and engine/mail/transfer for the files of others, know compression"},
	{"github.com/panjf2000/gnet", []string{"engine/edge/loop"}, "only engine/edge/loop knows gnet"},
}

// imports checks the arrows: cmd -> engine -> machines -> codec, storage beside; and those
// between the wings of engine.
func imports(f *file) (found []finding) {
	for p, pos := range f.imported() {
		for _, rule := range only {
			// A test may use a real store.
			if in(p, rule.path) || strings.HasPrefix(p, rule.path+"/v") {
				if !in(f.folder, rule.rooms...) && !(f.isTest && rule.path == "postrider/storage/lsm") {
					found = append(found, f.at(pos, "imports %s: %s", p, rule.why))
				}
			}
		}
		why := wrongArrow(f, p)
		if room, ours := strings.CutPrefix(p, module); why == "" && ours {
			why = upward(f.folder, room, f.isTest)
		}
		if why != "" {
			found = append(found, f.at(pos, "imports %s: %s", p, why))
		}
	}
	return found
}

// wrongArrow says why the room of f may not import p, or nothing.
func wrongArrow(f *file, p string) string {
	room, ours := strings.CutPrefix(p, module)
	external := !ours && strings.Contains(strings.SplitN(p, "/", 2)[0], ".")
	testing := f.isTest && (external || in(room, "engine/protocol/transcript", "engine/sim", "storage/storetest"))
	switch {
	case testing:
		return ""
	case in(f.folder, "codec/address") && (p == "golang.org/x/net/idna" || p == "golang.org/x/text/unicode/norm"):
		// Tables of Unicode, as pure as the codec itself.
	case in(f.folder, "codec"):
		if external || ours && !in(room, "codec") {
			return "codec imports only codec and the standard library"
		}
	case in(f.folder, machines...):
		if ours && !in(room, "codec", f.folder) && room != "storage" && !in(room, machines...) || external {
			return "a pure machine imports only codec, the store's contract (package storage) and the standard library"
		}
	case in(f.folder, "engine/edge/loop"):
		if ours && !in(room, "engine/edge/loop") {
			return "engine/edge/loop knows nothing of mail"
		}
	case in(f.folder, "engine/edge/dns"):
		if ours && !in(room, "codec", "engine/edge/dns", "engine/edge/limit") {
			return "engine/edge/dns asks name servers; it knows no next hops and no relay (engine/relay/mx does)"
		}
	case in(f.folder, "engine/admit/login") && in(room, "engine/config", "engine/edge/loop", "engine/protocol/smtpd", "engine/protocol/pop3d", "engine/front/web"):
		return "engine/admit/login judges claims; it knows no sessions and no configuration: hand in what it needs"
	case in(f.folder, "engine/admit/screen", "engine/relay/mtasts", "engine/mail/dkim") && in(room, "engine/relay/mx"):
		return "SPF, DKIM, DMARC and MTA-STS ask engine/edge/dns; only the relay needs the hosts of next hops"
	case f.folder == "engine/edge/conn":
		if ours && !in(room, "codec/proxy", "engine/edge/conn", "engine/edge/loop", "engine/edge/tlsio", "engine/edge/limit") {
			return "engine/edge/conn knows no protocol, no store and no settings: an Edge or a Port hands in what it needs"
		}
	case in(f.folder, "engine"):
		if ours && in(room, "cmd", "bench") {
			return "arrows go cmd -> engine, and bench stands apart"
		}
	case in(f.folder, "storage"):
		if ours && !in(room, "codec", "storage") {
			return "storage imports only codec and storage"
		}
	case in(f.folder, "cmd/sysexits"):
		if ours || external {
			return "cmd/sysexits has the codes alone: it imports only the standard library"
		}
	case in(f.folder, "cmd/postrider"):
		return betweenRooms(f, room)
	case in(f.folder, "bench"):
		if ours && !in(room, "codec", "bench") {
			return "bench measures over TCP only; it imports neither engine nor storage"
		}
	}
	return ""
}

// betweenRooms says why f, a file of cmd/postrider, may not import room. A folder below
// cmd/postrider has the commands about one thing; main joins them. They are over
// workspace, and none imports another. Tests join folders as main does.
func betweenRooms(f *file, room string) string {
	to, ok := strings.CutPrefix(room, "cmd/postrider/")
	if !ok || f.isTest {
		return ""
	}
	to, _, _ = strings.Cut(to, "/")
	from, _, _ := strings.Cut(strings.TrimPrefix(f.folder+"/", "cmd/postrider/"), "/")
	switch {
	case to == "shelltest":
		return "shelltest is for tests"
	case from == "", from == to, to == "workspace":
		return ""
	}
	return "a folder of cmd/postrider imports only workspace: put what both need there, or have main.go hand it in"
}

// impure are the packages of the standard library that do I/O or read a clock.
var impure = []string{"net", "os", "syscall", "os/exec", "os/signal", "net/http", "log", "log/slog", "io/ioutil"}

// pure holds codecs and machines to bytes and values: no I/O, no clock, no
// goroutine. Tests are free.
func pure(f *file) (found []finding) {
	if f.isTest || !in(f.folder, append([]string{"codec"}, machines...)...) {
		return nil
	}
	imported := f.imported()
	for _, p := range impure {
		if pos, ok := imported[p]; ok {
			found = append(found, f.at(pos, "imports %s: a pure package does no I/O; hand in what it needs", p))
		}
	}
	return append(found, clocksAndGoroutines(f)...)
}
