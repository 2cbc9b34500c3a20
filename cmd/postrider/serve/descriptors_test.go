package serve

import (
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
)

// Whatever the limit is, what is given out is never more than it, nothing has less than it
// needs or more than it wants, and a higher limit takes nothing away from connections.
func TestOpenFilesAreSharedOut(t *testing.T) {
	for _, set := range []func(c *config.Config){
		func(*config.Config) {},
		func(c *config.Config) { c.Web.Listen = []string{"127.0.0.1:0"} },
		func(c *config.Config) { c.Limits.Connections, c.Relay.Connections = 8, 4 },
		func(c *config.Config) { c.Limits.Connections, c.Relay.Connections = 10_000_000, 100_000 },
		func(c *config.Config) { c.Limits.Connections = 100 },
	} {
		cfg := config.Default()
		set(cfg)
		want, before, started := wantedFiles(cfg), 0, 0
		for limit := 10; limit < 30_000_000; limit += 1 + limit/50 {
			s, err := shareFiles(cfg, limit)
			if err != nil {
				if started > 0 || limit > 400 {
					t.Fatalf("limit %d: %v", limit, err)
				}
				if !strings.Contains(err.Error(), "LimitNOFILE=") {
					t.Errorf("%v", err)
				}
				continue
			}
			started++
			for _, n := range [][3]int{
				{min(leastFiles.connections, want.connections), s.connections, want.connections}, {min(leastFiles.relay, want.relay), s.relay, want.relay},
				{leastFiles.questions, s.questions, want.questions}, {leastFiles.store, s.store, want.store}, {leastFiles.beside, s.beside, want.beside},
			} {
				if n[1] < n[0] || n[1] > n[2] {
					t.Errorf("limit %d: %d is not from %d to %d: %+v", limit, n[1], n[0], n[2], s)
				}
			}
			if used := s.all() + filesOfProcess(cfg); used > limit {
				t.Errorf("limit %d: %d are given out: %+v", limit, used, s)
			}
			if s.connections < before {
				t.Errorf("limit %d: %d connections, and %d with fewer files", limit, s.connections, before)
			}
			before = s.connections
			if all := s == want; all != (s.cuts(cfg, limit) == "") && s.beside == want.beside {
				t.Errorf("limit %d: %+v of %+v: %q", limit, s, want, s.cuts(cfg, limit))
			}
			if want.all()+filesOfProcess(cfg) <= limit && s != want {
				t.Errorf("limit %d: %+v of %+v", limit, s, want)
			}
		}
		if before != want.connections {
			t.Errorf("%d connections in the end, want %d", before, want.connections)
		}
	}
	for files := range 100_000 {
		if n := conn.ConnectionsIn(files); n > 0 && conn.MaxConns(n) > files {
			t.Fatalf("%d connections are %d files of %d", n, conn.MaxConns(n), files)
		}
	}
}
