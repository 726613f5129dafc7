package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/bench/scenario"
)

// The introductions of the sections.
const (
	connectionsText = "A closed loop: every client sends its next order when it has the answer to the one before. " +
		"At one outstanding request the kernel's work for a socket is most of it, whoever serves it. The echo " +
		"servers do no business at all: they read a frame and write it back."
	pipelinedText = "Every client has 32 orders under way and sends the next ones together when answers come " +
		"together: what coalescing is worth. A run goes on for a second before it is looked at: by then ours keeps " +
		"as much history of its accounts as it ever will."
	stalledText = "A closed loop, and one client in a hundred that logs in to an account that trades and then does " +
		"not read what is pushed to it. The latency is that of the clients that read."
)

// builder makes the sections.
type builder struct{ results *scenario.Results }

// picture adds a picture, unless svg is nil.
func (s *Section) picture(name, caption string, svg []byte) {
	if svg != nil {
		s.Pictures = append(s.Pictures, Picture{Name: name, Caption: caption, SVG: svg})
	}
}

// column is a value of the records.
type column struct{ head, value, unit string }

// orders makes a section with a table for each cell, and a picture of the processor time.
func (b *builder) orders(name, title, text string) Section {
	s := Section{Title: title, Text: []string{text}}
	columns := []column{
		{"answers a second", "rate", ""}, {"CPU, µs each", "cpu_us", ""}, {"context switches each", "switches", ""},
		{"in the kernel", "system_share", "%"},
		{"p50", "p50_ms", "ms"}, {"p99", "p99_ms", "ms"}, {"allocations each", "mallocs", ""}, {"RSS", "rss", "MB"},
		{"goroutines", "goroutines_all", ""},
		{"GC's share", "gc", "%"}, {"generator, cores", "generator", ""},
	}
	for _, cell := range b.results.Cells(name) {
		t := Table{Caption: cell, Head: []string{""}}
		for _, c := range columns {
			t.Head = append(t.Head, c.head)
		}
		var picture []bar
		for _, contender := range b.results.Contenders(name, cell) {
			row := []string{contender}
			for _, c := range columns {
				row = append(row, b.cell(name, cell, contender, c))
			}
			t.Rows = append(t.Rows, row)
			if note := b.results.Note(name, cell, contender); note != "" {
				s.Text = append(s.Text, fmt.Sprintf("%s, %s: %s.", contender, cell, note))
			}
			if v := b.results.Spread(name, cell, contender, "cpu_us"); v.N > 0 {
				picture = append(picture, bar{contender, v.Median})
			}
		}
		s.Tables = append(s.Tables, t)
		s.picture(name+"-"+fileName(cell), "Processor time of the server for each request, "+cell+"; shorter is better",
			bars(axes{title: "CPU of the server for each request: " + cell, x: "µs; shorter is better"}, picture))
	}
	return s
}

// cell formats a figure of a table. The first two columns also show the range.
func (b *builder) cell(scenarioName, cell, contender string, c column) string {
	v := b.results.Spread(scenarioName, cell, contender, c.value)
	if v.N == 0 {
		return "no answers"
	}
	switch {
	case c.value == "rate" || c.value == "cpu_us":
		return spread(v, "")
	case c.unit == "%":
		return number(100*v.Median) + " %"
	case c.unit == "MB":
		return megabytes(v.Median)
	}
	return withUnit(number(v.Median), c.unit)
}

// document makes the first document's table and its picture.
func (b *builder) document() Section {
	s := Section{Title: "The first document's table",
		Text: []string{"Mean time to an answer, in milliseconds, by the number of clients and by the pause that " +
			"each draws before its next request: a third each buys, sells and asks for the holdings. Behind it p50 " +
			"and p99. Five groups counted together; lowest and highest mean of the groups. The first document " +
			"found the mean flat up to ten clients and put that down to its ten workers: with 40 it should then be " +
			"flat further on."}}
	contenders := b.results.Contenders("document", "")
	for _, interval := range b.intervals() {
		t := Table{Caption: "A request each " + interval, Align: "r", Head: append([]string{"clients"}, contenders...)}
		lists := make([]series, len(contenders))
		for _, clients := range b.clients(interval) {
			row := []string{fmt.Sprint(clients)}
			for i, contender := range contenders {
				cell := fmt.Sprintf("%d clients, %s", clients, interval)
				d := b.results.Latency("document", cell, contender, "all")
				of := b.results.Spread("document", cell, contender, "mean_ms")
				row = append(row, fmt.Sprintf("%s (%s to %s); %s; "+
					"%s", number(d.Mean), number(of.Low), number(of.High), number(d.P50), number(d.P99)))
				lists[i].name = contender
				lists[i].points = append(lists[i].points, point{float64(clients), d.Mean})
			}
			t.Rows = append(t.Rows, row)
		}
		s.Tables = append(s.Tables, t, b.growth(interval, contenders), b.kinds(interval, contenders),
			b.spent(interval, contenders))
		title := "Mean time to an answer, a request each " + interval
		s.picture("document-"+fileName(interval), title,
			lines(axes{title, "clients", "ms; lower is better", true, false}, lists))
	}
	return s
}

