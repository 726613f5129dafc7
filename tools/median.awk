# Passes `go test -bench -count N` through, and prints the median of each benchmark and unit after it.
{ print; fflush() }
/^pkg: / { pkg = $2 }
/^Benchmark/ {
	name = pkg " " $1
	if (!(name in seen)) {
		seen[name] = 1
		names[++benchmarks] = name
	}
	for (i = 3; i < NF; i += 2) {
		key = name SUBSEP $(i + 1)
		if (!(key in runs))
			units[name] = units[name] " " $(i + 1)
		value[key, ++runs[key]] = $i + 0
	}
}
/^(FAIL|--- FAIL)/ { failed = 1 }
function median(key,    n, i, j, v, sorted) {
	n = runs[key]
	for (i = 1; i <= n; i++) {
		v = value[key, i]
		for (j = i - 1; j > 0 && sorted[j] > v; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = v
	}
	return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
END {
	if (!benchmarks) {
		print "no benchmark ran" > "/dev/stderr"
		exit 1
	}
	print "\nmedians"
	for (b = 1; b <= benchmarks; b++) {
		printf "%s", names[b]
		n = split(units[names[b]], list, " ")
		for (i = 1; i <= n; i++)
			printf "  %.6g %s", median(names[b] SUBSEP list[i]), list[i]
		printf "\n"
	}
	exit failed
}
