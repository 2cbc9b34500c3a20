package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Usage is what a process has used up so far, read from /proc (Linux).
type Usage struct {
	CPU     time.Duration // user and system, its waited-for children included
	RSS     int64         // octets resident now
	PeakRSS int64         // octets resident at most
	PSS     int64         // octets, shared pages divided among those who share them
}

// clockTick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux port of Go.
const clockTick = 10 * time.Millisecond

// ReadUsage tells what the process pid has used.
func ReadUsage(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The second field is the command in parentheses and may hold spaces.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return Usage{}, fmt.Errorf("process %d: /proc stat has %d fields", pid, len(fields))
	}
	var u Usage
	for _, ticks := range fields[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseInt(string(ticks), 10, 64)
		if err != nil {
			return Usage{}, err
		}
		u.CPU += time.Duration(n) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	u.RSS, u.PeakRSS = kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")
	if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		u.PSS = kilobytes(rollup, "\nPss:")
	}
	return u, nil
}

// kilobytes returns the value of a line such as "VmRSS:   1234 kB" in octets.
func kilobytes(file []byte, name string) int64 {
	_, rest, _ := bytes.Cut(file, []byte(name))
	var n int64
	fmt.Sscan(string(rest[:min(len(rest), 40)]), &n)
	return n << 10
}
