package bench

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// Usage is what a process has used up so far, read from /proc (Linux).
type Usage struct {
	CPU     time.Duration // user and system, its waited-for children included
	RSS     int64         // octets resident now
	PeakRSS int64         // octets resident at most
	PSS     int64         // octets, shared pages divided among the processes that share them
}

// clockTick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux port of Go.
const clockTick = 10 * time.Millisecond

// ReadUsage returns what the process pid has used.
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

// Cost is what processes used while a run went on.
type Cost struct {
	CPU        time.Duration `json:"cpu_ns"`
	PerMessage time.Duration `json:"cpu_per_message_ns"`
	RSS        int64         `json:"rss"`      // afterwards
	PeakRSS    int64         `json:"peak_rss"` // the largest process's
	PSS        int64         `json:"pss"`      // afterwards, of all
}

// Since is the cost of messages between before and u.
func (u Usage) Since(before Usage, messages int) *Cost {
	cpu := u.CPU - before.CPU
	return &Cost{cpu, cpu / time.Duration(max(messages, 1)), u.RSS, u.PeakRSS, u.PSS}
}

// ReadTree adds up what the processes pids and all their descendants have used.
// A descendant that ended counts if its parent waited for it.
func ReadTree(pids ...int) (Usage, error) {
	children, err := childrenOf()
	if err != nil {
		return Usage{}, err
	}
	var total Usage
	seen := make(map[int]bool)
	for queue := pids; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		if seen[pid] {
			continue
		}
		seen[pid] = true
		u, err := ReadUsage(pid)
		if err != nil {
			if slices.Contains(pids, pid) {
				return total, err
			}
			continue // it has just ended
		}
		total.CPU += u.CPU
		total.RSS += u.RSS
		total.PSS += u.PSS
		total.PeakRSS = max(total.PeakRSS, u.PeakRSS)
		queue = append(queue, children[pid]...)
	}
	return total, nil
}

// childrenOf lists all processes by their parent.
func childrenOf() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		var state string
		var parent int
		if _, err := fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children, nil
}
