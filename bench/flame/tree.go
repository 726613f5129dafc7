package flame

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// node is a function, as called by its parent. The total includes the functions that it
// called.
type node struct {
	name     string
	category Category
	total    int64 // nanoseconds of CPU
	callees  map[string]*node
}

// treeOf merges the stacks of a profile into a tree. Below its root are their outermost
// functions.
func treeOf(p *profile.Profile) *node {
	cpu := cpuIndex(p)
	root := &node{name: "all", category: Other}
	for _, s := range p.Sample {
		root.total += s.Value[cpu]
		n := root
		for _, name := range slices.Backward(stackOf(s)) {
			n = n.call(name)
			n.total += s.Value[cpu]
		}
	}
	return root
}

func (n *node) call(name string) *node {
	if n.callees == nil {
		n.callees = make(map[string]*node)
	}
	callee := n.callees[name]
	if callee == nil {
		callee = &node{name: name, category: calleeCategory(n.category, name)}
		n.callees[name] = callee
	}
	return callee
}

// sorted returns the callees in order of name, so that similar profiles are drawn alike.
func (n *node) sorted() []*node {
	list := make([]*node, 0, len(n.callees))
	for _, name := range slices.Sorted(maps.Keys(n.callees)) {
		list = append(list, n.callees[name])
	}
	return list
}

// depth returns the depth of a tree, ignoring functions that took less than least.
func (n *node) depth(least int64) int {
	deepest := 0
	for _, callee := range n.callees {
		if callee.total >= least {
			deepest = max(deepest, callee.depth(least))
		}
	}
	return deepest + 1
}

// short returns a function's name with only the last element of its package's path, such as
// gateway.handler.OnTraffic. If that element is a version, such as v2, the one before it is
// the package's name.
func short(name string) string {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return name
	}
	path, rest := name[:i], name[i+1:]
	if version, function, ok := strings.Cut(rest, "."); ok && len(version) > 1 && version[0] == 'v' &&
		strings.Trim(version[1:], "0123456789") == "" {
		return path[strings.LastIndexByte(path, '/')+1:] + "." + function
	}
	return rest
}
