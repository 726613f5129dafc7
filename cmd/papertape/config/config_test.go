package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/usertext"
)

// loadWith loads a configuration as serve does. If file is not empty, it is passed to --config.
func loadWith(t testing.TB, file string, environ, args []string) (*Config, error) {
	t.Helper()
	s := NewSettings()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s.Register(fs)
	if file != "" {
		args = append(args, "--config", file)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s.Load(fs, environ)
}

// inDir writes a file to a new directory and makes that the working directory, so that errors
// contain the file's bare name.
func inDir(t *testing.T, name, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := loadWith(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range allSettings() {
		want := map[string]string{
			"listen": "127.0.0.1:7300", "allow_plaintext": "false", "admin": "127.0.0.1:7301",
			"data":       "./papertape-data",
			"durability": "sync", "log.level": "info", "log.format": "auto", "accounts": "100", "seed": "1",
			"rules":          "none",
			"universe":       "cn",
			"simulator.rate": "1", "prices": "walk", "prices.interval": "1s", "presence": "own",
			"prices.spread_ticks": "auto", "prices.speed": "1", "prices.loop": "false", "market_hours": "false",
			"clock": "real", "bars_memory_bytes_max": "256MiB",
			"orders_per_second": "0",
			"event_loops":       "auto", "shards": "auto", "workers": "auto", "connections_max": "auto",
			"connections_prelogin_max": "1000", "connections_per_ip_max": "0", "connections_per_second_max": "10000",
			"sessions_per_account_max": "64",
			"inbox_orders_max":         "8192", "requests_in_flight_max": "256", "history_reads_max": "64",
			"outbox_bytes_max": "256KiB", "outbox_total_bytes_max": "1GiB", "socket_send_buffer_bytes": "64KiB",
			"uncheckpointed_bytes_max": "256MiB", "history_memory_bytes_max": "1GiB", "disk_free_bytes_min": "256MiB",
			"huge_pages": "true", "tls.handshakes_per_second_max": "auto",
			"checkpoint_interval": "5s",
			"stall_timeout":       "10s", "heartbeat": "15s", "login_timeout": "5s", "shutdown_timeout": "10s",
		}[st.key]
		if got := st.text(cfg); got != want {
			t.Errorf("setting %d: %s is %q by default, want %q", i, st.key, got, want)
		}
		if got := cfg.Source(st.key); got != "default" {
			t.Errorf("%s comes from %s", st.key, got)
		}
	}
}

// TestSpelling sets every key in the file, in the environment and as a flag, and checks the source
// of its value.
func TestSpelling(t *testing.T) {
	other := map[string]string{
		"allow_plaintext": "true", "durability": "interval", "rules": "none", "log.level": "debug",
		"log.format": "json",
		"prices":     "fixed", "presence": "all", "admin_token_file": "token", "auth.keys_file": "keys",
		"proxy_protocol_from": "10.0.0.0/24,2001:db8::7/128",
		"admin_hosts":         "desk.example,ops.example:8443", "health_listen": "127.0.0.1:3", "backup_dir": "backups",
		"audit_file": "audit",
		"huge_pages": "false", "listen": "127.0.0.1:1", "admin": "localhost:2", "data": "elsewhere",
		"cpuprofile": "cpu", "simulator.script": "script", "universe": "us",
		"prices.file": "tape.csv", "prices.columns": "time=ts,last=px", "prices.from": "2026-03-02",
		"prices.loop": "true", "market_hours": "true", "clock": "tape",
	}
	replay := []string{"--prices=replay", "--prices.file=t.csv"}
	beside := map[string][]string{"prices.file": replay[:1], "clock": replay}
	inDir(t, "token", "0123456789abcdef\n")
	for _, st := range allSettings() {
		text := other[st.key]
		switch st.kind() {
		case KindNumber:
			text = "7"
		case kindSize:
			text = "2MiB"
		case KindDuration:
			text = "1m30s"
		}
		if st.kind() == KindText && strings.HasPrefix(st.key, "tls.") {
			continue
		}
		if st.key == "outbox_total_bytes_max" {
			text = "2GiB"
		}
		if st.key == "workers" {
			text = strconv.Itoa(runtime.GOMAXPROCS(0))
		}
		flag := "--" + strings.ReplaceAll(st.key, "_", "-")
		env := "PAPERTAPE_" + strings.ToUpper(strings.ReplaceAll(st.key, ".", "_"))
		if err := os.WriteFile("c.yaml", []byte("\n"+st.key+": "+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			file, source  string
			environ, args []string
		}{
			{file: "c.yaml", source: "c.yaml:2"},
			{source: env, environ: []string{env + "=" + text}},
			{source: flag, args: []string{flag + "=" + text}},
		} {
			cfg, err := loadWith(t, c.file, c.environ, append(c.args, beside[st.key]...))
			if err != nil {
				t.Errorf("%s from %s: %v", st.key, c.source, err)
				continue
			}
			if got := st.text(cfg); got != text {
				t.Errorf("%s from %s is %q, want %q", st.key, c.source, got, text)
			}
			if got := cfg.Source(st.key); got != c.source {
				t.Errorf("%s comes from %q, want %q", st.key, got, c.source)
			}
		}
	}
}

// TestPriceRules checks the rules among prices, hours and clock.
func TestPriceRules(t *testing.T) {
	replay := []string{"--prices=replay", "--prices.file=t.csv"}
	for _, c := range []struct {
		args []string
		want string // empty: it is taken
	}{
		{args: replay},
		{args: append(replay, "--clock=tape", "--market-hours")},
		{args: []string{"--prices=push", "--market-hours", "--prices.file=t.csv"}},
		{append(replay, "--clock=tape", "--prices.loop"), "--prices.loop: time does not go round: clock: tape ends " +
			"where the file does; write clock: real, or leave prices.loop out"},
		{append(replay, "--market-hours"), "--market-hours: the hours of a replay are those of its file, and not " +
			"those of the wall clock; write clock: tape too"},
		{[]string{"--prices=push", "--clock=tape"},
			"--clock: with prices: push there is no tape to go by; write prices: replay, or clock: real"},
	} {
		_, err := loadWith(t, "", nil, c.args)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%v:\n got %v\nwant %s", c.args, err, c.want)
		}
	}
}

func TestPricesFrom(t *testing.T) {
	zone := time.FixedZone("CST", 8*60*60)
	for text, want := range map[string]int64{
		"": 0, "2026-03-02": time.Date(2026, 3, 2, 0, 0, 0, 0, zone).UnixNano(),
		"2026-03-02T09:30:00Z": time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).UnixNano(),
	} {
		cfg, err := loadWith(t, "", nil, []string{"--prices.from=" + text})
		if err != nil || cfg.PricesFrom(zone) != want {
			t.Errorf("%q: %v, %v, want %d", text, cfg, err, want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	inDir(t, "c.yaml", "heartbeat: 7s\nstall_timeout: 7s\nlogin_timeout: 7s\n")
	environ := []string{"PAPERTAPE_CONFIG=c.yaml", "PAPERTAPE_HEARTBEAT=8s", "PAPERTAPE_STALL_TIMEOUT=8s",
		"PAPERTAPE_SEED="}
	cfg, err := loadWith(t, "", environ, []string{"--heartbeat", "9s"})
	if err != nil {
		t.Fatal(err)
	}
	got := [...]time.Duration{cfg.Heartbeat, cfg.StallTimeout, cfg.LoginTimeout, cfg.ShutdownTimeout}
	if want := [...]time.Duration{9 * time.Second, 8 * time.Second, 7 * time.Second, 10 * time.Second}; got != want {
		t.Errorf("flag, environment, file, default: %v, want %v", got, want)
	}
	if cfg.Seed != 1 || cfg.Source("seed") != "default" {
		t.Errorf("an empty variable counts as set: seed %d from %s", cfg.Seed, cfg.Source("seed"))
	}
}

// TestFiles reads all the spellings that files may use.
func TestFiles(t *testing.T) {
	for name, text := range map[string]string{
		"nested YAML": "# comment\nsimulator:\n  rate: 2.5\nprices:\n  source: fixed\n  interval: " +
			"2s\naccounts: 7 # here too\n",
		"dotted YAML": "simulator.rate: 2.5\nprices: fixed\nprices.interval: 2s\naccounts: \"7\"\n",
		"nested JSON": "{\n\t\"simulator\": {\"rate\": 2.5},\n\t\"prices\": {\"source\": \"fixed\", " +
			"\"interval\": \"2s\"},\n\t\"accounts\": 7\n}\n",
		"dotted JSON":      `{"simulator.rate": 2.5, "prices.source": "fixed", "prices.interval": "2s", "accounts": 7}`,
		"with a BOM":       "\ufeffsimulator: {rate: 2.5}\r\nprices: fixed\r\nprices.interval: 2s\r\naccounts: 7\r\n",
		"of an old Mac":    "simulator: {rate: 2.5}\rprices: fixed\rprices.interval: 2s\raccounts: 7",
		"document markers": "---\nsimulator: {rate: 2.5}\nprices: fixed\nprices.interval: 2s\naccounts: 7\n...\n",
	} {
		inDir(t, "c", text)
		cfg, err := loadWith(t, "c", nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cfg.Simulator.Rate != 2.5 || cfg.Prices.Source != "fixed" || cfg.Prices.Interval != 2*time.Second ||
			cfg.Accounts != 7 {
			t.Errorf("%s: read %+v %+v %d", name, cfg.Simulator, cfg.Prices, cfg.Accounts)
		}
	}
	for _, text := range []string{"", "\n", "# nothing\n", "{}", "---\n"} {
		inDir(t, "c", text)
		if _, err := loadWith(t, "c", nil, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLists reads every form of a list.
func TestLists(t *testing.T) {
	want := []string{"desk.example", "ops.example:8443"}
	for _, text := range []string{
		"admin_hosts: [desk.example, 'ops.example:8443']", "admin_hosts:\n- desk.example\n- ops.example:8443\n",
		"admin_hosts: Desk.Example. , ops.example:8443",
		`{"admin_hosts": ["desk.example", "ops.example:8443"]}`, `{"admin_hosts": "desk.example,ops.example:8443"}`,
	} {
		inDir(t, "c", text)
		if cfg, err := loadWith(t, "c", nil, nil); err != nil || !slices.Equal(cfg.AdminHosts, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"admin_hosts: []", "admin_hosts: ''", `{"admin_hosts": [""]}`} {
		inDir(t, "c", text)
		if cfg, err := loadWith(t, "c", nil, nil); err != nil || len(cfg.AdminHosts) != 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf("h%d", i))
	}
	_, err := loadWith(t, "", nil, []string{"--admin-hosts", strings.Join(many, ",")})
	checkSentence(t, "65 hosts", err, "--admin-hosts: there are more than 64; write at most so many")
}

// TestFileErrors checks every error message about a file.
func TestFileErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"seed: 1\nhartbeat: 5s\n", "c.yaml:2: hartbeat is not a setting; did you mean heartbeat?"},
		{"{\n \"outbox-bytes-max\": 1\n}", "c.yaml:2: outbox-bytes-max is not a setting; did you mean " +
			"outbox_bytes_max?"},
		{"simulator:\n  rtae: 1\n", "c.yaml:2: simulator.rtae is not a setting; did you mean simulator.rate?"},
		{"simulator.rate.x: 1\n", "c.yaml:1: simulator.rate.x is not a setting; did you mean simulator.rate?"},
		{"colour: red\n", "c.yaml:1: colour is not a setting; papertape serve --help lists them"},
		{"a:\n  listen: x\n", "c.yaml:1: a is not a setting; papertape serve --help lists them"},
		{"heartbeat: 5 seconds\n", `c.yaml:1: heartbeat: "5 seconds" is not a duration; write 5s or 1m30s`},
		{"heartbeat: 15\n", `c.yaml:1: heartbeat: "15" is not a duration; write 5s or 1m30s`},
		{"\nsimulator:\n\n  rate: fast\n", `c.yaml:4: simulator.rate: "fast" is not a number; write 2000 or 0.5`},
		{"heartbeat: 5s\nseed: 1\nheartbeat: 6s\n", "c.yaml:3: heartbeat is set twice; the first is on line 1"},
		{"prices: walk\nprices:\n  source: walk\n", "c.yaml:3: prices.source is set twice; the first is on line 1"},
		{"simulator.rate: 1\nsimulator: {rate: 1}\n", "c.yaml:2: simulator.rate is set twice; the first is on line 1"},
		{"simulator: {rate: 1}\nsimulator:\n  script: x\n", "c.yaml:2: simulator is set twice; the first is on line 1"},
		{`{"simulator": {"rate": 1}, "simulator": {"script": "x"}}`,
			"c.yaml:1: simulator is set twice; the first is on line 1"},
		{`{"data": "a", "\u0064ata": "b"}`, "c.yaml:1: data is set twice; the first is on line 1"},
		{`{"Data": "a"}`, "c.yaml:1: Data is not a setting; did you mean data?"},
		{`{"data": "a"} {"data": "b"}`, "c.yaml:1: this is neither JSON nor YAML: "},
		{`{"data": "\ud800"}`, "c.yaml:1: this is neither JSON nor YAML: "},
		{`{"data": "\udc00\ud800x"}`, "c.yaml:1: this is neither JSON nor YAML: "},
		{`{"data": "\udc00\udc00"}`, `c.yaml:1: data: "��" has a character that is none`},
		{`{"data": null}`, "c.yaml:1: data: there is no value; write one, or leave the line out"},
		{`{"admin_hosts": [["a.b"]]}`, "c.yaml:1: admin_hosts: a single value belongs here"},
		{`{"admin_hosts": {"a": "b"}}`, "c.yaml:1: admin_hosts: a single value belongs here"},
		{`{"admin_hosts": [null]}`, "c.yaml:1: admin_hosts: there is no value; write one, or leave the line out"},
		{"admin_hosts: [desk.example,\n  Desk.Example.]\n",
			`c.yaml:1: admin_hosts: "desk.example" is there twice; write it once`},
		{"simulator: 5\n", "c.yaml:1: simulator is a group of settings; write one of them, as in simulator.rate"},
		{"data:\n", "c.yaml:1: data: there is no value; write one, or leave the line out"},
		{"simulator:\n", "c.yaml:1: simulator is a group of settings; write one of them, as in simulator.rate"},
		{"data: [a, b]\n", "c.yaml:1: data: a single value belongs here"},
		{"data: {a: b}\n", "c.yaml:1: data: a single value belongs here"},
		{"data: |\n  x\n", "c.yaml:1: data: write the value itself, on the same line"},
		{"data: &a x\nlisten: *a\n", "c.yaml:1: data: write the value itself, on the same line"},
		{"data: !!str x\n", "c.yaml:1: data: write the value itself, on the same line"},
		{"<<: {data: x}\n", `c.yaml:1: "<<" is not a key; write the name of a setting`},
		{"7: x\n", `c.yaml:1: "7" is not a key; write the name of a setting`},
		{"- data\n", "c.yaml:1: a configuration is a list of settings, as in heartbeat: 15s"},
		{"heartbeat:15s\n", "c.yaml:1: a configuration is a list of settings, as in heartbeat: 15s"},
		{"seed: 1\n---\nseed: 2\n", "c.yaml:3: a second document begins here; a configuration is one"},
		{"seed: 1\n  data: x\n", "c.yaml:1: this is neither JSON nor YAML: "},
		{"{\"seed\": 1,\n \"data\" 2}", "c.yaml:2: this is neither JSON nor YAML: "},
		{"{{{\n", "c.yaml:1: this is neither JSON nor YAML: "},
		{"data: \xff\n", "c.yaml:1: this is not text in UTF-8; save it as UTF-8"},
		{"seed: 1\r\ndata: \xb2\xe2\r\n", "c.yaml:2: this is not text in UTF-8; save it as UTF-8"},
		{"\xff\xfes\x00e\x00e\x00d\x00", "c.yaml:1: this is UTF-16; save it as UTF-8"},
		{"seed: 1\ndata: a\x00b\n", "c.yaml:2: there is a NUL byte, which no text has; if this is UTF-16, save it " +
			"as UTF-8"},
		{"\ufeffseed: 1\rhartbeat: 5s", "c.yaml:2: hartbeat is not a setting; did you mean heartbeat?"},
		{strings.Repeat("#", fileBytesMax+1), "config: c.yaml is larger than 32768 bytes, the most that is read"},
		{"seed: 1\nlisten: 0.0.0.0:7300\n", "c.yaml:2: listen: other machines reach 0.0.0.0:7300, and nothing is " +
			"encrypted; use 127.0.0.1, or name a certificate in tls.cert and tls.key, or set allow_plaintext: true " +
			"if the network is trusted"},
	} {
		inDir(t, "c.yaml", c.text)
		_, err := loadWith(t, "c.yaml", nil, nil)
		checkSentence(t, c.text, err, c.want)
	}
	_, err := loadWith(t, "missing.json", nil, nil)
	checkSentence(t, "no file", err, "config: missing.json cannot be read: no such file or directory")
}

// checkSentence checks that err is an Error with the message want, or that its message begins with
// want if that ends in a colon.
func checkSentence(t *testing.T, what string, err error, want string) {
	t.Helper()
	var wrong Error
	if !errors.As(err, &wrong) {
		t.Errorf("%.60q: error %v, want an Error: %s", what, err, want)
		return
	}
	if got := err.Error(); got != want && (!strings.HasSuffix(want, ": ") || !strings.HasPrefix(got, want)) {
		t.Errorf("%.60q:\n got %s\nwant %s", what, got, want)
	}
}

// TestValueErrors checks every error message about a value that is given as a flag.
func TestValueErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct{ arg, want string }{
		{"--heartbeat=soon", `--heartbeat: "soon" is not a duration; write 5s or 1m30s`},
		{"--heartbeat=99ms", "--heartbeat: 99ms is out of range; write 100ms to 10m"},
		{"--heartbeat=601s", "--heartbeat: 601s is out of range; write 100ms to 10m"},
		{"--stall-timeout=-5s", "--stall-timeout: -5s is out of range; write 100ms to 1h"},
		{"--prices.interval=1us", "--prices.interval: 1us is out of range; write 1ms to 1h"},
		{"--outbox-bytes-max=plenty",
			`--outbox-bytes-max: "plenty" is not a size; write 256KiB, 64MiB, 1GiB, or a number of bytes`},
		{"--outbox-bytes-max=256KB",
			`--outbox-bytes-max: "256KB" is not a size; write 256KiB, 64MiB, 1GiB, or a number of bytes`},
		{"--outbox-bytes-max=-1",
			`--outbox-bytes-max: "-1" is not a size; write 256KiB, 64MiB, 1GiB, or a number of bytes`},
		{"--outbox-bytes-max=9007199254740993KiB",
			`--outbox-bytes-max: "9007199254740993KiB" is not a size; write 256KiB, 64MiB, 1GiB, or a number of bytes`},
		{"--outbox-bytes-max=1000", "--outbox-bytes-max: 1000 is out of range; write 16KiB to 1GiB"},
		{"--accounts=many", `--accounts: "many" is not a whole number; write 1 to 1000000`},
		{"--accounts=1e2", `--accounts: "1e2" is not a whole number; write 1 to 1000000`},
		{"--accounts=0", "--accounts: 0 is out of range; write 1 to 1000000"},
		{"--accounts=99999999999999999999", "--accounts: 99999999999999999999 is out of range; write 1 to 1000000"},
		{"--seed=-1", "--seed: -1 is out of range; write 0 to 18446744073709551615"},
		{"--shards=some", `--shards: "some" is not a whole number; write 1 to 1024, or auto`},
		{"--shards=0", "--shards: 0 is out of range; write 1 to 1024, or auto"},
		{"--simulator.rate=NaN", `--simulator.rate: "NaN" is not a number; write 2000 or 0.5`},
		{"--simulator.rate=-1", "--simulator.rate: -1 is out of range; write 0 to 10000000"},
		{"--simulator.rate=1e999", "--simulator.rate: 1e999 is out of range; write 0 to 10000000"},
		{"--allow-plaintext=yes", `--allow-plaintext: "yes" is neither true nor false`},
		{"--durability=maybe", `--durability: "maybe" is not possible; write sync, interval or none`},
		{"--durability=synk", `--durability: "synk" is not possible; did you mean sync?`},
		{"--checkpoint-interval=1ms", "--checkpoint-interval: 1ms is out of range; write 10ms to 1h"},
		{"--disk-free-bytes-min=0", "--disk-free-bytes-min: 0 is out of range; write 1MiB to 1TiB"},
		{"--rules=cn-a", "--rules: cn-a, the A-share rules, comes later; this build has only rules: none"},
		{"--prices=wlak", `--prices: "wlak" is not possible; did you mean walk?`},
		{"--prices=ticks.csv", `--prices: "ticks.csv" is not possible; write walk, fixed, replay or push`},
		{"--prices=replay", "--prices: a replay is one of a file; name it in prices.file"},
		{"--prices.file=a.csv", "--prices.file: a.csv would not be read: prices are a walk unless set; " +
			"write prices: replay too"},
		{"--prices.spread-ticks=-1", "--prices.spread-ticks: -1 is out of range; write 0 to 10000, or auto"},
		{"--prices.speed=0", "--prices.speed: 0 is out of range; write 0.001 to 1000000, or max"},
		{"--prices.speed=fast", `--prices.speed: "fast" is not a number; write 2000 or 0.5, or max`},
		{"--prices.columns=px", `--prices.columns: "px" does not say which column has which field; ` +
			`write field=header, as in last=px`},
		{"--prices.from=09:30", `--prices.from: "09:30" is not a time; write 2026-03-02T09:30:00+08:00, or 2026-03-02`},
		{"--prices.from=1969-12-31",
			`--prices.from: "1969-12-31" is not a time; write 2026-03-02T09:30:00+08:00, or 2026-03-02`},
		{"--clock=tape", "--clock: with prices: walk there is no tape to go by; write prices: replay, or clock: real"},
		{"--presence=everybody", `--presence: "everybody" is not possible; write own or all`},
		{"--log.level=verbose", `--log.level: "verbose" is not possible; write trace, debug, info, warn or error`},
		{"--data=", "--data: it is empty; write a path"},
		{"--data=a\x00b", `--data: "a\x00b" has characters that do not belong in a path`},
		{"--listen=nowhere", `--listen: "nowhere" is not an address; write host:port, as in 127.0.0.1:7300`},
		{"--listen=http://x:1", `--listen: "http://x:1" is not an address; write host:port, as in 127.0.0.1:7300`},
		{"--listen=127.0.0.1:http",
			`--listen: "http" is not a port; write 0 to 65535, as in 127.0.0.1:7300 (0: any that is free)`},
		{"--admin=127.0.0.1:65536",
			`--admin: "65536" is not a port; write 0 to 65535, as in 127.0.0.1:7300 (0: any that is free)`},
		{"--admin=:7301", "--admin: other machines reach :7301, and whoever reaches the console runs the server; " +
			"use 127.0.0.1, or name a file with a token in admin_token_file"},
		{"--admin-token-file=none", "--admin-token-file: none cannot be read: no such file or directory"},
		{"--admin-hosts=desk.example,*",
			`--admin-hosts: "*" is not the name of a host; write one as browsers send it, as in desk.example.com`},
		{"--admin-hosts=desk.example,",
			`--admin-hosts: "" is not the name of a host; write one as browsers send it, as in desk.example.com`},
		{"--admin-hosts=http://desk.example",
			`--admin-hosts: "http://desk.example" has more than a name; write desk.example.com, ` +
				`without http:// and without a path`},
		{"--admin-hosts=127.0.0.1",
			`--admin-hosts: "127.0.0.1" need not be named: the console answers to every address, and to localhost`},
		{"--admin-hosts=" + strings.Repeat("x,", 64) + "y", `--admin-hosts: "x" is there twice; write it once`},
		{"--tls.cert=x", "--tls.cert: it needs tls.key too"},
		{"--tls.key=x", "--tls.key: it needs tls.cert too"},
		{"--tls.client-ca=x", "--tls.client-ca: it needs tls.cert too"},
		{"--tls.handshakes-per-second-max=0",
			"--tls.handshakes-per-second-max: 0 is out of range; write 1 to 2147483647, or auto"},
		{"--proxy-protocol-from=lb",
			`--proxy-protocol-from: "lb" is not a network; write one as 10.0.0.0/24, or an address`},
		{"--proxy-protocol-from=10.0.0.1/24", "--proxy-protocol-from: 10.0.0.1/24 has bits beyond its length; " +
			"write 10.0.0.0/24"},
		{"--proxy-protocol-from=0.0.0.0/0", "--proxy-protocol-from: a header believed from anyone is worse than " +
			"none; name the proxies' networks"},
		{"--proxy-protocol-from=10.0.0.1,10.0.0.1/32",
			`--proxy-protocol-from: "10.0.0.1/32" is there twice; write it once`},
		{"--outbox-total-bytes-max=128KiB", "--outbox-total-bytes-max: 128KiB for all outboxes is less than " +
			"outbox_bytes_max, 256KiB for one"},
		{"--workers=0", "--workers: 0 is out of range; write 1 to 65536, or auto"},
		{"--config=gone.yaml", "config: gone.yaml cannot be read: no such file or directory"},
	} {
		_, err := loadWith(t, "", nil, []string{c.arg})
		checkSentence(t, c.arg, err, c.want)
	}
	_, err := loadWith(t, "", nil, []string{"--shards=4", "--workers=3"})
	checkSentence(t, "workers", err, "--workers: 3 workers cannot drain 4 shards; write at least 4, or auto")
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"PAPERTAPE_HEARTBEET=5s", "PAPERTAPE_HEARTBEET is not a setting; did you mean PAPERTAPE_HEARTBEAT?"},
		{"PAPERTAPE_COLOUR=red", "PAPERTAPE_COLOUR is not a setting; papertape serve --help lists them"},
		{"PAPERTAPE_STALL_TIMEOUT=soon", `PAPERTAPE_STALL_TIMEOUT: "soon" is not a duration; write 5s or 1m30s`},
		{"PAPERTAPE_SIMULATOR_RATE=x", `PAPERTAPE_SIMULATOR_RATE: "x" is not a number; write 2000 or 0.5`},
		{"PAPERTAPE_CONFIG=gone.json", "config: gone.json cannot be read: no such file or directory"},
	} {
		_, err := loadWith(t, "", []string{"HOME=/", c.entry}, nil)
		checkSentence(t, c.entry, err, c.want)
	}
	// A value from a place of lower precedence is checked even if a flag overrides it.
	_, err := loadWith(t, "", []string{"PAPERTAPE_HEARTBEAT=x"}, []string{"--heartbeat=5s"})
	checkSentence(t, "overridden", err, `PAPERTAPE_HEARTBEAT: "x" is not a duration; write 5s or 1m30s`)

	for _, entry := range []string{
		"PAPERTAPE_SERVER=127.0.0.1:1", "PAPERTAPE_TEST_LONG=1", "PAPERTAPE_CI=1", "PAPERTAPE_SERVICE_HOST=10.0.0.1",
		"PAPERTAPE_PORT=tcp://10.0.0.1:7300",
		"PAPERTAPE_PORT_7300_TCP=tcp://10.0.0.1:7300", "PAPERTAPE=1", "OTHER=1", "=", "PAPERTAPE_COLOUR=",
	} {
		if _, err := loadWith(t, "", []string{entry}, nil); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

func TestReach(t *testing.T) {
	inDir(t, "token", "  0123456789abcdef \n")
	for _, args := range [][]string{
		{"--listen=localhost:1"}, {"--listen=127.9.9.9:0"}, {"--listen=[::1]:1"}, {"--listen=[::ffff:127.0.0.1]:1"},
		{"--listen=0.0.0.0:1", "--allow-plaintext", "--auth.keys-file=keys"},
		{"--listen=:1", "--allow-plaintext=true", "--auth.keys-file=keys"},
	} {
		if _, err := loadWith(t, "", nil, args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, listen := range []string{":1", "0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.com:1",
		"localhost.example.com:1"} {
		_, err := loadWith(t, "", nil, []string{"--listen", listen})
		if err == nil || !strings.Contains(err.Error(), "allow_plaintext") {
			t.Errorf("--listen %s without consent: %v", listen, err)
		}
		_, err = loadWith(t, "", nil, []string{"--listen", listen, "--allow-plaintext"})
		if err == nil || !strings.Contains(err.Error(), "auth.keys_file") {
			t.Errorf("--listen %s without keys: %v", listen, err)
		}
		_, err = loadWith(t, "", nil, []string{"--admin", listen})
		if err == nil || !strings.Contains(err.Error(), "admin_token_file") {
			t.Errorf("--admin %s without a token: %v", listen, err)
		}
	}
	cfg, err := loadWith(t, "", nil, []string{"--admin=0.0.0.0:1", "--admin-token-file=token"})
	if err != nil || cfg.AdminToken != "0123456789abcdef" {
		t.Errorf("with a token: %+v, %v", cfg, err)
	}
	for _, text := range []string{"\ufeff0123456789abcdef\r\n", "0123456789abcdef\r", " 0123456789abcdef"} {
		inDir(t, "token", text)
		cfg, err := loadWith(t, "", nil, []string{"--admin-token-file=token"})
		if err != nil || cfg.AdminToken != "0123456789abcdef" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"\xff\xfe0\x001\x00":   "token:1: this is UTF-16; save it as UTF-8",
		"short\n":              "the token in token has 5 characters; at least 16 are needed",
		"two words of sixteen": "the token in token has to be one word of printable ASCII characters",
	} {
		inDir(t, "token", text)
		_, err := loadWith(t, "", nil, []string{"--admin-token-file=token"})
		checkSentence(t, text, err, "--admin-token-file: "+want)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "65536": 65536, "64KiB": 65536, "64 KiB": 65536, "3MiB": 3 << 20, "1GiB": 1 << 30,
		"2TiB":                2 << 40,
		"9223372036854775807": math.MaxInt64,
	} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
		if again, err := parseSize(printSize(got)); err != nil || again != got {
			t.Errorf("%d is printed as %s, which is %d, %v", got, printSize(got), again, err)
		}
	}
	for _, text := range []string{"", "KiB", "1kib", "1.5MiB", "1  KiB", "8388608TiB", "-1KiB", "1KiBKiB", " 1"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, n)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Second: "1s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Second: "1m30s", 0: "0s",
		10 * time.Second: "10s", 70 * time.Minute: "1h10m", time.Hour + time.Second: "1h0m1s", 100 * time.Hour: "100h",
	} {
		if got := decimal.FormatDuration(d); got != want {
			t.Errorf("%v is printed as %s, want %s", d, got, want)
		}
	}
}

// TestHelp checks that the command's page has every key, and no usage text that pflag could not
// print.
func TestHelp(t *testing.T) {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	NewSettings().Register(fs)
	help := fs.FlagUsages()
	for _, want := range []string{
		"--listen address", `(default 127.0.0.1:7300)`, "--outbox-bytes-max size", "(default 256KiB)",
		"--allow-plaintext  ", "--tls.client-ca", "--config file", "--heartbeat duration", "(default 15s)",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("--help does not say %q:\n%s", want, help)
		}
	}
}

func TestNearest(t *testing.T) {
	if d := editDistance("kitten", "sitting"); d != 3 {
		t.Errorf("kitten to sitting are %d changes, want 3", d)
	}
	if d := editDistance("", "abc") + editDistance("abc", "") + editDistance("abc", "abc"); d != 6 {
		t.Errorf("the empty word is %d changes away in all, want 6", d)
	}
}

// FuzzConfigFile checks that no file causes a panic, and that an accepted file is accepted again
// after printing, with the same meaning.
func FuzzConfigFile(f *testing.F) {
	for _, name := range []string{"papertape.json", "papertape.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		"simulator: {rate: 2.5}\n", "prices: fixed\nprices.interval: 2s", "a: &b c\nd: *b\n", "? x\n: y\n", "[",
		"{\"seed\":1,}", "---\n---\n",
	} {
		f.Add([]byte(text))
	}
	s := NewSettings()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > fileBytesMax {
			return
		}
		cfg, err := s.fromText(text)
		if err != nil {
			var wrong Error
			if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "c:") {
				t.Fatalf("%v does not name the file", err)
			}
			return
		}
		printed := s.print(cfg)
		again, err := s.fromText([]byte(printed))
		if err != nil {
			t.Fatalf("%v in the reprint\n%s", err, printed)
		}
		if reprinted := s.print(again); reprinted != printed {
			t.Fatalf("reprinted as\n%s\nand then as\n%s", printed, reprinted)
		}
	})
}

// fromText applies a file to the defaults.
func (s *Settings) fromText(raw []byte) (*Config, error) {
	cfg := Default()
	text, err := usertext.ReadNamed(bytes.NewReader(raw), "c", fileBytesMax)
	if err != nil {
		return nil, Errorf("%w", err)
	}
	values, err := s.parseFile("c", text)
	for _, v := range values {
		if err == nil {
			err = v.setting.apply(cfg, v.text, source{place: "c:" + strconv.Itoa(v.line)})
		}
	}
	return cfg, err
}

// print formats the current configuration as a file.
func (s *Settings) print(cfg *Config) string {
	var b strings.Builder
	for i := range s.list {
		st := &s.list[i]
		b.WriteString(st.key + ": " + strconv.Quote(st.text(cfg)) + "\n")
	}
	return b.String()
}

// TestInit uncomments every line of the default file, which must then equal the defaults.
func TestInit(t *testing.T) {
	s := NewSettings()
	if cfg, err := s.fromText([]byte(s.Commented())); err != nil || len(cfg.sources) != 0 {
		t.Errorf("the default file sets %v, %v", cfg.sources, err)
	}
	var all strings.Builder
	for line := range strings.Lines(s.Commented()) {
		if !strings.HasPrefix(line, "# ") {
			line = strings.TrimPrefix(line, "#")
		}
		all.WriteString(line)
	}
	cfg, err := s.fromText([]byte(all.String()))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.print(cfg), s.print(Default()); got != want {
		t.Errorf("uncommented it is\n%s\nwant\n%s", got, want)
	}
	if got, want := len(cfg.sources), len(s.InForce(cfg)); got != want {
		t.Errorf("%d keys are in the default file, want all %d", got, want)
	}
}

// misread are spellings of numbers that some programs accept and papertape refuses.
var misread = []string{"0x10", "0X10", "0o10", "0b10", "1_0", "+5", "1e1x", " 5", "5 ", "５", "", "NaN", "Inf", "0x1p4"}

// TestOneReaderOfSettings checks the same for settings from flags, environment variables and files.
func TestOneReaderOfSettings(t *testing.T) {
	for _, st := range allSettings() {
		if st.kind() != KindNumber && st.kind() != kindSize && st.kind() != KindDuration {
			continue
		}
		for _, bad := range append(misread, "+5s", "0x5s", "0x10KiB", "+16KiB", "1_0KiB", "+16 KiB", "-0x10") {
			cfg := Default()
			if err := st.set(cfg, bad); err == nil {
				t.Errorf("%s takes %q for %s", st.key, bad, st.text(cfg))
			}
		}
	}
	for text, want := range map[string]int64{"0100KiB": 100 << 10, "016384": 16384, "0020 KiB": 20 << 10} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
}