// growth shows how flat the means are: up to ten clients, where the first document found
// them to be flat, and beyond.
func (b *builder) growth(interval string, contenders []string) Table {
	t := Table{Caption: "How the mean grows, a request each " + interval, Head: append([]string{""}, contenders...)}
	clients := b.clients(interval)
	for i := 1; i < len(clients); i++ {
		row := []string{fmt.Sprintf("%d clients by %d", clients[i], clients[i-1])}
		for _, contender := range contenders {
			mean := func(n int) float64 {
				d := b.results.Latency("document", fmt.Sprintf("%d clients, %s", n, interval), contender, "all")
				return d.Mean
			}
			growth := "–"
			if before := mean(clients[i-1]); before > 0 {
				growth = number(mean(clients[i])/before) + " ×"
			}
			row = append(row, growth)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// kinds makes the table by kind of request, for the largest number of clients.
func (b *builder) kinds(interval string, contenders []string) Table {
	clients := b.clients(interval)
	most := clients[len(clients)-1]
	cell := fmt.Sprintf("%d clients, %s", most, interval)
	t := Table{Caption: fmt.Sprintf("The same with %d clients, by what they ask "+
		"for", most), Head: append([]string{""}, contenders...)}
	for _, kind := range []string{"buy", "sell", "query"} {
		row := []string{kind}
		for _, contender := range contenders {
			d := b.results.Latency("document", cell, contender, kind)
			row = append(row, fmt.Sprintf("%s; %s; %s", number(d.Mean), number(d.P50), number(d.P99)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// spent shows the server's processor time, for the largest number of clients.
func (b *builder) spent(interval string, contenders []string) Table {
	clients := b.clients(interval)
	most := clients[len(clients)-1]
	cell := fmt.Sprintf("%d clients, %s", most, interval)
	t := Table{Caption: fmt.Sprintf("The server's processor time with %d clients", most),
		Head: append([]string{""}, contenders...)}
	for _, c := range []struct {
		what, value string
		scale       float64
		unit        string
	}{{"of a request", "cpu_us", 1, "µs"}, {"of one core", "cores", 100, "%"},
		{"context switches of a request", "switches", 1, ""}} {
		row := []string{c.what}
		for _, contender := range contenders {
			of := b.results.Spread("document", cell, contender, c.value)
			of.Median, of.Low, of.High = c.scale*of.Median, c.scale*of.Low, c.scale*of.High
			row = append(row, spread(of, c.unit))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// intervals and clients parse the names of the document's cells.
func (b *builder) intervals() (names []string) {
	seen := make(map[string]bool)
	for _, cell := range b.results.Cells("document") {
		if _, interval, ok := strings.Cut(cell, " clients, "); ok && !seen[interval] {
			seen[interval] = true
			names = append(names, interval)
		}
	}
	return names
}

func (b *builder) clients(interval string) (counts []int) {
	for _, cell := range b.results.Cells("document") {
		var n int
		if strings.HasSuffix(cell, " clients, "+interval) {
			if _, err := fmt.Sscanf(cell, "%d", &n); err == nil {
				counts = append(counts, n)
			}
		}
	}
	return counts
}

// push shows events and quotes, by rate.
func (b *builder) push() Section {
	s := Section{Title: "Pushes", Text: []string{"Simulated fills, each its own event with its own sequence, " +
		"encoded for the account that it is about, at rates that climb until they come late: saturated is where " +
		"one in a hundred takes more than 250 ms from the commit to the client's socket, or where less than was " +
		"asked for comes. Where history is full, the server keeps 16 MiB of it instead of a GiB, so that its " +
		"memory no longer grows. Quotes are encoded once and go to all subscribers, and the newest wins: what a " +
		"client has not been sent yet becomes one frame, so that no write has more than one."}}
	if t := b.saturation(); len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
	for _, cell := range b.results.Cells("push") {
		t := Table{Caption: cell, Head: []string{"", "asked for a second", "came a second", "lag p50, ms",
			"lag p99, ms", "prices a second", "CPU, µs each",
			"server, cores", "in time"}}
		var lists []series
		for _, contender := range b.results.Contenders("push", cell) {
			line := series{name: contender}
			for _, rung := range b.results.Rungs(cell, contender) {
				of := func(value string) string { return spread(rung.Spread(value), "") }
				asked, prices := rung.Spread("asked"), "–"
				if asked.Low == asked.High {
					asked.N = 1 // all rounds asked for the same rate
				}
				if p := rung.Spread("prices"); p.High > 0 {
					prices = number(p.Median)
				}
				t.Rows = append(t.Rows, []string{contender, spread(asked, ""), of("came"),
					number(rung.Spread("lag_p50_ms").Median), of("lag_p99_ms"),
					prices, number(rung.Spread("cpu_us").Median), number(rung.Spread("cores").Median), inTime(&rung)})
				line.points = append(line.points, point{rung.Spread("came").Median, rung.Spread("lag_p99_ms").Median})
			}
			lists = append(lists, line)
		}
		s.Tables = append(s.Tables, t)
		lag := axes{"Lag of pushes: " + cell, "pushed a second", "lag p99, ms; lower is better", true, true}
		s.picture("push-"+fileName(cell), "Lag of pushes, p99: "+cell, lines(lag, lists))
	}
	return s
}

// saturation shows the highest event rate that each contender pushed in time, for all cells
// with a climb.
func (b *builder) saturation() Table {
	var cells []string
	for _, cell := range b.results.Cells("push") {
		if strings.HasPrefix(cell, "events to ") {
			cells = append(cells, cell)
		}
	}
	// Fewest clients first.
	slices.SortFunc(cells, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	t := Table{Caption: "The most events a second that came in time, round by round",
		Head: append([]string{""}, cells...)}
	for _, contender := range b.results.Contenders("push", "") {
		row := []string{contender}
		for _, cell := range cells {
			row = append(row, spread(b.results.InTime(cell, contender), ""))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func inTime(g *scenario.Rung) string {
	if !g.Judged {
		return ""
	}
	return fmt.Sprintf("%d of %d", g.Held, g.Spread("asked").N)
}

// idle shows connections that do nothing.
func (b *builder) idle() Section {
	s := Section{Title: "Idle connections", Text: []string{"Logged in and silent, as many as one process may hold " +
		"here. The kernel's part is of both ends of a loopback connection, whoever serves it. Then a trickle of " +
		"pushes through all of them, by ours."}}
	t := Table{Head: []string{"", "connections", "user bytes each", "kernel bytes each (both ends)",
		"goroutines each", "trickle, lag p99"}}
	for _, contender := range b.results.Contenders("idle", "") {
		of := func(value, unit string) string {
			return spread(b.results.Spread("idle", "idle", contender, value), unit)
		}
		trickle := "–"
		if b.results.Spread("idle", "idle", contender, "lag_p99_ms").High > 0 {
			trickle = of("lag_p99_ms", "ms")
		}
		t.Rows = append(t.Rows, []string{contender,
			number(b.results.Spread("idle", "idle", contender, "connections").Median),
			of("user_bytes", ""), of("kernel_bytes", ""), of("goroutines", ""), trickle})
	}
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
	return s
}

// durable shows the cost of storing events.
func (b *builder) durable() Section {
	e := &b.results.Environment
	return b.orders("durable", "Durable against not",
		fmt.Sprintf("Papertape syncs once for a group of commits. The baseline's "+
			"workers sync each write, "+
			"or hand it to a fixed pool of database workers, which the first document proposed. fsync here: p50 %.2f "+
			"ms, p99 %.2f "+
			"ms.", e.FsyncP50, e.FsyncP99))
}

// syscalls shows the number of system calls per request.
func (b *builder) syscalls() Section {
	s := Section{Title: "System calls for each request",
		Text: []string{"Counted by strace in runs of their own, which it slows down; what a server does between " +
			"requests is in it. Medians of the rounds."}}
	names := []string{"all", "read", "write", "writev", "epoll_wait", "epoll_pwait", "epoll_ctl", "futex",
		"fdatasync", "nanosleep"}
	for _, cell := range b.results.Cells("syscalls") {
		t := Table{Caption: cell, Head: append([]string{""}, names...)}
		for _, contender := range b.results.Contenders("syscalls", cell) {
			row := []string{contender}
			for _, name := range names {
				row = append(row, number(b.results.Spread("syscalls", cell, contender, name).Median))
			}
			t.Rows = append(t.Rows, row)
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

// profiles shows what the profiled runs used. The pages about the profiles are made
// elsewhere.
func (b *builder) profiles() Section {
	s := Section{Title: "Profiled runs", Text: []string{"The runs that the profiles were taken of: the first " +
		"document's own load (100 clients, a request each 1–2 s; five windows of one run) and saturated ones " +
		"(1,000 × 1 and 100 × 32; rounds, whose profiles are put together)."}}
	for _, cell := range b.results.Cells("profiles") {
		t := Table{Caption: cell, Head: []string{"", "answers a second", "CPU, µs each", "server, cores"}}
		for _, contender := range b.results.Contenders("profiles", cell) {
			of := func(value string) string { return spread(b.results.Spread("profiles", cell, contender, value), "") }
			t.Rows = append(t.Rows, []string{contender, of("rate"), of("cpu_us"), of("cores")})
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

// benchmarks shows the benchmarks of the packages.
func (b *builder) benchmarks() Section {
	s := Section{Title: "Benchmarks of the packages",
		Text: []string{"By `go test -bench`, of what cannot be seen from outside; `make bench-go` runs all of them."}}
	t := Table{Head: []string{"", "value"}}
	for _, pkg := range b.results.Cells("benchmarks") {
		for _, name := range b.results.Values("benchmarks", pkg, scenario.Ours.Name) {
			t.Rows = append(t.Rows, []string{pkg + " " + name,
				spread(b.results.Spread("benchmarks", pkg, scenario.Ours.Name, name), "")})
		}
	}
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
	return s
}
