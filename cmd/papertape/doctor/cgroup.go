package doctor

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Cgroup is what the control groups around this process leave it. A number is Unknown where none limits it.
type Cgroup struct {
	MemoryLimit, MemoryLeft int64 // bytes, of the group that leaves the least
	PIDsLeft                int64
	CPUs                    float64 // a quota of the processors; 0: none
}

// mount is a line of mountinfo.
type mount struct {
	root, point, kind string
	options           []string // of the filesystem: for a version 1 hierarchy its controllers
}

func (t tree) mounts() (list []mount) {
	for line := range strings.Lines(t.text("proc/self/mountinfo")) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-") // id parent device root point options [tags] - kind source options
		if dash < 6 || len(f) < dash+4 {
			continue
		}
		list = append(list, mount{
			root: unescape(f[3]), point: unescape(f[4]), kind: f[dash+1], options: strings.Split(f[dash+3], ","),
		})
	}
	return list
}

// unescape replaces what the kernel writes for blanks and backslashes in a path: \040.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// filesystemOf returns the kind of the filesystem that a path is on: that of the deepest mount above it.
func filesystemOf(mounts []mount, of string) (kind string) {
	deepest := -1
	for _, m := range mounts {
		if len(m.point) >= deepest && isWithin(of, m.point) { // a later mount hides an earlier one
			deepest, kind = len(m.point), m.kind
		}
	}
	return kind
}

func isWithin(of, directory string) bool {
	return of == directory || strings.HasPrefix(of, strings.TrimSuffix(directory, "/")+"/")
}

// cgroup reads the limits of every group from this process's own up to the root of each hierarchy.
func (t tree) cgroup(mounts []mount) Cgroup {
	c := Cgroup{MemoryLimit: Unknown, MemoryLeft: Unknown, PIDsLeft: Unknown}
	for _, dir := range t.groups(mounts, "memory") {
		t.memory(dir, &c)
	}
	for _, dir := range t.groups(mounts, "pids") {
		if most := t.number(path.Join(dir, "pids.max"), 0); most != Unknown {
			c.PIDsLeft = least(c.PIDsLeft, most-max(t.number(path.Join(dir, "pids.current"), 0), 0))
		}
	}
	for _, dir := range t.groups(mounts, "cpu") {
		quota, period := t.number(path.Join(dir, "cpu.max"), 0), t.number(path.Join(dir, "cpu.max"), 1)
		if quota == Unknown {
			quota = t.number(path.Join(dir, "cpu.cfs_quota_us"), 0) // -1 is no quota
			period = t.number(path.Join(dir, "cpu.cfs_period_us"), 0)
		}
		if cpus := float64(quota) / float64(period); quota > 0 && period > 0 && (c.CPUs == 0 || cpus < c.CPUs) {
			c.CPUs = cpus
		}
	}
	return c
}

// memory takes one group's limit into account, in the files of either version. What the group has of files is given
// back when it is needed.
func (t tree) memory(dir string, c *Cgroup) {
	limit, used := t.number(path.Join(dir, "memory.max"), 0), t.number(path.Join(dir, "memory.current"), 0)
	cached := t.labelled(path.Join(dir, "memory.stat"), "inactive_file ", 1)
	if used == Unknown {
		limit = t.number(path.Join(dir, "memory.limit_in_bytes"), 0)
		used = t.number(path.Join(dir, "memory.usage_in_bytes"), 0)
		cached = t.labelled(path.Join(dir, "memory.stat"), "total_inactive_file ", 1)
	}
	const unlimited = math.MaxInt64 - 1<<20 // version 1 has no word for it: a number near the highest
	if limit == Unknown || limit > unlimited {
		return
	}
	left := max(limit-max(used-max(cached, 0), 0), 0)
	if c.MemoryLeft == Unknown || left < c.MemoryLeft {
		c.MemoryLimit, c.MemoryLeft = limit, left
	}
}

func least(a, b int64) int64 {
	if a == Unknown {
		return b
	}
	return min(a, b)
}

// groups returns the directories of the groups that a controller has this process in, its own first. A controller
// belongs to a hierarchy of version 1, or else to that of version 2.
func (t tree) groups(mounts []mount, controller string) []string {
	own, unified := "", ""
	for line := range strings.Lines(t.text("proc/self/cgroup")) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // 4:memory:/path, or 0::/path
		switch {
		case len(f) < 3:
		case f[1] == "":
			unified = f[2]
		case slices.Contains(strings.Split(f[1], ","), controller):
			own = f[2]
		}
	}
	for _, m := range mounts {
		if own != "" && m.kind == "cgroup" && slices.Contains(m.options, controller) {
			return upFrom(&m, own)
		}
	}
	for _, m := range mounts {
		if unified != "" && m.kind == "cgroup2" {
			return upFrom(&m, unified)
		}
	}
	return nil
}

// upFrom returns the directories from a group to the top of a mount. A container may see the group's name of outside,
// and have only the group itself mounted.
func upFrom(m *mount, group string) (dirs []string) {
	below := "/"
	if rest, ok := strings.CutPrefix(group, strings.TrimSuffix(m.root, "/")); ok && !strings.HasPrefix(group, "/..") {
		below = path.Join("/", rest)
	}
	top := strings.TrimPrefix(m.point, "/")
	for ; ; below = path.Dir(below) {
		dirs = append(dirs, path.Join(top, below))
		if below == "/" {
			return dirs
		}
	}
}
