#!/usr/bin/env bash
# Captures the terminal client in tmux, connected to a server of its own. It writes docs/terminal.md and, in docs/images,
# the pictures terminal.svg and taken-back.svg, and their Chinese versions (.zh.svg). Everything in them was shown on
# the screen. It needs tmux, and two free ports on the loopback interface.
#
#	tools/terminal-capture.sh            PORT=7300 and the one after it
#	PORT=17300 tools/terminal-capture.sh
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-7300}
listen=127.0.0.1:$port admin=127.0.0.1:$((port + 1))
account=100017
columns=122 lines=40
go=${GO:-go}

if ! command -v tmux >/dev/null; then
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		apt-get install -y --no-install-recommends tmux
	else
		echo "tmux is needed: install it, and run this again" >&2
		exit 1
	fi
fi

work=$(mktemp -d)
server=
tmux() { command tmux -L "papertape-capture-$$" -f /dev/null "$@"; }
cleanup() {
	tmux kill-server 2>/dev/null || true
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'echo "$0: line $LINENO failed" >&2' ERR

"$go" build -o "$work/papertape" ./cmd/papertape
"$go" build -o "$work/terminalsvg" ./tools/terminalsvg
papertape=$work/papertape

# serve starts the server and waits until it is ready.
serve() {
	"$papertape" serve --listen "$listen" --admin "$admin" --simulator.rate 0 --prices walk --prices.interval 20ms \
		--durability none --heartbeat 1s --data "$work/data" >"$work/serve.log" 2>&1 &
	server=$!
	for _ in $(seq 200); do
		sleep 0.1
		kill -0 "$server" 2>/dev/null || break
		if grep -q '"message":"listening"' "$work/serve.log"; then
			return
		fi
	done
	cat "$work/serve.log" >&2
	exit 1
}

stop() {
	kill "$server"
	wait "$server" || true
	server=
}

# await waits until the screen shows a pattern (grep -E).
await() {
	for _ in $(seq 300); do
		if screen | grep -E -- "$1" >/dev/null; then
			return
		fi
		sleep 0.1
	done
	echo "not on the screen: $1" >&2
	screen >&2
	exit 1
}

screen() {
	tmux capture-pane -p -S -200 | sed -e 's/[[:space:]]*$//' |
		awk 'NF { for (; n > 0; n--) print ""; print; next } { n++ }'
}
keys() { tmux send-keys "$@"; }
# other runs a command in another session of the account, and prints the name of the trade.
other() { "$papertape" client --account "$account" --server "$listen" "$@" | sed -n '$s/.* //p'; }

# shot saves the screen from the first line that matches a pattern.
shot() { screen | awk -v from="$2" '$0 ~ from { on = 1 } on' >"$work/$language.$1"; }

# picture draws the screen with its colours to the file $1, from the first line that matches the pattern $2.
picture() {
	mkdir -p docs/images
	tmux capture-pane -e -p | awk -v from="${2:-}" '$0 ~ from { on = 1 } on' |
		"$work/terminalsvg" -title "papertape client --account $account" >"$1"
}

begin() {
	language=$1
	serve
	sleep 3 # let the prices move a little
	tmux new-session -d -x "$columns" -y "$lines" \
		"HOME=$work TERM=screen-256color \
			'$papertape' client --account $account --server $listen --lang $language; sleep 1000"
	await '^>>>$'
}

end() {
	tmux kill-server
	stop
	sleep 0.5
}

# takenback has an operator take a trade back and correct another. $1: language; $2: file of the picture; $3, $4: text
# on the screen after the first and the second.
takenback() {
	begin "$1"
	keys 'sell SH.600'
	await '^>>> sell SH.600$'
	local bought sold
	bought=$(other buy SH.600519 300)
	sold=$(other sell SH.601398 1500)
	"$papertape" bust "$bought" --reason 'wrong account' --bust-id capture-1 --admin "$admin" >/dev/null
	await "$3 $bought"
	"$papertape" correct "$sold" --price 6.95 --quantity 500 --reason 'a typing error' \
		--bust-id capture-2 --admin "$admin" >/dev/null
	await "$4 $sold"
	await '^>>> sell SH.600$'
	sleep 0.5
	shot takenback "$bought"
	keys C-u 'history 4' Enter
	await "$4 $sold: "
	await '^>>>$'
	sleep 0.5
	shot takenhistory '^>>> history'
	picture "$2" '[0-9][0-9]:[0-9][0-9]:[0-9][0-9]' # the first trade
	end
}

# scenes plays all other scenes. $1: language; $2: file of the picture; $3 to $6: text on the screen after a push of the
# simulator, a lost connection, missed events, and a replaced list.
scenes() {
	begin "$1"
	shot login '^Uid'

	keys 'buy SZ.0000'
	await '^>>> buy SZ.0000$'
	other buy SH.600519 300 >/dev/null
	await 'Δ\+300 '
	other sell SH.600009 900 >/dev/null
	await '  -  .*SH.600009'
	other buy SZ.002594 100 >/dev/null
	await '  \+  .*SZ.002594'
	"$papertape" simulate --rate 200 --admin "$admin" >/dev/null
	await "$3"
	"$papertape" simulate --rate 0 --admin "$admin" >/dev/null
	sleep 0.5
	await '^>>> buy SZ.0000$'
	shot push '^[0-9][0-9]:'
	picture "$2"
	keys '01 100' Enter
	await '>>> buy SZ.000001 100$'
	await '^>>>$'
	sleep 0.5
	shot sent '^>>> buy SZ.000001 100$'
	end

	begin "$1"
	keys 'bu' Tab
	await '^>>> buy$'
	keys 'SH.6000' Tab
	await '上海机场  SH'
	shot completion '^SH.600000'
	keys '3' Tab
	await '^>>> buy SH.60003$'
	keys '6' Tab '200' Enter
	await 'SH.600036 .* 200 '
	await '^>>>$'
	sleep 0.5
	shot completed '^>>> buy SH'

	# The program is stopped, as on a sleeping laptop. The server ends the connection, others trade, and it continues.
	keys 'sell SH.600'
	await '^>>> sell SH.600$'
	client=$(pgrep -f "^$papertape client --account $account")
	kill -STOP "$client"
	for _ in $(seq 300); do # until nobody is logged in
		if "$papertape" sessions --admin "$admin" -o json | grep '"sessions": \[\]' >/dev/null; then
			break
		fi
		sleep 0.1
	done
	other buy SZ.000001 300 >/dev/null
	other buy SZ.000001 160 >/dev/null
	other sell SH.601398 1500 >/dev/null
	kill -CONT "$client"
	await "$5"
	await '^>>> sell SH.600$'
	shot missed '^!'

	# The server restarts without its history.
	keys C-u
	stop
	await "$4"
	serve
	await "$6"
	sleep 0.5
	shot resync "$4"
	end
}

# paste pastes three lines, of which the second is refused. $1: language; $2: text on the screen about that.
paste() {
	begin "$1"
	tmux set-buffer 'buy SZ.000001 100  # first these
sell SZ.000001 9000
buy SZ.000001 200
'
	tmux paste-buffer -p
	await '^>>> .*200$'
	keys Enter
	await "$2"
	await '^>>>$'
	sleep 0.5
	shot pasted '^>>> buy'
	end
}

paste en 'not done after it'
paste zh '其后未执行'
scenes en docs/images/terminal.svg ' simulator ' '^! .*stopping' 'up to date' 'what differs'
scenes zh docs/images/terminal.zh.svg ' 模拟器 ' '^! .*正在停止' '已补齐' '不同之处'
takenback en docs/images/taken-back.svg 'TAKEN BACK' 'CORRECTED'
takenback zh docs/images/taken-back.zh.svg '已撤销' '已更正'

# section HEADING SHOT TEXT prints one scene in both languages.
section() {
	printf '\n## %s\n\n%s\n' "$1" "$3"
	for language in en zh; do
		printf '\n```\n'
		cat "$work/$language.$2"
		printf '```\n'
	done
}

{
	cat <<'HEAD'
# The terminal

What `papertape client --account 100017` shows, first in English, then in Chinese (`--lang zh`, or a Chinese locale).
`tools/terminal-capture.sh` captures this page from a screen of 122 columns. Another session trades on the account
too. The page has no colours. On a terminal red is up and green is down, unless `--colors western` is given, and a
trade taken back is struck through; a sign or a word always says the same. The picture in the README has the colours.
HEAD
	section 'Login' login \
		'Who is logged in, what the account holds, what it is worth, and which commands there are. A wide character takes two
columns, so the lines of the list end together. On a narrower screen the least important columns are left out.'
	section 'A push above a half-typed line' push \
		'The line `buy SZ.0000` was half typed when another session and the simulator traded. Their trades appear above it: `+`
a new row of the list, `-` one that is gone, `Δ+300` by how much it changed; then the trade, whose it was, what is
held after it, and its name.'
	section 'The line gone on with, and sent' sent \
		'The rest of the line was typed then.'
	section 'A paste' pasted \
		'Three lines were pasted, and then Enter was pressed. A paste is inserted, and nothing of it is done before Enter. Its
lines become one line, with `⏎` where they ended, so that it can be read, changed or thrown away (Ctrl-C). Enter runs
it like a script: all of it must be understood, or nothing is done; each command is answered before the next one is
sent; the first command that fails ends it, and the terminal says how many were not done. A paste has 4,096 bytes at
most, and a line 100 commands. A file has no such bounds: `papertape client --account 100017 < FILE`. What cannot be
seen, such as control characters, is inserted as `?`.

A terminal that cannot mark what is pasted (the Linux console, many serial lines) sends it as if it were typed, Enter
included. There each line is done as it comes.'
	section 'Completion' completion \
		'The tab key after `bu`, and then after `SH.6000`, which several instruments begin with, so they are listed. A code
without its market and a name are completed too; after `sell`, only what the account holds.'
	section 'Completed, and sent' completed \
		'After one more digit each, and the tab key, the code was whole.'
	section 'Away, and back' missed \
		'The program stood still until the server ended its connection, with a line half typed; others traded meanwhile.'
	section 'A trade taken back, and one corrected' takenback \
		'An operator used `papertape bust` on the first trade and `papertape correct` on the second. Each line of the tape
appears again, marked with an `x` (and struck through, see the picture). It says who did it and why, what stands now,
and the shares and the cash before and after. Cash that an operator books, and a reset of the account, have a line each.'
	section 'And in the history' takenhistory \
		'The originals stay where they were and say what became of them. What took their place has a line of its own.'
	printf '\n![A trade taken back, struck through](images/taken-back.svg)\n\n![The same in Chinese](images/taken-back.zh.svg)\n'
	section 'Back at a server with another history' resync \
		'The server was stopped and started without its history (`--durability none`). The client takes the list anew and says,
row by row, what differs.'
	cat <<'PIPE'

## On a pipe

A pipe or a file has one command on each line, in UTF-8, with or without a byte order mark. Lines end in LF, CR LF or
CR (the last one may end in nothing) and have 65,536 bytes at most. A `#` begins a comment anywhere on a line, at the
prompt too. Text of another kind (UTF-16, a NUL byte, another encoding, a longer line) is an error that names the
line, after the lines before it were done. So is the first command that fails. Either ends with exit code 1.

With `-o json` each line of the output is an object whose `type` says what it is: `login`, `event`, `holdings`,
`history`, `quotes`, `chart` (the bars of the day), `presence`, `subscription` (the answer to `presence on`), `help`,
`connected`. Their shapes are those of the admin API.
PIPE
} >docs/terminal.md
echo "written: docs/terminal.md and docs/images"
