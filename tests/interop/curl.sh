#!/usr/bin/env bash
# What curl makes of the server. Called by `run`, which has set ONELOOP_URL; the argument is a folder for files.
set -euo pipefail

work=$1
url=$ONELOOP_URL
question='{"message":"In which order does a turn run its phases?"}'

# A call that neither waits for ever nor tells its progress.
ask() {
    curl --silent --show-error --max-time 30 "$@"
}

# holds CLAIM CONDITION...: tells that the condition holds, or ends with what was seen.
holds() {
    local claim=$1
    shift
    if ! "$@"; then
        echo "FAILED curl: $claim"
        printf 'the condition: %s\n' "$*"
        for file in head body trace; do
            if [[ -s $work/$file ]]; then
                echo "--- $file"
                head -c 4000 "$work/$file"
            fi
        done
        exit 1
    fi
    echo "ok curl: $claim"
}

# seen FILE PATTERN / unseen FILE PATTERN: a line matches, or none does. Heads end their lines with CR LF.
seen() {
    tr -d '\r' <"$work/$1" | grep --quiet --extended-regexp "$2"
}
unseen() {
    ! seen "$@"
}
same() {
    [[ $1 == "$2" ]]
}

status=$(ask --dump-header "$work/head" --output "$work/body" --write-out '%{http_code} %{content_type}' "$url/health")
holds "GET /health is 200 and JSON" same "$status" "200 application/json"
holds "it says that the server is healthy and the index ready" \
    seen body '^\{"status":"healthy","service":"knowledge-agent",.*"state":"ready"'
length=$(wc --bytes <"$work/body" | tr -d ' ')
holds "its length is declared and right" seen head "^[Cc]ontent-[Ll]ength: $length$"

ask --head --output "$work/head" "$url/health"
holds "HEAD has the head of GET" seen head "^[Cc]ontent-[Ll]ength: $length$"

connects=$(ask --output /dev/null --output /dev/null --output /dev/null --write-out '%{num_connects}' \
    "$url/health" "$url/info" "$url/nowhere")
holds "a connection is kept over answers and refusals" same "$connects" 100

# Older versions show their progress here even when asked to be silent.
codes=$(ask --parallel --parallel-max 20 --write-out '%{http_code}\n' --output /dev/null "$url/health?[1-100]" \
    2>/dev/null | sort | uniq -c)
holds "a hundred requests over twenty connections are all answered" same "$(xargs <<<"$codes")" "100 200"

status=$(ask --output "$work/body" --write-out '%{http_code}' --json "$question" "$url/chat")
holds "--json to /chat is answered" same "$status" 200
holds "the answer has the fields that clients know" \
    seen body '^\{"response":".*"sources":\[.*\],"categories":\[.*\],"knowledge_updates":\[\],"suggested_actions":.*,"answered_by":"notes","degraded":\[\],"quotes":\[\],"unsupported":\[\],"model":null,"usage":null,"cached":false,"run_id":"'

ask --no-buffer --dump-header "$work/head" --output "$work/body" --json "$question" "$url/chat/stream"
holds "-N to /chat/stream is an event stream that nobody may keep or change" \
    seen head '^[Cc]ache-[Cc]ontrol: no-cache, no-transform$'
holds "it is chunked" seen head '^[Tt]ransfer-[Ee]ncoding: chunked$'
holds "each event has the id of its run and a number" seen body '^id: [0-9a-f-]{36}-1$'
holds "there are no event lines" unseen body '^event:'
kinds=$(sed -n 's/^data: {"type":"\([a-z]*\)".*/\1/p' "$work/body" | uniq | xargs)
holds "status, sources, token, complete and done come in this order" same "${kinds#status status }" "status sources token complete done"

head -c 200000 /dev/zero | tr '\0' ' ' >"$work/spaces"
{
    printf '{"message":"loop?"'
    cat "$work/spaces"
    printf '}'
} >"$work/large"
ask --verbose --output "$work/body" --json "@$work/large" --header 'Expect: 100-continue' "$url/chat" 2>"$work/trace"
holds "a large body waits for 100 Continue" seen trace '^< HTTP/1.1 100 '
holds "and is answered after it" seen trace '^< HTTP/1.1 200 '

cat "$work/spaces" >>"$work/large"
sent=$(ask --verbose --output "$work/body" --write-out '%{http_code} %{size_upload}' --json "@$work/large" \
    --header 'Expect: 100-continue' "$url/chat" 2>"$work/trace")
holds "a body over the bound is refused" same "$sent" "413 0"
holds "before 100 Continue" unseen trace '^< HTTP/1.1 100 '

status=$(printf '%s' "$question" | ask --output "$work/body" --write-out '%{http_code}' --request POST \
    --header 'Content-Type: application/json' --upload-file - "$url/chat")
holds "a chunked upload from a pipe is answered" same "$status" 200
status=$(ask --output "$work/body" --write-out '%{http_code}' --request POST --header 'Content-Type: application/json' \
    --header 'Expect:' --upload-file - "$url/chat" <"$work/large" || true)
holds "one over the bound is refused with 413" same "$status" 413

status=$(ask --http1.0 --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "$url/health")
holds "HTTP/1.0 is answered" same "$status" 200
ask --http1.0 --no-buffer --dump-header "$work/head" --output "$work/body" --json "$question" "$url/chat/stream"
holds "a stream over HTTP/1.0 is not chunked" unseen head '^[Tt]ransfer-[Ee]ncoding:'
holds "and ends with its connection" seen body '^data: \{"type":"done"'

ask --output "$work/body" --write-out '%{http_code}\n' --proxy "$url" http://localhost/health >"$work/head"
holds "a target in absolute form is taken" seen head '^200$'

ask --dump-header "$work/head" --output "$work/body" --request OPTIONS --request-target '*' "$url"
holds "OPTIONS * tells what is allowed" seen head '^[Aa]llow: GET, HEAD, POST, PUT, DELETE, OPTIONS$'

status=$(ask --output "$work/body" --write-out '%{http_code}' --path-as-is "$url/%68ealth")
holds "an escaped path is the path" same "$status" 200

status=$(ask --output "$work/body" --write-out '%{http_code}' --header 'Host: notes.example' "$url/health")
holds "a foreign Host is misdirected" same "$status" 421
status=$(ask --output "$work/body" --write-out '%{http_code}' --header 'Origin: http://pages.example' --json "$question" "$url/chat")
holds "a foreign Origin may not ask" same "$status" 403

status=$(ask --output "$work/body" --write-out '%{http_code}' --request POST "$url/sync")
holds "/sync reads the folder again" same "$status" 200
holds "and finds nothing changed" seen body '^\{"added":0,"changed":0,"removed":0,"epoch":[0-9]+'

once() {
    ask --output "$work/body" --write-out '%{http_code}' --json "$1" --header 'Idempotency-Key: "curl 1"' "$url/chat/async"
}
status=$(once "$question")
first=$(grep --only-matching '"task_id":"[^"]*"' "$work/body")
holds "a task is begun under an Idempotency-Key" same "$status" 202
status=$(once "$question")
again=$(grep --only-matching '"task_id":"[^"]*"' "$work/body")
holds "asked again, it is the same task" same "$status $again" "202 $first"
status=$(once '{"message":"Something else?"}')
holds "another question under the key is 422" same "$status" 422
id=${first:11:36}
ask --output "$work/body" "$url/chat/task/$id?wait=20"
holds "?wait= answers once the task has ended" seen body '"status":"completed"'
