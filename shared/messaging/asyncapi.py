"""AsyncAPI 3.1 of everything published, made from the contracts: topics, keys, retention, envelope, payloads.

Nothing is written by hand but the envelope's words; a contract without a description or a topic cannot be published.
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import yaml

from shared.contracts.message import Envelope, Message
from shared.contracts.topics import Topic
from shared.messaging.catalogue import contract_types

ASYNCAPI = "3.1.0"
CONTENT_TYPE = "application/cloudevents+json"
MILLISECONDS_A_DAY = 24 * 60 * 60 * 1000
SERVICES = {
    "registration": "参保登记 / registration",
    "collection": "征缴 / collection",
    "subsidy": "补贴 / subsidy",
    "notification": "通知 / notification",
}
ATTRIBUTES = {
    "source": "service/log/epoch；与 sequence 一起是事实的地址 / with sequence the fact's address",
    "sequence": "日志位置 / log position",
    "subject": "消息键 / the record's key: what is in order",
    "payloaddigest": "data 字节的 SM3 / SM3 of data's bytes, hex",
    "campaign": "征缴工作 / campaign",
    "correlationid": "关联号 / of everything one request caused",
    "traceparent": "W3C 调用链，仅抽样的 / W3C trace context, of sampled traces only",
    "causationid": "起因 / the fact or request this follows from",
}


def asyncapi() -> dict[str, Any]:
    """The document."""
    types = dict(sorted(contract_types().items()))
    topics = {kind.topic.name: kind.topic for kind in types.values()}
    _, schemas = msgspec.json.schema_components(
        list(types.values()), ref_template="#/components/schemas/{name}"
    )
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "两险通 Liangxiantong",
            "version": "1.0.0",
            "description": (
                "已发布的事件：CloudEvents 1.0 结构化 JSON，金额单位分，日期为当地日历日。"
                " Published facts: CloudEvents 1.0 in structured JSON, amounts in fen, local calendar dates."
                " 至少一次送达；按 source 与 sequence 去重"
                " Delivered at least once: tell repeats by source and sequence."
            ),
            "license": {"name": "Apache-2.0"},
            "contact": {"name": "两险通 Liangxiantong", "url": "https://liangxian.example/contact"},
            "tags": [{"name": name, "description": text} for name, text in SERVICES.items()],
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Apache Kafka，每键有序 / in order for each key",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "bootstrap servers"}},
            }
        },
        "channels": {_id(topic.name): _channel(topic, types) for _, topic in sorted(topics.items())},
        "operations": {
            f"publish-{_id(topic.name)}": _operation(topic) for _, topic in sorted(topics.items())
        },
        "components": {
            "messages": {_id(name): _message(name, kind) for name, kind in types.items()},
            "schemas": {"CloudEvent": _envelope(), **dict(sorted(schemas.items()))},
        },
    }


def asyncapi_yaml() -> str:
    """The document as it is committed and served."""
    return yaml.safe_dump(asyncapi(), allow_unicode=True, sort_keys=False, width=120)


def _id(name: str) -> str:
    return name.replace(".", "-")


def _channel(topic: Topic, types: dict[str, type[Message]]) -> dict[str, Any]:
    mine = [name for name, kind in types.items() if kind.topic.name == topic.name]
    return {
        "address": topic.name,
        "description": f"键 / keyed by `{topic.key}`; {SERVICES[topic.service]}",
        "messages": {_id(name): {"$ref": f"#/components/messages/{_id(name)}"} for name in mine},
        "tags": [{"name": topic.service}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": 3,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": topic.retention_days * MILLISECONDS_A_DAY,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_id(topic.name)}"},
        "summary": f"{SERVICES[topic.service]}: {topic.capability}",
    }


def _message(name: str, kind: type[Message]) -> dict[str, Any]:
    told = inspect.getdoc(kind) or ""
    found: dict[str, Any] = {
        "name": name,
        "title": kind.__name__,
        "summary": told.splitlines()[0] if told else kind.__name__,
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEvent"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "const": name},
                        "data": {"$ref": f"#/components/schemas/{kind.__name__}"},
                    },
                },
            ]
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"subject ({kind.topic.key})"},
                "bindingVersion": "0.5.0",
            }
        },
    }
    if kind.receivers:
        found["description"] = (
            f"`sealed` 只有这些服务能解开 / only these can open `sealed`: {', '.join(kind.receivers)}"
        )
    return found


def _envelope() -> dict[str, Any]:
    required: list[str] = []
    properties: dict[str, Any] = {}
    for each in msgspec.structs.fields(Envelope):
        number = each.type is int
        properties[each.name] = (
            {"type": "object"} if each.name == "data" else {"type": "integer" if number else "string"}
        )
        if each.name in ATTRIBUTES:
            properties[each.name]["description"] = ATTRIBUTES[each.name]
        if each.required:
            required.append(each.name)
    properties["specversion"]["const"] = "1.0"
    properties["time"]["format"] = "date-time"
    properties["datacontenttype"]["const"] = "application/json"
    return {
        "type": "object",
        "description": "CloudEvents 1.0",
        "required": required,
        "properties": properties,
    }
