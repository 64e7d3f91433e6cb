# Tell the supervisor how you are, from any POSIX shell. Source this file:
#
#     . ./heartbeat.sh
#     send_progress_heartbeat "parsing row 7 of 90" 0.08
#     hhmrs_checkpoint --completed parser --file src/parser.py --next tests
#     hhmrs_done "all rows parsed"
#
# Also: hhmrs_fail TEXT [EXIT_CODE], hhmrs_ask QUESTION [OPTION...], load_checkpoint (prints JSON, {} if none).
# Outside hhmrs every function does nothing. All of them are silent and return 0.

# Prints $1 as a JSON string of pure ASCII. Bytes that are no UTF-8 become U+FFFD.
_hhmrs_json() {
    printf '%s' "$1" | LC_ALL=C od -An -v -tu1 | LC_ALL=C awk '
        function put(c) {
            if (c == 34 || c == 92) printf "\\%c", c
            else if (c >= 32 && c < 127) printf "%c", c
            else if (c < 65536) printf "\\u%04x", c
            else { c -= 65536; printf "\\u%04x\\u%04x", 55296 + int(c / 1024), 56320 + c % 1024 }
        }
        function broken() { if (left > 0) { put(65533); left = 0 } }
        function take(b) {
            if (left > 0 && b >= 128 && b < 192) {
                code = code * 64 + b - 128
                if (--left == 0) {
                    if (code < least || code > 1114111 || (code >= 55296 && code <= 57343)) code = 65533
                    put(code)
                }
                return
            }
            broken()
            if (b < 128) put(b)
            else if (b >= 192 && b < 224) { code = b - 192; left = 1; least = 128 }
            else if (b >= 224 && b < 240) { code = b - 224; left = 2; least = 2048 }
            else if (b >= 240 && b < 248) { code = b - 240; left = 3; least = 65536 }
            else put(65533)
        }
        BEGIN { printf "\"" }
        { for (i = 1; i <= NF; i++) take($i + 0) }
        END { broken(); printf "\"" }'
}

# Prints the arguments as a JSON list of strings.
_hhmrs_list() {
    printf '['
    _hhmrs_comma=''
    for _hhmrs_item in "$@"; do
        printf '%s' "$_hhmrs_comma"
        _hhmrs_json "$_hhmrs_item"
        _hhmrs_comma=','
    done
    printf ']'
}

# $1 kind, $2 the other fields as JSON, starting with a comma.
_hhmrs_send() {
    case "${HHMRS_ATTEMPT:-}" in '' | *[!0-9]*) return 0 ;; esac
    _hhmrs_name="$(date -u +%s)-$$-$(LC_ALL=C od -An -N8 -tx1 /dev/urandom | tr -d ' \n').json" || return 0
    _hhmrs_draft="$HHMRS_INBOX/tmp/$_hhmrs_name"
    (
        umask 077
        printf '{"kind":"%s","agent":%s,"attempt":%s,"at":"%s"%s}' "$1" "$(_hhmrs_json "${HHMRS_AGENT:-}")" \
            "$HHMRS_ATTEMPT" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$2" > "$_hhmrs_draft"
    ) && mv -f "$_hhmrs_draft" "$HHMRS_INBOX/new/$_hhmrs_name" || rm -f "$_hhmrs_draft"
    return 0
}

# Each body runs in a subshell without -e and -u, so that the caller's own options cannot make it fail.
_hhmrs_quietly() {
    if [ -n "${HHMRS_INBOX:-}" ]; then
        (set +eu; "$@") > /dev/null 2>&1 < /dev/null || :
    fi
    return 0
}

send_progress_heartbeat() { _hhmrs_quietly _hhmrs_beat "${1:-}" "${2:-}" "${3:-executing}"; }
hhmrs_checkpoint() { _hhmrs_quietly _hhmrs_save "$@"; }
hhmrs_done() { _hhmrs_quietly _hhmrs_end 'done' "${1:-}" "${2:-0}"; }
hhmrs_fail() { _hhmrs_quietly _hhmrs_end fail "${1:-}" "${2:-1}"; }
hhmrs_ask() { _hhmrs_quietly _hhmrs_question "$@"; }

load_checkpoint() {
    if [ -n "${HHMRS_CHECKPOINT:-}" ] && [ -r "$HHMRS_CHECKPOINT" ]; then
        cat "$HHMRS_CHECKPOINT" 2> /dev/null || :
    else
        printf '{}\n'
    fi
    return 0
}

_hhmrs_beat() {
    _hhmrs_fields=",\"state\":$(_hhmrs_json "$3"),\"message\":$(_hhmrs_json "$1")"
    _hhmrs_share=$(LC_ALL=C awk -v p="$2" 'BEGIN {
        if (p ~ /^[0-9]*\.?[0-9]+$|^[0-9]+\.$/) { p += 0; if (p > 1) p = 1; printf "%.6f", p } }')
    [ -n "$_hhmrs_share" ] && _hhmrs_fields="$_hhmrs_fields,\"progress\":$_hhmrs_share"
    _hhmrs_send beat "$_hhmrs_fields"
}

_hhmrs_save() {
    _hhmrs_done='' _hhmrs_files='' _hhmrs_next=''
    while [ $# -ge 2 ]; do
        _hhmrs_word=$(_hhmrs_json "$2")
        case "$1" in
            --completed) _hhmrs_done="${_hhmrs_done:+$_hhmrs_done,}$_hhmrs_word" ;;
            --file) _hhmrs_files="${_hhmrs_files:+$_hhmrs_files,}$_hhmrs_word" ;;
            --next) _hhmrs_next="${_hhmrs_next:+$_hhmrs_next,}$_hhmrs_word" ;;
        esac
        shift 2
    done
    _hhmrs_send checkpoint ",\"completed\":[$_hhmrs_done],\"files\":[$_hhmrs_files],\"next\":[$_hhmrs_next]"
}

_hhmrs_end() {
    _hhmrs_fields=",\"summary\":$(_hhmrs_json "$2")"
    case "$3" in '' | *[!0-9]*) ;; *) _hhmrs_fields="$_hhmrs_fields,\"exit_code\":$(LC_ALL=C awk -v n="$3" 'BEGIN { printf "%d", n }')" ;; esac
    _hhmrs_send "$1" "$_hhmrs_fields"
}

_hhmrs_question() {
    _hhmrs_asked=$(_hhmrs_json "${1:-}")
    [ $# -gt 0 ] && shift
    _hhmrs_send ask ",\"question\":$_hhmrs_asked,\"options\":$(_hhmrs_list "$@")"
}
