package server

import (
	"net/http"
	"net/http/pprof"
)

// profiles adds the profiles of the running process to mux (web.profiling).
func profiles(mux *http.ServeMux, only func(http.Handler) http.Handler) {
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle("GET "+path, only(h))
	}
}
