package server

import (
	"net/http"
	"net/http/pprof"

	"postrider/engine/front/web"
)

// profiles adds the profiles of the running process to mux (web.profiling).
func profiles(mux *http.ServeMux, hosts web.Hosts) {
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle("GET "+path, hosts.Only(h))
	}
}
