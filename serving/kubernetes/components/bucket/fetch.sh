#!/bin/sh
# Fetches the versions of MODELS_BUCKET that MODELS lacks: fetch.sh once, or fetch.sh follow to look again every minute.
# A version is copied aside and renamed: it is there as a whole or not at all. Versions gone from the bucket are removed.
set -eu
models=${MODELS:-/models}
bucket=${MODELS_BUCKET:?set MODELS_BUCKET to a folder of the store that holds <model>/<version>/, as store:bucket/models}
pause=${FETCH_SECONDS:-60}

fetch() {
    aside=$models/.fetching
    rm -rf "$aside"
    there=$(rclone lsf --dirs-only "$bucket") || return 1
    for model in $there; do
        model=${model%/}
        versions=$(rclone lsf --dirs-only "$bucket/$model") || return 1
        for version in $versions; do
            version=${version%/}
            case $version in '' | *[!0-9]*) continue ;; esac
            if [ -d "$models/$model/$version" ]; then continue; fi
            mkdir -p "$models/$model" "$aside"
            rclone copy "$bucket/$model/$version" "$aside/$version" || return 1
            mv "$aside/$version" "$models/$model/$version"
            echo "fetched $model/$version"
        done
        for folder in "$models/$model"/*/; do
            version=$(basename "$folder")
            case " $(echo $versions) " in *" $version/ "*) ;; *) rm -rf "$folder" && echo "removed $model/$version" ;; esac
        done
    done
}

if [ "${1:-once}" = once ]; then
    fetch
    exit
fi
while true; do
    sleep "$pause"
    fetch || echo "the bucket did not answer; trying again in $pause s" >&2
done
