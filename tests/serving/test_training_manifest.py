"""The manifest for the Kubeflow training operator has the fields of a TFJob v1, by the operator's own names."""

from pathlib import Path

import yaml

MANIFEST = Path(__file__).parents[2] / "serving" / "training" / "tfjob.yaml"
# kubeflow/training-operator, docs of KubeflowOrgV1TFJobSpec, V1RunPolicy and V1ReplicaSpec.
SPEC = {"runPolicy", "successPolicy", "tfReplicaSpecs", "enableDynamicWorker"}
RUN_POLICY = {"cleanPodPolicy", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "suspend"}
REPLICA = {"replicas", "restartPolicy", "template"}


def test_the_manifest_names_its_fields_right():
    job = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    spec = job["spec"]
    assert spec.keys() <= SPEC
    assert spec["successPolicy"] == "AllWorkers"
    assert spec["runPolicy"].keys() <= RUN_POLICY
    # No parameter servers and no evaluator, which tfkit.cluster refuses.
    assert spec["tfReplicaSpecs"].keys() == {"Worker"}
    worker = spec["tfReplicaSpecs"]["Worker"]
    assert worker.keys() == REPLICA
    assert worker["restartPolicy"] in ("Always", "OnFailure", "Never", "ExitCode")
    pod = worker["template"]["spec"]
    [container] = [each for each in pod["containers"] if each["name"] == "tensorflow"]
    assert {"name": "tfjob-port", "containerPort": 2222} in container["ports"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
