#!/bin/sh
# The JSON schemas of what the manifests use, from the engines' own releases: Kubernetes, CloudNativePG and the
# Prometheus operator as Go modules, Strimzi as Maven artifacts. Needs Go, Maven and Java 21 (JAVA names another java). Run it again with newer
# versions; the result is kept in the repository, so that checking manifests needs kubeconform only.
set -eu
KUBERNETES=${KUBERNETES:-v1.34.0}
CLOUDNATIVEPG=${CLOUDNATIVEPG:-v1.27.0}
PROMETHEUS_OPERATOR=${PROMETHEUS_OPERATOR:-v0.85.0}
JAVA=${JAVA:-java}
PYTHON=${PYTHON:-python3}

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

module() {
    go mod download -json "$1" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)".*/\1/p'
}

cp "$here/pom.xml" "$scratch/"
(cd "$scratch" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs -DincludeScope=runtime)
for kind in kafka.Kafka nodepool.KafkaNodePool topic.KafkaTopic user.KafkaUser; do
    (cd "$scratch" && $JAVA -cp 'libs/*' io.strimzi.crdgenerator.CrdGenerator --yaml \
        "io.strimzi.api.kafka.model.$kind=$scratch/crd/$kind.yaml")
done

kubernetes=$(cd "$scratch" && module "k8s.io/kubernetes@$KUBERNETES")
cloudnativepg=$(cd "$scratch" && module "github.com/cloudnative-pg/cloudnative-pg@$CLOUDNATIVEPG")
operator=$(cd "$scratch" && module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR")
$PYTHON "$here/convert.py" "$here" \
    --kubernetes "$kubernetes/api/openapi-spec/swagger.json" \
    --crd "$cloudnativepg/config/crd/bases/postgresql.cnpg.io_clusters.yaml" \
    --crd "$operator/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" \
    --crd "$scratch"/crd/*.yaml
