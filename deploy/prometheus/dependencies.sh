#!/bin/sh
# promtool, Prometheus and kubeconform for the tests of operations, libfaketime for clocks that jump in a fault test:
# installed under root, else the lines are printed.
set -eu

if ! command -v promtool >/dev/null; then
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install --yes -qq --no-install-recommends prometheus
    else
        echo "run: sudo apt-get install --yes --no-install-recommends prometheus"
    fi
fi
if ! ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; then
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends libfaketime
    else
        echo "run: sudo apt-get install --yes --no-install-recommends libfaketime"
    fi
fi
if ! command -v kubeconform >/dev/null; then
    if command -v go >/dev/null && [ "$(id -u)" -eq 0 ]; then
        GOBIN=/usr/local/bin go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
    else
        echo "run: go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0 (needs Go; into the PATH)"
    fi
fi
