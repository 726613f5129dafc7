package doctor

import (
	"io/fs"
	"math"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// machineOf returns the tree of files of a machine in testdata.
func machineOf(t *testing.T, name string) fs.FS {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	tree := make(fstest.MapFS)
	for _, f := range archive.Files {
		tree[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return tree
}

func TestRead(t *testing.T) {
	nothing := Readings{
		FilesHard: Unknown, NrOpen: Unknown, FileMax: Unknown, FilesUsed: Unknown, MemoryAvailable: Unknown,
		Cgroup:    Cgroup{MemoryLimit: Unknown, MemoryLeft: Unknown, PIDsLeft: Unknown},
		PageBytes: 4096, TCPPressurePages: Unknown, TCPPages: Unknown, Somaxconn: Unknown, SynBacklog: Unknown,
		NetBacklog: Unknown, Syncookies: Unknown, ConntrackMax: Unknown, ConntrackCount: Unknown, PortLow: Unknown,
		PortHigh: Unknown, EpollWatches: Unknown, ThreadsMax: Unknown, TCPWriteBytes: Unknown, TCPReadBytes: Unknown,
		Overcommit: Unknown, DiskFree: Unknown,
	}
	container := nothing
	container.FilesHard, container.NrOpen, container.MemoryAvailable = math.MaxInt64, 1073741816, 64000000<<10
	container.Cgroup = Cgroup{MemoryLimit: 2147483648, MemoryLeft: 2147483648 - 100000000, PIDsLeft: 500}
	container.HugePages, container.Filesystem = "never", "overlay"
	onVolume := container
	onVolume.Filesystem = "xfs"
	machine := Readings{
		FilesHard: 20000, NrOpen: 1048576, FileMax: math.MaxInt64, FilesUsed: 1173, MemoryAvailable: 23880000 << 10,
		// the middle group leaves less than this process's own
		Cgroup:    Cgroup{MemoryLimit: 4000000000, MemoryLeft: 3600000000, PIDsLeft: Unknown, CPUs: 1.5},
		PageBytes: 4096, TCPPressurePages: 383866, TCPPages: 17, Somaxconn: 4096, SynBacklog: 2048, NetBacklog: 1000,
		Syncookies: 1, ConntrackMax: 262144, ConntrackCount: 175, PortLow: 32768, PortHigh: 60999,
		EpollWatches: 5491489, ThreadsMax: 192729, TCPWriteBytes: 4194304, TCPReadBytes: 33554432, HugePages: "madvise",
		Overcommit: 2,
		Swap:       true, Filesystem: "tmpfs", DiskFree: Unknown,
	}
	onRoot := machine
	onRoot.Filesystem = "ext4"
	for _, c := range []struct {
		name string
		root fs.FS
		data string
		want Readings
	}{
		{"version 1", machineOf(t, "v1"), "/var/lib/paper tape/data", machine},
		{"version 1, another disk", machineOf(t, "v1"), "/var/lib/paper tapes", onRoot},
		{"version 2", machineOf(t, "v2"), "/data2", container},
		{"version 2, on a volume", machineOf(t, "v2"), "/data", onVolume},
		{"a group without limits", fstest.MapFS{
			"proc/self/cgroup":         {Data: []byte("4:memory:/\n")},
			"proc/self/mountinfo":      {Data: []byte("35 31 0:32 / /cg rw,relatime - cgroup cgroup rw,memory\n")},
			"cg/memory.limit_in_bytes": {Data: []byte("9223372036854771712\n")},
			"cg/memory.usage_in_bytes": {Data: []byte("900000000\n")},
		}, "/data", nothing},
		{"nothing to read", fstest.MapFS{}, "/data", nothing},
		{"nonsense", fstest.MapFS{
			"proc/self/limits":          {Data: []byte("Max open files")},
			"proc/self/mountinfo":       {Data: []byte("1 2 3\n\n22 27 0:21 / /x\\04 rw - - \n")},
			"proc/self/cgroup":          {Data: []byte("4:memory\n:::\n")},
			"proc/net/sockstat":         {Data: []byte("TCP: inuse many\n")},
			"proc/sys/fs/nr_open":       {Data: []byte("lots\n")},
			"proc/sys/net/ipv4/tcp_mem": {Data: []byte("1\n")},
		}, "/data", nothing},
	} {
		if got := Read(c.root, c.data); got.differs(&c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

// differs compares what Read fills in.
func (r *Readings) differs(other *Readings) bool {
	a, b := *r, *other
	a.Taken, b.Taken = nil, nil
	return len(r.Taken) > 0 || !same(&a, &b)
}

// TestReadThisMachine checks that the machine that tests run on tells something.
func TestReadThisMachine(t *testing.T) {
	r := Read(thisMachine(t), t.TempDir())
	if r.FilesHard <= 0 || r.NrOpen <= 0 || r.MemoryAvailable <= 0 || r.TCPPressurePages <= 0 || r.Filesystem == "" {
		t.Errorf("it says %+v", r)
	}
}
