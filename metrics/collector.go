package metrics

import (
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/papertape/papertape/tally"
)

// prefix begins the names of all that is the server's own.
const prefix = "papertape_"

// kind is a type of metric, as the text format names it.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// definition is a metric, and where its values are.
type definition struct {
	name   string // without prefix
	kind   kind
	labels []string
	help   string

	read func(r *reading, put func(value float64, labels ...string)) // counters and gauges
	sums func(r *reading) []labelled                                 // histograms
	unit float64                                                     // of a histogram: what a value is divided by
}

// labelled is a sum with the values of its labels.
type labelled struct {
	tally.Sum
	labels []string
}

// collector makes metrics of what it reads. A scrape has no state of its own, so any number may go on at a time.
type collector struct {
	from  *Sources
	descs []*prometheus.Desc // of definitions
}

func newCollector(from *Sources) *collector {
	c := &collector{from: from}
	for i := range definitions {
		d := &definitions[i]
		c.descs = append(c.descs, prometheus.NewDesc(prefix+d.name, d.help, d.labels, nil))
	}
	return c
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	r := c.from.read()
	for i := range definitions {
		d, desc := &definitions[i], c.descs[i]
		if d.kind == histogram {
			for _, s := range d.sums(r) {
				to <- constHistogram(desc, s, d.unit)
			}
			continue
		}
		of := prometheus.GaugeValue
		if d.kind == counter {
			of = prometheus.CounterValue
		}
		d.read(r, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, of, value, labels...)
		})
	}
}

// constHistogram returns a histogram of a sum, in units of Prometheus: seconds, or just how many.
func constHistogram(desc *prometheus.Desc, s labelled, unit float64) prometheus.Metric {
	buckets, n := make(map[float64]uint64, len(s.Bounds)), uint64(0)
	for i, bound := range s.Bounds {
		n += s.Counts[i]
		buckets[float64(bound)/unit] = n
	}
	return prometheus.MustNewConstHistogram(desc, s.Count(), float64(s.Total)/unit, buckets, s.labels...)
}

// runtimeRules choose of the runtime's metrics those that say whether the processor is short, and what
// garbage collection takes. All of them would be as many as the server's own.
var runtimeRules = []collectors.GoRuntimeMetricsRule{
	collectors.MetricsScheduler,
	{Matcher: regexp.MustCompile(`^/cpu/classes/gc/total:cpu-seconds$`)},
	{Matcher: regexp.MustCompile(`^/gc/heap/goal:bytes$`)},
}

// register registers everything that is shown.
func register(from *Sources, to prometheus.Registerer) {
	to.MustRegister(
		newCollector(from),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(runtimeRules...)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}

// Handler answers scrapes, in the text format or in that of OpenMetrics.
func Handler(from Sources) http.Handler {
	registry := prometheus.NewRegistry()
	register(&from, registry)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
