"""``liangxian``: wires the commands."""

from __future__ import annotations

import typer

from deploy.cli import (
    archiving,
    auditing,
    demonstrating,
    documents,
    operations,
    policy,
    rehearsing,
    simulating,
    system,
)

app = typer.Typer(
    name="liangxian",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="两险通：城乡居民养老、医疗保险征缴 / collection of residents' pension and medical insurance",
)
app.command("up")(system.up)
app.command("down")(system.down)
app.command("status")(system.status)
app.command("backup")(archiving.backup)
app.command("restore")(archiving.restore)
app.command("demo")(demonstrating.demo)
app.command("verify")(auditing.verify)
app.command("simulate")(simulating.simulate)
app.command("assess")(policy.assess_command)
app.add_typer(policy.packs_app, name="packs")
app.command("trace")(operations.trace)
app.command("lag")(operations.lag)
app.add_typer(operations.letters_app, name="dead-letters")
app.command("replay")(operations.replay)
app.add_typer(operations.relay_app, name="relay")
app.command("token")(operations.token)
app.command("asyncapi")(documents.asyncapi_command)
app.command("rehearse")(rehearsing.rehearse_command)
app.add_typer(operations.clock_app, name="clock")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
