#!/bin/sh
# Java 17 or newer and Maven: installed with apt under root, else the line to run is printed.
set -eu

java_release() {
    java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}

if command -v java >/dev/null && command -v mvn >/dev/null && [ "$(java_release)" -ge 17 ] 2>/dev/null; then
    echo "Java $(java_release) and Maven are here"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "install Java 17 or newer and Maven with this system's package manager"
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "run: sudo apt-get install --yes --no-install-recommends openjdk-17-jre-headless maven"
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A later release has no 17 any more; its default is newer, which does as well.
apt-get install --yes -qq --no-install-recommends openjdk-17-jre-headless maven ||
    apt-get install --yes -qq --no-install-recommends default-jre-headless maven
echo "Java $(java_release) and Maven are here"
