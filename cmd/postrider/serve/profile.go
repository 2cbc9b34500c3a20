package serve

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"

	"postrider/cmd/sysexits"
)

// fileFor is the file that the profile of this process goes to: each process of a server that
// was restarted has one of its own.
func (o *origin) fileFor(file string) string {
	if o.by == nil || file == "" {
		return file
	}
	for n := 2; ; n++ {
		next := file + "." + strconv.Itoa(n)
		if _, err := os.Lstat(next); err != nil {
			return next
		}
	}
}

// startProfile begins a CPU profile that stop writes out; no file, no profile.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, sysexits.CantCreate.With(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, sysexits.CantCreate.With(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// allocProfileRate is one sample in so many octets allocated: a hundred times as many as
// Go takes by itself, at a cost that can be felt (some per cent), so that a run of some
// thousand messages shows where each allocation comes from.
const allocProfileRate = 4 << 10

// startAllocProfile has allocations sampled from here on; written writes them out. No
// file, no profile.
func startAllocProfile(file string) (written func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, sysexits.CantCreate.With(err)
	}
	runtime.MemProfileRate = allocProfileRate
	return func() error {
		runtime.GC() // the profile is that of the last collection
		return sysexits.IOErr.With(errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close()))
	}, nil
}
