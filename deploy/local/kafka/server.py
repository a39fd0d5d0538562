"""One Kafka broker of a data directory: start, stop, and the faults tests inflict on it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.local.kafka.jars import fetch_jars, java, missing_tools
from deploy.local.processes import (
    Running,
    StartFailed,
    end,
    free_port,
    identify,
    read_pid_file,
    refuse_taken,
    spawn,
    tail_of,
    until,
    write_atomically,
    write_pid_file,
)

READY_TOPIC = "liangxian.ready"
START_SECONDS = 120
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class KafkaServer:
    """A single-node KRaft broker under ``directory``.

    It holds ``kafka/`` (logs and settings), ``kafka.ports``, ``run/kafka.pid`` and
    ``logs/kafka.log``. Ports stay the same across restarts, since clients know them.
    """

    def __init__(self, directory: Path, *, port: int | None = None, heap_mib: int = 256) -> None:
        self.directory = directory.resolve()
        self.home = self.directory / "kafka"
        self.log = self.directory / "logs" / "kafka.log"
        self.pid_file = self.directory / "run" / "kafka.pid"
        self._wanted_port = port
        self._heap = heap_mib
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients. Raises FileNotFoundError before the first start."""
        return f"127.0.0.1:{self._ports()[0]}"

    async def start(self) -> None:
        """Start, or adopt the running broker; ready means that a message was acknowledged.

        Raises StartFailed, naming what is missing or quoting the end of the broker's log.
        """
        if self.running() is None:
            reason = missing_tools()
            if reason is not None:
                raise StartFailed(reason)
            libs = await asyncio.to_thread(fetch_jars)
            settings = await asyncio.to_thread(self._prepare, libs)
            refuse_taken(self._ports()[0])
            self._child = spawn(self._command(libs, "kafka.Kafka", settings), log=self.log)
            started = identify(self._child.pid)
            if started is None:
                raise StartFailed(f"Kafka did not start; {self.log} ends:\n{tail_of(self.log)}")
            write_pid_file(self.pid_file, started)
        with _quiet_clients():
            ready = await until(self._settled, seconds=START_SECONDS, every=0.1)
        if not ready or self.running() is None:
            raise StartFailed(f"Kafka did not become ready; {self.log} ends:\n{tail_of(self.log)}")

    async def stop(self) -> None:
        """Controlled shutdown; a broker that does not end in 15 s is killed."""
        running = self.running()
        if running is not None:
            await end(running, grace=15)
        self._forget()

    def running(self) -> Running | None:
        """The broker's process; None when it is down."""
        if self._child is not None:
            self._child.poll()  # collects it once it has ended
        return read_pid_file(self.pid_file)

    async def kill(self) -> None:
        """``kill -9``: no goodbye to clients, logs left as they are."""
        running = self.running()
        if running is not None:
            await end(running, number=signal.SIGKILL)
        self._forget()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after ``freeze``; harmless otherwise."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        running = self.running()
        if running is not None:
            running.signal(number)

    def _forget(self) -> None:
        if self._child is not None:
            self._child.wait(timeout=10)
            self._child = None
        self.pid_file.unlink(missing_ok=True)

    def _ports(self) -> tuple[int, int]:
        broker, controller = (self.directory / "kafka.ports").read_text(encoding="ascii").split()
        return int(broker), int(controller)

    def _command(self, libs: Path, main: str, *arguments: str | Path) -> list[str | Path]:
        logging_file = self.home / "log4j2.xml"
        options = (
            f"-Xms{self._heap}m",
            f"-Xmx{self._heap}m",
            *JVM,
            f"-Dlog4j2.configurationFile={logging_file}",
        )
        return [java() or "java", *options, "-cp", f"{libs}/*", main, *arguments]

    def _prepare(self, libs: Path) -> Path:
        """Write the settings and format the storage once; returns the settings file."""
        self.home.mkdir(parents=True, exist_ok=True)
        ports = self.directory / "kafka.ports"
        if self._wanted_port is not None or not ports.exists():
            write_atomically(ports, f"{self._wanted_port or free_port()} {free_port()}\n")
        port, controller = self._ports()
        package = resources.files("deploy.local.kafka")
        template = Template(package.joinpath("server.properties.template").read_text(encoding="utf-8"))
        data = self.home / "data"
        settings = self.home / "server.properties"
        write_atomically(settings, template.substitute(port=port, controller_port=controller, data=data))
        write_atomically(self.home / "log4j2.xml", package.joinpath("log4j2.xml").read_text(encoding="utf-8"))
        if not (data / "bootstrap.checkpoint").exists() or not (data / "meta.properties").exists():
            self._format(libs, settings, data)
        return settings

    def _format(self, libs: Path, settings: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        command = self._command(libs, "kafka.tools.StorageTool", "format", "--standalone", "-t", cluster)
        child = spawn([*command, "-c", settings], log=self.log)
        if child.wait(timeout=START_SECONDS) != 0:
            raise StartFailed(
                f"Kafka's storage could not be formatted; {self.log} ends:\n{tail_of(self.log)}"
            )

    async def _settled(self) -> bool:
        return self.running() is None or await self.acknowledges()

    async def acknowledges(self) -> bool:
        """True when a message sent now is acknowledged within a few seconds."""
        try:
            async with asyncio.timeout(5):
                await self._make_ready_topic()
                producer = AIOKafkaProducer(
                    bootstrap_servers=self.bootstrap, acks="all", request_timeout_ms=3000
                )
                try:
                    await producer.start()
                    await producer.send_and_wait(READY_TOPIC, b"ready")
                finally:
                    await producer.stop()
        except (KafkaError, OSError, TimeoutError, AttributeError):
            return False  # AttributeError: aiokafka's admin client met a cluster without a controller
        return True

    async def _make_ready_topic(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=3000)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(READY_TOPIC, 1, 1, topic_configs={"retention.ms": "60000"})])
        finally:
            await admin.close()


@contextlib.contextmanager
def _quiet_clients() -> Iterator[None]:
    """Keep aiokafka from logging every refused connection while the broker is starting."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
