package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/privilege"
)

// Finding is one thing that is wrong or worth a look.
type Finding struct {
	Warning bool   `json:"warning"`
	Key     string `json:"key"`            // "server.data"
	File    string `json:"file,omitempty"` // that sets the key; "": the default or a flag does
	Line    int    `json:"line,omitempty"`
	Text    string `json:"text"` // what is wrong, and what to do
}

// String is the finding as compilers write theirs.
func (f Finding) String() string {
	place, kind := "", ""
	if f.File != "" {
		place = f.File + ": "
	}
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d: ", f.File, f.Line)
	}
	if f.Warning {
		kind = "warning: "
	}
	if f.Key == "" {
		return place + kind + f.Text
	}
	return place + kind + f.Key + ": " + f.Text
}

// World is the machine that a configuration is looked at on.
type World struct {
	UID    int                                       // user of this process
	Find   func(name string) (privilege.User, error) // finds users
	Own    []string                                  // addresses of the server that runs on the data directory
	Holder func(addr string) string                  // which process has an address, in words; "": none that can be told
	Memory int64                                     // octets; 0: not known
	Now    time.Time
}

// report gathers findings about one configuration.
type report struct {
	*config.Config
	world World
	user  *privilege.User // that the server runs as; nil: this one
	found []Finding
}

// Local looks at everything on this machine.
func Local(cfg *config.Config, w World) []Finding {
	r := &report{Config: cfg, world: w}
	r.asUser()
	r.files()
	r.dataDirectory()
	r.folders()
	r.listeners()
	r.relaying()
	r.routes()
	r.logins()
	r.names()
	r.sizes()
	slices.SortStableFunc(r.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return r.found
}

// fault notes what has to be mended.
func (r *report) fault(key, format string, args ...any) {
	r.note(false, key, fmt.Sprintf(format, args...))
}

// warn notes what is worth a look.
func (r *report) warn(key, format string, args ...any) {
	r.note(true, key, fmt.Sprintf(format, args...))
}

func (r *report) note(warning bool, key, text string) {
	f := r.FaultOf(key, text)
	r.found = append(r.found, Finding{Warning: warning, Key: key, File: f.File, Line: f.Line, Text: text})
}
